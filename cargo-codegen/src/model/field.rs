//! One declared field: its type, nullability and constraints.

use std::str::FromStr;

use super::{Constraints, Field, FieldOrigin, FieldType, Name};
use super::{value, vector};
use crate::definition::{FieldDefinition, FieldKind, Problem, Spanned, shorten};

/// Length of a `string` that gives none, in characters.
pub(super) const DEFAULT_LENGTH: u32 = 255;
/// Digits of a `decimal` that gives none.
const DEFAULT_DECIMAL: (u32, u32) = (19, 4);

/// Resolves one entry of `fields`; `None` if its type is not known (which was reported).
pub(crate) fn resolve(
    entity: &Name,
    name: Name,
    field: &FieldDefinition,
    problems: &mut Vec<Problem>,
) -> Option<Field> {
    let kind = field.kind.as_ref()?;
    refuse_constraints_of_other_types(kind, field, problems);
    let ty = field_type(entity, &name, kind.value, field, problems)?;
    let constraints = constraints(&ty, field, problems);
    let default = field
        .default
        .as_ref()
        .and_then(|node| value::default(&ty, &constraints, node, problems));
    let backfill = field
        .backfill
        .as_ref()
        .and_then(|node| value::backfill(&ty, &constraints, node, problems));
    let (nullable, required) = nullability(field, problems);
    let key = field.index_key.as_ref().unwrap_or(&field.name.span);
    if (field.unique || field.index) && matches!(ty, FieldType::Json) {
        let message = format!("`{}` is of type `json`, which has no index", name.snake);
        problems.push(
            Problem::error("not-indexable", message, key.clone())
                .help("index a field of another type that holds what you search for"),
        );
    }
    if let FieldType::Vector { dimensions } = ty {
        problems.extend(vector::index(&name, dimensions, field, key));
    }
    Some(Field {
        ty,
        nullable,
        required,
        default,
        unique: field.unique,
        index: field.index,
        previously: field.previously.as_ref().map(|it| it.value.clone()),
        backfill,
        constraints,
        description: field.description.clone(),
        origin: FieldOrigin::Declared,
        name,
    })
}

/// NULL allowed, and must be given on create.
fn nullability(field: &FieldDefinition, problems: &mut Vec<Problem>) -> (bool, bool) {
    let has_default = field.default.is_some();
    let mut contradiction = |message: &str, help: &str| {
        if let Some(place) = field.required.as_ref().or(field.nullable.as_ref()) {
            let mut problem = Problem::error("contradiction", message, place.span.clone());
            if let Some(nullable) = &field.nullable
                && nullable.span != place.span
            {
                problem = problem.also(nullable.span.clone(), "");
            }
            problems.push(problem.help(help));
        }
    };
    let required = field.required.as_ref().map(|it| it.value);
    let nullable = field.nullable.as_ref().map(|it| it.value);
    match (required, nullable) {
        (Some(true), Some(true)) => {
            contradiction(
                "a field cannot be both `required` and `nullable`",
                "remove `nullable: true` if a value must be given, or else `required: true`",
            );
            (false, true)
        }
        (Some(true), _) => (false, !has_default),
        (_, Some(true)) => (true, false),
        (Some(false), Some(false)) if !has_default => {
            contradiction(
                "a field that is neither required nor nullable needs a `default`",
                "add a `default`, or write `required: true` or `nullable: true`",
            );
            (false, true)
        }
        (None, Some(false)) => (false, !has_default),
        _ => (!has_default, false),
    }
}

fn field_type(
    entity: &Name,
    name: &Name,
    kind: FieldKind,
    field: &FieldDefinition,
    problems: &mut Vec<Problem>,
) -> Option<FieldType> {
    Some(match kind {
        FieldKind::String => FieldType::String,
        FieldKind::Text => FieldType::Text,
        FieldKind::Integer => FieldType::Integer,
        FieldKind::BigInt => FieldType::BigInt,
        FieldKind::Float => FieldType::Float,
        FieldKind::Boolean => FieldType::Boolean,
        FieldKind::Uuid => FieldType::Uuid,
        FieldKind::Date => FieldType::Date,
        FieldKind::Time => FieldType::Time,
        FieldKind::DateTime => FieldType::DateTime,
        FieldKind::Json => FieldType::Json,
        FieldKind::Bytes => FieldType::Bytes,
        FieldKind::Vector => FieldType::Vector {
            dimensions: vector::dimensions(name, field, problems)?,
        },
        FieldKind::Decimal => {
            let precision = field
                .precision
                .as_ref()
                .map_or(DEFAULT_DECIMAL.0, |it| it.value);
            let scale = field
                .scale
                .as_ref()
                .map_or(DEFAULT_DECIMAL.1.min(precision), |it| it.value);
            if scale > precision {
                let place = field.scale.as_ref().or(field.precision.as_ref())?;
                problems.push(
                    Problem::error(
                        "wrong-value",
                        format!(
                            "a decimal of {precision} digits cannot have {scale} behind the point"
                        ),
                        place.span.clone(),
                    )
                    .help("`precision` counts all digits, `scale` those behind the point"),
                );
            }
            FieldType::Decimal { precision, scale }
        }
        FieldKind::Enum => FieldType::Enum {
            // The entity's name keeps it apart from SeaORM's types and the prelude, and distinct in the API document.
            type_name: format!("{}{}", entity.pascal, name.pascal),
            choices: choices(name, field, problems)?,
        },
    })
}

