//! The primary key: a uuid, unless the entity declares its own `id`.

use super::{Constraints, Field, FieldOrigin, FieldType, Name, field};
use crate::definition::{FieldDefinition, Problem};

/// A key of this type.
pub(crate) fn key_field(ty: FieldType, description: Option<String>) -> Field {
    Field {
        name: Name::new("id"),
        ty,
        nullable: false,
        required: false,
        default: None,
        unique: false,
        index: false,
        previously: None,
        backfill: None,
        constraints: Constraints::default(),
        description,
        origin: FieldOrigin::Key,
    }
}

/// The key that is declared as `id`.
pub(crate) fn own_key_field(
    entity: &Name,
    field: &FieldDefinition,
    problems: &mut Vec<Problem>,
) -> Field {
    let resolved = field::resolve(entity, Name::new("id"), field, problems);
    let ty = match resolved.map(|it| it.ty) {
        Some(ty @ (FieldType::Uuid | FieldType::Integer | FieldType::BigInt)) => ty,
        Some(_) => {
            let place = field.kind.as_ref().map_or(&field.name.span, |it| &it.span);
            problems.push(
                Problem::error("wrong-key", "a key cannot be of this type", place.clone()).help(
                    "a key is a `uuid`, an `integer` or a `bigint`; leave `id` out for a uuid",
                ),
            );
            FieldType::Uuid
        }
        // Reported already.
        None => FieldType::Uuid,
    };
    let misplaced = [
        (
            "nullable",
            field
                .nullable
                .as_ref()
                .filter(|it| it.value)
                .map(|it| &it.span),
        ),
        ("default", field.default.as_ref().map(|it| &it.span)),
        ("foreign_key", field.foreign_key.as_ref().map(|it| &it.span)),
        ("previously", field.previously.as_ref().map(|it| &it.span)),
        ("backfill", field.backfill.as_ref().map(|it| &it.span)),
    ];
    for (key, span) in misplaced {
        if let Some(span) = span {
            problems.push(
                Problem::error(
                    "wrong-key",
                    format!("the key `id` cannot have `{key}`"),
                    span.clone(),
                )
                .help("remove it; the generated code gives every row its key"),
            );
        }
    }
    key_field(ty, field.description.clone())
}
