//! The entity whose rows define custom fields.

use super::draft::Draft;
use super::need::{Asker, Need, is_json, is_word};
use super::{Field, FieldType};
use crate::definition::{Problem, Span};

/// What the type of a custom field can be.
const TYPES: [&str; 10] = [
    "string",
    "integer",
    "decimal",
    "boolean",
    "date",
    "datetime",
    "json",
    "reference",
    "picklist",
    "multipicklist",
];

/// Which entity a field or a value is of.
pub(super) const ENTITY_TYPE: Need<'_> = Need {
    column: "entity_type",
    what: "a `string` or an `enum`",
    is: is_word,
    add: "`entity_type: { type: enum, choices: [opportunity], required: true }` to `fields`",
};

/// What the table that defines custom fields must have; whether it has all that the generated code names.
pub(super) fn check(draft: &Draft<'_>, place: &Span, problems: &mut Vec<Problem>) -> bool {
    let asker = Asker {
        who: "a definition table of custom fields",
        place,
    };
    let typed = asker.needs(draft, ENTITY_TYPE, problems).is_some();
    let key = Need {
        column: "key",
        what: "a `string`",
        is: |it| *it == FieldType::String,
        add: "`key: { type: string, required: true }` to `fields`",
    };
    let keyed = asker.needs(draft, key, problems).is_some();
    let data_type = Need {
        column: "data_type",
        what: "an `enum`",
        is: |it| matches!(it, FieldType::Enum { .. }),
        add: "`data_type: { type: enum, choices: [string, integer], required: true }` to `fields`",
    };
    let data_type = asker.needs(draft, data_type, problems).cloned();
    if let Some(Field {
        ty: FieldType::Enum { choices, .. },
        ..
    }) = &data_type
        && let Some(unknown) = choices
            .iter()
            .find(|it| !TYPES.contains(&it.snake.as_str()))
    {
        let place = draft.places.get("data_type").unwrap_or(place);
        let message = format!("a custom field cannot be of type `{}`", unknown.snake);
        problems.push(
            Problem::error("wrong-choice", message, place.clone())
                .help(format!("the types are {}", TYPES.join(", "))),
        );
    }
    let optional = |column, what, is: fn(&FieldType) -> bool| Need {
        column,
        what,
        is,
        add: "",
    };
    let whole: fn(&FieldType) -> bool = |it| *it == FieldType::Integer;
    let decimal: fn(&FieldType) -> bool = |it| matches!(it, FieldType::Decimal { .. });
    for need in [
        optional("is_required", "a `boolean`", |it| *it == FieldType::Boolean),
        optional("picklist_values", "`json`", is_json),
        optional("min_length", "an `integer`", whole),
        optional("max_length", "an `integer`", whole),
        optional("min", "a `decimal`", decimal),
        optional("max", "a `decimal`", decimal),
    ] {
        asker.takes(draft, need, problems);
    }
    let by = |names: &[&str]| {
        let mut queries = draft.entity.queries.iter();
        queries.any(|it| {
            it.unique
                && it.by.len() == names.len()
                && it.by.iter().all(|by| names.contains(&by.as_str()))
        })
    };
    if typed && keyed && !by(&["entity_type", "key"]) && !by(&["user_id", "entity_type", "key"]) {
        let message = format!(
            "two rows of `{}` could define the same field",
            draft.entity.name.snake
        );
        problems.push(
            Problem::error("missing-key", message, draft.place())
                .also(place.clone(), "which custom fields are defined by")
                .help("add the query `{ by: [entity_type, key], unique: true }`"),
        );
    }
    typed && keyed && data_type.is_some()
}