fn choices(name: &Name, field: &FieldDefinition, problems: &mut Vec<Problem>) -> Option<Vec<Name>> {
    let Some(choices) = &field.choices else {
        problems.push(
            Problem::error(
                "missing-key",
                format!("the enum `{}` has no `choices`", name.snake),
                field.name.span.clone(),
            )
            .help("add `choices: [active, inactive]`"),
        );
        return None;
    };
    if choices.value.is_empty() {
        problems.push(
            Problem::error("no-value", "`choices` lists nothing", choices.span.clone())
                .help("write `choices: [active, inactive]`"),
        );
        return None;
    }
    let mut found: Vec<(Name, &Spanned<String>)> = Vec::new();
    for choice in &choices.value {
        let text = choice.value.as_str();
        let spelled = Name::new(text);
        let error = |message: String| Problem::error("wrong-choice", message, choice.span.clone());
        if let Some((_, first)) = found.iter().find(|it| it.1.value == text) {
            problems.push(
                error(format!("the choice `{}` is listed twice", shorten(text)))
                    .also(first.span.clone(), "first listed here"),
            );
        } else if let Some((message, help)) = illegal_choice(text, &spelled) {
            problems.push(error(message).help(help));
        } else if let Some((_, first)) = found.iter().find(|it| it.0.pascal == spelled.pascal) {
            problems.push(
                error(format!(
                    "the choices `{}` and `{}` are both `{}` in Rust",
                    shorten(&first.value),
                    shorten(text),
                    spelled.pascal
                ))
                .also(first.span.clone(), "the other one")
                .help("rename one of the two"),
            );
        } else {
            found.push((spelled, choice));
        }
    }
    Some(found.into_iter().map(|it| it.0).collect())
}

/// What is wrong with a choice on its own, and what to do.
fn illegal_choice(text: &str, spelled: &Name) -> Option<(String, &'static str)> {
    let shown = shorten(text);
    if text.is_empty() {
        Some(("a choice is empty".to_owned(), "leave it out, or name it"))
    } else if text.chars().count() > 100
        || text.chars().any(char::is_control)
        || text.trim() != text
    {
        Some((
            format!("`{shown}` is no choice"),
            "a choice has at most 100 characters on one line, without spaces at its ends",
        ))
    } else if syn::parse_str::<syn::Ident>(&spelled.pascal).is_err()
        || !text.chars().any(char::is_alphanumeric)
    {
        Some((
            format!("the choice `{shown}` cannot become a Rust name"),
            "a choice needs a letter or a digit",
        ))
    } else {
        None
    }
}

/// Every constraint names the types that it is for.
fn refuse_constraints_of_other_types(
    kind: &Spanned<FieldKind>,
    field: &FieldDefinition,
    problems: &mut Vec<Problem>,
) {
    use FieldKind::{BigInt, Decimal, Enum, Float, Integer, Json, String, Text, Vector};
    const TEXTS: &[FieldKind] = &[String, Text];
    const NUMBERS: &[FieldKind] = &[Integer, BigInt, Decimal, Float];
    let constraints = [
        (
            "max_length",
            field.max_length.as_ref().map(|it| &it.span),
            TEXTS,
        ),
        (
            "min_length",
            field.min_length.as_ref().map(|it| &it.span),
            TEXTS,
        ),
        ("pattern", field.pattern.as_ref().map(|it| &it.span), TEXTS),
        ("min", field.min.as_ref().map(|it| &it.span), NUMBERS),
        ("max", field.max.as_ref().map(|it| &it.span), NUMBERS),
        (
            "precision",
            field.precision.as_ref().map(|it| &it.span),
            &[Decimal],
        ),
        ("scale", field.scale.as_ref().map(|it| &it.span), &[Decimal]),
        (
            "choices",
            field.choices.as_ref().map(|it| &it.span),
            &[Enum],
        ),
        (
            "dimensions",
            field.dimensions.as_ref().map(|it| &it.span),
            &[Vector],
        ),
        ("json", field.json_type.as_ref().map(|it| &it.span), &[Json]),
    ];
    for (key, span, kinds) in constraints {
        let Some(span) = span else { continue };
        if kinds.contains(&kind.value) {
            continue;
        }
        let words: Vec<&str> = kinds.iter().map(|it| it.word()).collect();
        let message = format!("`{key}` is not for type `{}`", kind.value.word());
        let problem = Problem::error("wrong-constraint", message, span.clone())
            .also(kind.span.clone(), "because of this type");
        let instead = match (key, kind.value) {
            ("min", String | Text) => "write `min_length`".to_owned(),
            ("max", String | Text) => "write `max_length`".to_owned(),
            ("min_length", it) if NUMBERS.contains(&it) => "write `min`".to_owned(),
            ("max_length", it) if NUMBERS.contains(&it) => "write `max`".to_owned(),
            ("choices", String) => "write `type: enum`".to_owned(),
            _ => format!("it is for {}", words.join(", ")),
        };
        problems.push(problem.help(instead));
    }
}

