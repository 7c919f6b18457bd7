//! What SQLite cannot store exactly.

use super::draft::Draft;
use super::{Config, Database, DefaultValue, FieldType, value};
use crate::definition::{Problem, Span, shorten};

/// The digits of a decimal that survive in SQLite, which stores a floating point number.
const DECIMAL_DIGITS: u32 = 15;

/// Gives decimals that do not say their precision one that SQLite keeps, and reports those that say more.
pub(super) fn check(config: &Config, drafts: &mut [Draft<'_>], problems: &mut Vec<Problem>) {
    if !config.databases.contains(&Database::Sqlite) {
        return;
    }
    for draft in drafts {
        for field in &mut draft.entity.fields {
            let FieldType::Decimal { precision, scale } = &mut field.ty else {
                continue;
            };
            if *precision <= DECIMAL_DIGITS {
                continue;
            }
            let mut definitions = draft.definition.fields.iter();
            let written = definitions.find(|it| it.name.value == field.name.snake);
            if let Some(digits) = written.and_then(|it| it.precision.as_ref()) {
                problems.push(too_long(digits.value, &digits.span, "precision"));
                continue;
            }
            *precision = DECIMAL_DIGITS;
            if *scale > DECIMAL_DIGITS {
                if let Some(digits) = written.and_then(|it| it.scale.as_ref()) {
                    problems.push(too_long(digits.value, &digits.span, "scale"));
                }
                continue;
            }
            // They were compared with the precision that other databases have.
            let constraints = &field.constraints;
            let default = match &field.default {
                Some(DefaultValue::Text(text)) => Some(text),
                _ => None,
            };
            let Some(written) = written else { continue };
            let default_place = written.default.as_ref().map(|it| &it.span);
            for (value, place) in [
                (
                    constraints.min.as_ref(),
                    written.min.as_ref().map(|it| &it.span),
                ),
                (
                    constraints.max.as_ref(),
                    written.max.as_ref().map(|it| &it.span),
                ),
                (default, default_place),
            ] {
                if let (Some(text), Some(place)) = (value, place)
                    && value::number(&field.ty, text).is_err()
                {
                    let message = format!("SQLite does not keep all digits of `{}`", shorten(text));
                    problems.push(refusal(message, place));
                }
            }
        }
    }
}

fn too_long(digits: u32, place: &Span, key: &str) -> Problem {
    let message = format!("SQLite keeps {DECIMAL_DIGITS} digits of a decimal, not {digits}");
    refusal(message, place).label(format!("write `{key}: {DECIMAL_DIGITS}` or less"))
}

fn refusal(message: String, place: &Span) -> Problem {
    Problem::error("not-on-sqlite", message, place.clone())
        .help("or take `sqlite` out of `databases`, if the app never runs on it")
}
