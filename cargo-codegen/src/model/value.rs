//! Values that a definition gives: defaults and bounds, checked against a field's type.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, SubsecRound};

use super::field::as_float;
use super::{Constraints, DefaultValue, FieldType};
use crate::definition::{Kind, Node, Problem, nearest, shorten, whole_number};

/// Checks a `default`; what is wrong is reported.
pub(crate) fn default(
    ty: &FieldType,
    constraints: &Constraints,
    node: &Node,
    problems: &mut Vec<Problem>,
) -> Option<DefaultValue> {
    let refused = |message| Problem::error("wrong-default", message, node.span.clone());
    read("default", ty, constraints, node, refused, problems)
}

/// Checks a `backfill`; what is wrong is reported.
pub(crate) fn backfill(
    ty: &FieldType,
    constraints: &Constraints,
    node: &Node,
    problems: &mut Vec<Problem>,
) -> Option<DefaultValue> {
    let refused = |message| Problem::error("wrong-value", message, node.span.clone());
    read("backfill", ty, constraints, node, refused, problems)
}

fn read(
    key: &str,
    ty: &FieldType,
    constraints: &Constraints,
    node: &Node,
    refused: impl Fn(String) -> Problem,
    problems: &mut Vec<Problem>,
) -> Option<DefaultValue> {
    match check(ty, constraints, node) {
        Ok(value) => Some(value),
        Err(Wrong { why, help }) => {
            let mut problem = refused(match node.kind {
                Kind::Null => format!("`{key}` has no value"),
                _ => format!("{} is no {key} for type `{}`", node.describe(), word(ty)),
            })
            .label(why);
            problem.help = help;
            problems.push(problem);
            None
        }
    }
}

struct Wrong {
    why: String,
    help: Option<String>,
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        why: why.into(),
        help: None,
    })
}

fn wrong_but<T>(why: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        why: why.into(),
        help: Some(help.into()),
    })
}

fn word(ty: &FieldType) -> &'static str {
    match ty {
        FieldType::String => "string",
        FieldType::Text => "text",
        FieldType::Integer => "integer",
        FieldType::BigInt => "bigint",
        FieldType::Decimal { .. } => "decimal",
        FieldType::Float => "float",
        FieldType::Boolean => "boolean",
        FieldType::Uuid => "uuid",
        FieldType::Date => "date",
        FieldType::Time => "time",
        FieldType::DateTime => "datetime",
        FieldType::Json => "json",
        FieldType::Enum { .. } => "enum",
        FieldType::Bytes => "bytes",
        FieldType::Vector { .. } => "vector",
    }
}

fn check(ty: &FieldType, constraints: &Constraints, node: &Node) -> Result<DefaultValue, Wrong> {
    if *ty == FieldType::Json {
        return json(node).map(|it| DefaultValue::Json(it.to_string()));
    }
    if ty.is_vector() {
        return wrong("a vector has no default");
    }
    let (text, literal) = match &node.kind {
        Kind::Text(text) => (text.as_str(), false),
        Kind::Literal(text) => (text.as_str(), true),
        Kind::Null => {
            return wrong_but(
                "nothing stands here",
                "leave the key out; write `nullable: true` if the column may be NULL",
            );
        }
        Kind::List(_) | Kind::Map(_) => return wrong("one value is wanted"),
    };
    match ty {
        FieldType::String | FieldType::Text if literal => wrong_but(
            "this is not text",
            format!("put it in quotes: `\"{}\"`", shorten(text)),
        ),
        FieldType::String | FieldType::Text => within_length(constraints, text),
        FieldType::Integer | FieldType::BigInt => {
            if !literal {
                return wrong("write a whole number, without quotes");
            }
            within_bounds(ty, constraints, text)?;
            whole_number(text).map(DefaultValue::Integer).or_else(wrong)
        }
        FieldType::Float => {
            if !literal {
                return wrong("write a number, without quotes");
            }
            within_bounds(ty, constraints, text)?;
            Ok(DefaultValue::Float(as_float(text)))
        }
        FieldType::Decimal { .. } => {
            within_bounds(ty, constraints, text)?;
            Ok(DefaultValue::Text(text.trim_start_matches('+').to_owned()))
        }
        FieldType::Boolean => match text {
            "true" if literal => Ok(DefaultValue::Boolean(true)),
            "false" if literal => Ok(DefaultValue::Boolean(false)),
            _ => wrong("write `true` or `false`, without quotes"),
        },
        FieldType::Uuid if is_uuid(text) => Ok(DefaultValue::Text(text.to_ascii_lowercase())),
        FieldType::Uuid => wrong("write it as `00000000-0000-0000-0000-000000000000`"),
        FieldType::Date if matches!(text, "now" | "today") => Ok(DefaultValue::Now),
        FieldType::Time | FieldType::DateTime if text == "now" => Ok(DefaultValue::Now),
        FieldType::Date => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(date) => Ok(DefaultValue::Text(date.format("%Y-%m-%d").to_string())),
            Err(_) => wrong("write a day such as `2026-11-23`, or `now`"),
        },
        FieldType::Time => match NaiveTime::parse_from_str(text, "%H:%M:%S")
            .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"))
        {
            Ok(time) => Ok(DefaultValue::Text(time.format("%H:%M:%S").to_string())),
            Err(_) => wrong("write a time such as `\"08:30:00\"`, or `now`"),
        },
        FieldType::DateTime => match DateTime::parse_from_rfc3339(text) {
            // As values are written, which SQLite compares as text; databases keep microseconds.
            Ok(time) => Ok(DefaultValue::Text(
                time.to_utc()
                    .trunc_subsecs(6)
                    .to_rfc3339_opts(SecondsFormat::AutoSi, false),
            )),
            Err(_) => wrong("write a moment such as `2026-11-23T08:30:00Z`, or `now`"),
        },
        FieldType::Enum { choices, .. } => match choices.iter().position(|it| it.snake == text) {
            Some(index) => Ok(DefaultValue::Choice(index)),
            None => {
                let known: Vec<&str> = choices.iter().map(|it| it.snake.as_str()).collect();
                match nearest(text, &known) {
                    Some(near) => wrong(format!("did you mean `{near}`?")),
                    None => wrong("it is none of the `choices`"),
                }
            }
        },
        FieldType::Bytes => wrong("a field of bytes has no default"),
        FieldType::Vector { .. } => wrong("a vector has no default"),
        FieldType::Json => json(node).map(|it| DefaultValue::Json(it.to_string())),
    }
}

