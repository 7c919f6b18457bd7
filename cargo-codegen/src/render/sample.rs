//! Example values for generated tests.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::field::string_literal;
use crate::model::{Field, FieldType};

/// A valid value of a field as a JSON expression; `None` where none could be found.
pub(super) fn value(field: &Field) -> Option<String> {
    let constraints = &field.constraints;
    Some(match &field.ty {
        FieldType::String | FieldType::Text => string_literal(&text(field, &field.name.snake)?),
        FieldType::Integer => integer(field, 1).to_string(),
        FieldType::BigInt => string_literal(&integer(field, 1).to_string()),
        FieldType::Float => {
            let number = bounded(field, 1.5);
            format!("{number:?}")
        }
        FieldType::Decimal { .. } => string_literal(
            constraints
                .min
                .as_deref()
                .or(constraints.max.as_deref())
                .unwrap_or("1"),
        ),
        FieldType::Boolean => "true".to_owned(),
        FieldType::Uuid => string_literal("018f0000-0000-7000-8000-000000000001"),
        FieldType::Date => string_literal("2026-01-31"),
        FieldType::Time => string_literal("12:30:00"),
        FieldType::DateTime => string_literal("2026-01-31T12:30:00Z"),
        // Only the user knows what is one of their type.
        FieldType::Json if constraints.json.is_some() => return None,
        FieldType::Json => "{ \"key\": \"value\" }".to_owned(),
        FieldType::Bytes => string_literal("Ynl0ZXM="),
        FieldType::Vector { .. } => return None,
        FieldType::Enum { choices, .. } => string_literal(&choices.first()?.snake),
    })
}

/// Another valid value than [`value`]; `None` where the type or the constraints make that hard.
pub(super) fn other_value(field: &Field) -> Option<String> {
    let other = match &field.ty {
        FieldType::String | FieldType::Text if field.constraints.pattern.is_none() => {
            string_literal(&text(field, "another")?)
        }
        FieldType::Integer => integer(field, 2).to_string(),
        FieldType::BigInt => string_literal(&integer(field, 2).to_string()),
        FieldType::Boolean => "false".to_owned(),
        FieldType::Date => string_literal("2026-02-01"),
        FieldType::Enum { choices, .. } => string_literal(&choices.get(1)?.snake),
        _ => return None,
    };
    (Some(&other) != value(field).as_ref()).then_some(other)
}

fn integer(field: &Field, wanted: i64) -> i64 {
    let parse = |text: &Option<String>| text.as_ref().and_then(|it| it.parse::<i64>().ok());
    let number = parse(&field.constraints.min).map_or(wanted, |it| it.max(wanted));
    parse(&field.constraints.max).map_or(number, |it| it.min(number))
}

fn bounded(field: &Field, wanted: f64) -> f64 {
    let parse = |text: &Option<String>| text.as_ref().and_then(|it| it.parse::<f64>().ok());
    let number = parse(&field.constraints.min).map_or(wanted, |it| it.max(wanted));
    parse(&field.constraints.max).map_or(number, |it| it.min(number))
}

fn text(field: &Field, wanted: &str) -> Option<String> {
    let constraints = &field.constraints;
    let min = usize::try_from(constraints.min_length.unwrap_or(0)).ok()?;
    let max = usize::try_from(constraints.max_length.unwrap_or(u32::MAX)).ok()?;
    let Some(pattern) = &constraints.pattern else {
        let mut text: String = wanted.chars().take(max).collect();
        while text.chars().count() < min {
            text.push('x');
        }
        return Some(text);
    };
    let regex = Regex::new(pattern).ok()?;
    let fits = |text: &String| (min..=max).contains(&text.chars().count()) && regex.is_match(text);
    let shortest = matching(pattern)?;
    // A pattern without anchors allows anything around its match.
    let padding = min.saturating_sub(shortest.chars().count());
    let padded = format!("{shortest}{}", "x".repeat(padding));
    [wanted.to_owned(), shortest, padded].into_iter().find(fits)
}

/// A short text that a pattern describes; word boundaries and the like are not looked at.
fn matching(pattern: &str) -> Option<String> {
    let mut text = String::new();
    append(&regex_syntax::parse(pattern).ok()?, &mut text)?;
    Some(text)
}

fn append(hir: &Hir, text: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class.ranges();
            let readable = ['a', 'A', '1', '-'].into_iter().find(|it| {
                ranges
                    .iter()
                    .any(|range| (range.start()..=range.end()).contains(it))
            });
            text.push(readable.or_else(|| {
                ranges
                    .first()
                    .map(regex_syntax::hir::ClassUnicodeRange::start)
            })?);
        }
        HirKind::Class(Class::Bytes(class)) => {
            text.push(char::from(class.ranges().first()?.start()));
        }
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                append(&repetition.sub, text)?;
            }
        }
        HirKind::Capture(capture) => append(&capture.sub, text)?,
        HirKind::Concat(parts) => {
            for part in parts {
                append(part, text)?;
            }
        }
        HirKind::Alternation(choices) => append(choices.first()?, text)?,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_matches_its_pattern() {
        for pattern in [
            r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
            r"^[A-Z]{3}-\d{4}$",
            r"(?i)^(draft|final)$",
            r"^\+?[0-9 ]{6,}$",
            r"^https?://\S+$",
        ] {
            let sample = matching(pattern).unwrap();
            assert!(
                Regex::new(pattern).unwrap().is_match(&sample),
                "{pattern}: {sample}"
            );
        }
    }
}