fn constraints(
    ty: &FieldType,
    field: &FieldDefinition,
    problems: &mut Vec<Problem>,
) -> Constraints {
    let mut found = Constraints::default();
    match ty {
        FieldType::String | FieldType::Text => {
            found.max_length = field.max_length.as_ref().map(|it| it.value);
            if *ty == FieldType::String {
                found.max_length = found.max_length.or(Some(DEFAULT_LENGTH));
            }
            found.min_length = field.min_length.as_ref().map(|it| it.value);
            if let (Some(min), Some(max)) = (&field.min_length, found.max_length)
                && min.value > max
            {
                let place = field.max_length.as_ref().map(|it| it.span.clone());
                let problem = Problem::error(
                    "empty-range",
                    format!(
                        "no text has at least {} and at most {max} characters",
                        min.value
                    ),
                    min.span.clone(),
                );
                problems.push(match place {
                    Some(place) => problem.also(place, "").help("swap the two, or change one"),
                    None => problem.help(format!(
                        "a string has at most {max} characters unless `max_length` says otherwise"
                    )),
                });
            }
            if let Some(pattern) = &field.pattern {
                match regex::Regex::new(&pattern.value) {
                    Ok(_) => found.pattern = Some(pattern.value.clone()),
                    Err(error) => problems.push(wrong_pattern(pattern, &error)),
                }
            }
        }
        FieldType::Integer | FieldType::BigInt | FieldType::Decimal { .. } | FieldType::Float => {
            let mut bound = |bound: &Option<Spanned<String>>| {
                let bound = bound.as_ref()?;
                match value::number(ty, &bound.value) {
                    Ok(()) => Some(bound.value.clone()),
                    Err(why) => {
                        problems.push(
                            Problem::error(
                                "wrong-value",
                                format!("`{}` is no bound of this field", shorten(&bound.value)),
                                bound.span.clone(),
                            )
                            .label(why),
                        );
                        None
                    }
                }
            };
            (found.min, found.max) = (bound(&field.min), bound(&field.max));
            if let (Some(min), Some(max), Some(place), Some(other)) =
                (&found.min, &found.max, &field.min, &field.max)
                && as_float(min) > as_float(max)
            {
                problems.push(
                    Problem::error(
                        "empty-range",
                        format!("no number is at least {min} and at most {max}"),
                        place.span.clone(),
                    )
                    .also(other.span.clone(), "")
                    .help("swap the two, or change one"),
                );
            }
        }
        FieldType::Json => {
            let path = field.json_type.as_ref();
            found.json = path.and_then(|it| super::json::json_type(it, problems));
            if let (Some(path), Some(default)) = (path, &field.default) {
                problems.push(
                    Problem::error(
                        "wrong-default",
                        "JSON of a Rust type has no default here",
                        default.span.clone(),
                    )
                    .also(
                        path.span.clone(),
                        "nobody can tell whether it is one of this type",
                    )
                    .help("make the field `nullable`, or set the value in your own code"),
                );
            }
        }
        _ => {}
    }
    found
}

fn wrong_pattern(pattern: &Spanned<String>, error: &regex::Error) -> Problem {
    // The library draws the pattern over several lines; its last line says what is wrong.
    let text = error.to_string();
    let why = text
        .lines()
        .next_back()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    Problem::error(
        "wrong-pattern",
        format!("this regular expression does not compile: {why}"),
        pattern.span.clone(),
    )
    .help("the syntax is that of the Rust crate `regex`: no look-around, no back references")
}

/// Close enough to compare two bounds.
pub(crate) fn as_float(number: &str) -> f64 {
    f64::from_str(number).unwrap_or(f64::NAN)
}