fn within_length(constraints: &Constraints, text: &str) -> Result<DefaultValue, Wrong> {
    let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    if constraints.max_length.is_some_and(|max| length > max) {
        return wrong(format!(
            "it has {length} characters, more than `max_length`"
        ));
    }
    if constraints.min_length.is_some_and(|min| length < min) {
        return wrong(format!(
            "it has {length} characters, fewer than `min_length`"
        ));
    }
    if text.contains('\0') {
        return wrong("PostgreSQL keeps no NUL characters");
    }
    let pattern = constraints.pattern.as_deref().map(regex::Regex::new);
    if let Some(Ok(pattern)) = pattern
        && !pattern.is_match(text)
    {
        return wrong("it does not match `pattern`");
    }
    Ok(DefaultValue::Text(text.to_owned()))
}

fn within_bounds(ty: &FieldType, constraints: &Constraints, text: &str) -> Result<(), Wrong> {
    number(ty, text).or_else(wrong)?;
    let value = as_float(text);
    if constraints
        .min
        .as_deref()
        .is_some_and(|min| value < as_float(min))
    {
        return wrong("it is less than `min`");
    }
    if constraints
        .max
        .as_deref()
        .is_some_and(|max| value > as_float(max))
    {
        return wrong("it is more than `max`");
    }
    Ok(())
}

/// Whether a number can be a value of this type.
///
/// # Errors
/// Why it cannot.
pub(crate) fn number(ty: &FieldType, text: &str) -> Result<(), &'static str> {
    match ty {
        FieldType::Integer => match i32::try_from(whole_number(text)?) {
            Ok(_) => Ok(()),
            Err(_) => Err("an `integer` has 32 bits; use `bigint`"),
        },
        FieldType::BigInt => whole_number(text).map(|_| ()),
        FieldType::Decimal { precision, scale } => decimal(text, *precision, *scale),
        _ => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(()),
            _ => Err("write a number such as `0.5`"),
        },
    }
}

fn decimal(text: &str, precision: u32, scale: u32) -> Result<(), &'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
        return Err("write a decimal number such as `9.99`");
    }
    let whole_digits = whole.trim_start_matches('0').len();
    let fraction_digits = fraction.trim_end_matches('0').len();
    if fraction_digits > scale as usize {
        Err("it has more digits behind the point than `scale`")
    } else if whole_digits > (precision - scale.min(precision)) as usize {
        Err("it has more digits before the point than `precision` and `scale` allow")
    } else {
        Ok(())
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit())
}

fn json(node: &Node) -> Result<serde_json::Value, Wrong> {
    use serde_json::Value;
    Ok(match &node.kind {
        Kind::Null => Value::Null,
        Kind::Text(text) => Value::String(text.clone()),
        // A number that JSON does not know, such as `0x1F`, is no JSON.
        Kind::Literal(text) => match serde_json::from_str(&text.to_ascii_lowercase()) {
            Ok(value) => value,
            Err(_) => return wrong("this is no JSON value"),
        },
        Kind::List(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Kind::Map(entries) => {
            let mut map = serde_json::Map::new();
            for (key, value) in entries {
                map.insert(key.value.clone(), json(value)?);
            }
            Value::Object(map)
        }
    })
}
