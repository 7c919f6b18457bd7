//! Constraints of a field, as garde and OpenAPI spell them.

use heck::ToShoutySnakeCase;

use super::field::{is_moment, string_literal};
use super::imports::Imports;
use crate::model::{Field, FieldType};
use crate::schema::ColumnType;

/// garde's rules for a field; `skip` if it has none.
pub(super) fn garde_rules(field: &Field, imports: &mut Imports) -> Vec<String> {
    let constraints = &field.constraints;
    let mut rules = Vec::new();
    if field.name.ident != field.name.snake {
        rules.push(format!("rename({})", string_literal(&field.name.snake)));
    }
    let renames = rules.len();
    if let Some(length) = length_rule(field) {
        rules.push(length);
    }
    if constraints.pattern.is_some() {
        rules.push(format!("pattern({})", pattern_name(field)));
    }
    rules.extend(storable_rule(field, imports));
    let bounds: Vec<String> = [("min", &constraints.min), ("max", &constraints.max)]
        .into_iter()
        .filter_map(|(side, value)| {
            let value = number(&field.ty, value.as_ref()?)?;
            Some(format!("{side} = {value}"))
        })
        .collect();
    if !bounds.is_empty() {
        if matches!(field.ty, FieldType::Decimal { .. }) {
            imports.name("rust_decimal::Decimal");
        }
        rules.push(format!("range({})", bounds.join(", ")));
    }
    if rules.len() == renames {
        return vec!["skip".to_owned()];
    }
    rules
}

/// OpenAPI's words for the same.
pub(super) fn schema_rules(field: &Field) -> Vec<String> {
    let constraints = &field.constraints;
    let mut rules = Vec::new();
    if let Some(min) = constraints.min_length {
        rules.push(format!("min_length = {min}"));
    }
    if let Some(max) = max_length(field) {
        rules.push(format!("max_length = {max}"));
    }
    if let Some(pattern) = &constraints.pattern {
        rules.push(format!("pattern = {}", raw_literal(pattern)));
    }
    // What is text in JSON has no smallest value.
    if matches!(field.ty, FieldType::Integer | FieldType::Float) {
        for (side, value) in [("minimum", &constraints.min), ("maximum", &constraints.max)] {
            if let Some(value) = value.as_ref().and_then(|it| number(&field.ty, it)) {
                rules.push(format!("{side} = {value}"));
            }
        }
    }
    rules
}

/// The static that holds a field's pattern.
pub(super) fn pattern_name(field: &Field) -> String {
    format!("{}_PATTERN", field.name.snake.to_shouty_snake_case())
}

/// A string literal without escapes.
pub(super) fn raw_literal(text: &str) -> String {
    if text.contains('\r') {
        return string_literal(text);
    }
    let mut hashes = String::new();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}

fn max_length(field: &Field) -> Option<u32> {
    match ColumnType::of(&field.ty, field.constraints.max_length) {
        ColumnType::String(length) if field.ty == FieldType::String => Some(length),
        _ => field.constraints.max_length,
    }
}

fn length_rule(field: &Field) -> Option<String> {
    let sides: Vec<String> = [
        ("min", field.constraints.min_length),
        ("max", max_length(field)),
    ]
    .into_iter()
    .filter_map(|(side, length)| Some(format!("{side} = {}", length?)))
    .collect();
    if sides.is_empty() {
        return None;
    }
    let mode = if field.ty == FieldType::Bytes {
        ""
    } else {
        "chars, "
    };
    Some(format!("length({mode}{})", sides.join(", ")))
}

/// The rule that every database takes the value as it is; `None` for types of which each does.
pub(super) fn storable_rule(field: &Field, imports: &mut Imports) -> Option<String> {
    match field.ty {
        FieldType::Decimal { precision, scale } => {
            let number = imports.name("crate::generated::number");
            Some(format!("custom({number}::digits({precision}, {scale}))"))
        }
        _ if is_moment(&field.ty) => Some(format!(
            "custom({})",
            imports.name("crate::generated::storable")
        )),
        _ => None,
    }
}

/// OpenAPI's words for what is text in JSON although it counts or measures.
pub(super) fn text_format(ty: &FieldType) -> Vec<String> {
    let format = match ty {
        FieldType::BigInt => Some("format = Int64".to_owned()),
        FieldType::Decimal { .. } => Some("format = \"decimal\"".to_owned()),
        _ => None,
    };
    let pattern = text_pattern(ty).map(|it| format!("pattern = {}", raw_literal(&it)));
    format.into_iter().chain(pattern).collect()
}

fn text_pattern(ty: &FieldType) -> Option<String> {
    match ty {
        FieldType::BigInt => Some("^-?[0-9]{1,19}$".to_owned()),
        FieldType::Decimal { precision, scale } => {
            let whole = match precision - scale {
                0 => "0".to_owned(),
                digits => format!("[0-9]{{1,{digits}}}"),
            };
            let fraction = match scale {
                0 => String::new(),
                digits => format!(r"(\.[0-9]{{1,{digits}}})?"),
            };
            Some(format!("^-?{whole}{fraction}$"))
        }
        // There is no format for a time of day without a zone.
        FieldType::Time => {
            Some(r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$".to_owned())
        }
        _ => None,
    }
}

/// A number as an expression of the field's type.
fn number(ty: &FieldType, text: &str) -> Option<String> {
    match ty {
        FieldType::Integer | FieldType::BigInt => {
            text.parse::<i64>().ok().map(|it| grouped(it.into()))
        }
        FieldType::Float => text
            .parse::<f64>()
            .ok()
            .filter(|it| it.is_finite())
            .map(|it| format!("{it:?}")),
        FieldType::Decimal { .. } => decimal(text),
        _ => None,
    }
}

/// `-10.50` becomes `Decimal::new(-1050, 2)`.
fn decimal(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = fraction.len();
    let grouped = grouped(digits);
    Some(match i64::try_from(digits) {
        Ok(0) => "Decimal::ZERO".to_owned(),
        Ok(_) => format!("Decimal::new({grouped}, {scale})"),
        Err(_) => format!("Decimal::from_i128_with_scale({grouped}, {scale})"),
    })
}

/// An integer literal with `_` between thousands, from five digits on.
fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut literal = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len() > 4 && (digits.len() - index).is_multiple_of(3) {
            literal.push('_');
        }
        literal.push(digit);
    }
    if number < 0 {
        literal.insert(0, '-');
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_its_scale() {
        assert_eq!(decimal("-10.50").as_deref(), Some("Decimal::new(-1050, 2)"));
        assert_eq!(decimal("-0.5").as_deref(), Some("Decimal::new(-5, 1)"));
        assert_eq!(decimal("7").as_deref(), Some("Decimal::new(7, 0)"));
        assert_eq!(decimal("0.00").as_deref(), Some("Decimal::ZERO"));
        assert_eq!(
            decimal("-123456.7").as_deref(),
            Some("Decimal::new(-1_234_567, 1)")
        );
        assert_eq!(decimal("seven"), None);
    }

    #[test]
    fn g17_a_raw_literal_holds_any_quotes() {
        assert_eq!(raw_literal(r"^\d+$"), r#"r"^\d+$""#);
        assert_eq!(raw_literal(r##"a"#b"##), r####"r##"a"#b"##"####);
        assert_eq!(raw_literal("a\rb"), "\"a\\rb\"");
    }
}
