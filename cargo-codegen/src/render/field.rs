//! What the templates say about one column.

use heck::ToUpperCamelCase;

use super::imports::Imports;
use crate::model::{Config, DefaultValue, Entity, Field, FieldOrigin, FieldType, TENANT};

/// The variant of SeaORM's `Column` enum.
pub(super) fn variant(field: &Field) -> String {
    let plain = field.name.ident.trim_start_matches("r#");
    let variant = plain.to_upper_camel_case();
    if variant == "Self" {
        format!("{variant}_")
    } else {
        variant
    }
}

/// The type of the column in the entity crate, with SeaORM's prelude in scope.
pub(super) fn entity_type(field: &Field, entity_crate: &str) -> String {
    if let Some(json) = &field.constraints.json {
        return optional(json.in_entity_crate(entity_crate), field.nullable);
    }
    let ty = match &field.ty {
        FieldType::String | FieldType::Text => "String",
        FieldType::Integer => "i32",
        FieldType::BigInt => "i64",
        FieldType::Decimal { .. } => "Decimal",
        FieldType::Float => "f64",
        FieldType::Boolean => "bool",
        FieldType::Uuid => "Uuid",
        FieldType::Date => "Date",
        FieldType::Time => "Time",
        FieldType::DateTime => "DateTimeUtc",
        FieldType::Json => "Json",
        FieldType::Bytes => "Vec<u8>",
        FieldType::Vector { .. } => "PgVector",
        FieldType::Enum { type_name, .. } => type_name,
    };
    optional(ty.to_owned(), field.nullable)
}

/// The type of the column's values in the app crate, NULL aside.
pub(super) fn app_type(ty: &FieldType, module: &str, imports: &mut Imports) -> String {
    match ty {
        FieldType::String | FieldType::Text => "String".to_owned(),
        FieldType::Integer => "i32".to_owned(),
        FieldType::BigInt => "i64".to_owned(),
        FieldType::Decimal { .. } => imports.name("rust_decimal::Decimal"),
        FieldType::Float => "f64".to_owned(),
        FieldType::Boolean => "bool".to_owned(),
        FieldType::Uuid => imports.name("uuid::Uuid"),
        FieldType::Date => imports.name("chrono::NaiveDate"),
        FieldType::Time => imports.name("chrono::NaiveTime"),
        FieldType::DateTime => {
            let date_time = imports.name("chrono::DateTime");
            let utc = imports.name("chrono::Utc");
            format!("{date_time}<{utc}>")
        }
        FieldType::Json => imports.name("serde_json::Value"),
        FieldType::Bytes => "Vec<u8>".to_owned(),
        FieldType::Vector { .. } => imports.name("sea_orm::prelude::PgVector"),
        FieldType::Enum { type_name, .. } => imports.name(&format!("{module}::{type_name}")),
    }
}

/// The type of a value that is only looked at: `&str` rather than `String`.
pub(super) fn argument_type(ty: &FieldType, module: &str, imports: &mut Imports) -> String {
    match ty {
        FieldType::String | FieldType::Text => "&str".to_owned(),
        FieldType::Bytes => "&[u8]".to_owned(),
        other => app_type(other, module, imports),
    }
}

/// `Option<T>` if it may be missing.
pub(super) fn optional(ty: String, optional: bool) -> String {
    if optional {
        format!("Option<{ty}>")
    } else {
        ty
    }
}

/// One line about a field: what the definition says, or what its name says.
pub(super) fn doc(entity: &Entity, field: &Field) -> String {
    if let Some(description) = field.description.as_deref() {
        let line = one_line(description);
        if !line.is_empty() {
            return line;
        }
    }
    let thing = &entity.name.human;
    match (field.origin, field.name.snake.as_str()) {
        (FieldOrigin::Key, _) if field.ty == FieldType::Uuid => {
            "Primary key, a UUID v7.".to_owned()
        }
        (FieldOrigin::Key, _) => "Primary key.".to_owned(),
        (FieldOrigin::Behavior, "created_at") => format!("When the {thing} was created."),
        (FieldOrigin::Behavior, "updated_at") => format!("When the {thing} was last changed."),
        (FieldOrigin::Behavior, "deleted_at") => {
            format!("When the {thing} was deleted, if it was.")
        }
        (FieldOrigin::Behavior, "external_id") => {
            format!("What the provider calls the {thing}, if it comes from one.")
        }
        (FieldOrigin::Behavior, "provider") => {
            format!("The system that the {thing} comes from, if it comes from one.")
        }
        (FieldOrigin::Behavior, "provider_metadata") => {
            format!("What the provider says about the {thing} beside its fields.")
        }
        (FieldOrigin::Behavior, "version") => {
            format!("How often the {thing} was written; 1 at first.")
        }
        (FieldOrigin::Behavior, TENANT) => format!("Whose the {thing} is."),
        (FieldOrigin::Behavior, "created_by") => {
            format!("Who created the {thing}, if that is known.")
        }
        (FieldOrigin::Behavior, "updated_by") => {
            format!("Who changed the {thing} last, if that is known.")
        }
        _ => reference_doc(entity, field)
            .unwrap_or_else(|| format!("{}.", capitalized(&field.name.human))),
    }
}

fn reference_doc(entity: &Entity, field: &Field) -> Option<String> {
    let relation = entity.relations.iter().find(|it| {
        it.kind == crate::model::RelationKind::BelongsTo && it.foreign_key.snake == field.name.snake
    })?;
    Some(format!("Id of the {}.", relation.name.human))
}

/// The words with their white space, line ends above all, made plain.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// With a capital first letter.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// `a` or `an`, and the word.
pub(super) fn with_article(text: &str) -> String {
    let article = match text.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'A' | 'E' | 'I' | 'O') => "an",
        _ => "a",
    };
    format!("{article} {text}")
}

/// Whether it is a date or a time.
pub(super) fn is_moment(ty: &FieldType) -> bool {
    matches!(ty, FieldType::Date | FieldType::Time | FieldType::DateTime)
}

/// Whether it is a number that is text in JSON.
pub(super) fn is_number(ty: &FieldType) -> bool {
    matches!(ty, FieldType::BigInt | FieldType::Decimal { .. })
}

/// Whether clients may set it.
pub(super) fn is_input(field: &Field) -> bool {
    field.origin == FieldOrigin::Declared && !field.ty.is_vector()
}

/// Whether it is JSON of any form, in a column that is not nullable.
pub(super) fn must_be_json(field: &Field) -> bool {
    field.ty == FieldType::Json && field.constraints.json.is_none() && !field.nullable
}

/// Whether leaving it out means the current time.
pub(super) fn defaults_to_now(field: &Field) -> bool {
    field.default == Some(DefaultValue::Now)
}

/// A row's value as it is shown: a decimal with all the digits that it is declared with.
pub(super) fn shown(
    field: &Field,
    config: &Config,
    value: String,
    imports: &mut Imports,
) -> String {
    match field.ty {
        FieldType::Decimal { scale, .. } if scale > 0 && config.shortens_decimals() => {
            let number = imports.name("crate::generated::number");
            if field.nullable {
                format!("{value}.map(|it| {number}::scaled(it, {scale}))")
            } else {
                format!("{number}::scaled({value}, {scale})")
            }
        }
        _ => value,
    }
}

/// A Rust string literal.
pub(super) fn string_literal(text: &str) -> String {
    format!("{text:?}")
}
