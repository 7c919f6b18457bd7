//! How an entity's row becomes the payload of an event that it emits.

use super::payload::is_copy;
use crate::model::{Event, Field, FieldType, Model, PayloadField, PayloadType};

/// `impl From<&entity::<module>::Model>` for an event.
#[derive(Debug, Clone)]
pub(super) struct Conversion {
    /// Path of the row's type.
    pub(super) row: String,
    /// What the row is called.
    pub(super) ident: String,
    /// Traits that the conversion needs in scope.
    pub(super) uses: &'static str,
    /// Payload field and the expression that fills it from the row.
    pub(super) assignments: Vec<(String, String)>,
}

/// The conversions from the rows of the entities that emit this event and can fill it completely.
pub(super) fn conversions(model: &Model, event: &Event) -> Vec<Conversion> {
    let entity_crate = model.config.entity_crate.ident();
    model
        .entities
        .iter()
        .filter_map(|entity| {
            let emission = entity
                .emits
                .iter()
                .find(|it| it.event == event.name.snake)?;
            let pairs = event
                .payload
                .iter()
                .map(|payload| {
                    let column = emission
                        .mapping
                        .iter()
                        .find(|(name, _)| *name == payload.name.snake)
                        .map(|(_, column)| column)?;
                    Some((payload, entity.field(column)?))
                })
                .collect::<Option<Vec<_>>>()?;
            let has_enum = pairs
                .iter()
                .any(|(_, column)| matches!(column.ty, FieldType::Enum { .. }));
            Some(Conversion {
                row: format!("{entity_crate}::{}::Model", entity.name.ident),
                ident: entity.name.ident.clone(),
                uses: if has_enum { "sea_orm::ActiveEnum" } else { "" },
                assignments: pairs
                    .into_iter()
                    .map(|(payload, column)| {
                        let row = &entity.name.ident;
                        (payload.name.ident.clone(), expression(row, payload, column))
                    })
                    .collect(),
            })
        })
        .collect()
}

/// The payload field's value, from a column of the row.
fn expression(row: &str, payload: &PayloadField, column: &Field) -> String {
    let path = format!("{row}.{}", column.name.ident);
    let Some(convert) = conversion(&payload.ty, &column.ty) else {
        let value = if is_copy(&payload.ty) {
            path
        } else {
            format!("{path}.clone()")
        };
        return match (column.nullable, payload.nullable) {
            (false, true) => format!("Some({value})"),
            _ => value,
        };
    };
    match (column.nullable, payload.nullable) {
        (true, _) => format!("{path}.as_ref().map(|it| {})", convert("it", "*it")),
        (false, true) => format!("Some({})", convert(&path, &path)),
        (false, false) => convert(&path, &path),
    }
}

/// From a place and its value to an expression.
type Convert = fn(&str, &str) -> String;

/// How a column's type becomes another payload type; `None` where the two are the same.
fn conversion(payload: &PayloadType, column: &FieldType) -> Option<Convert> {
    match (payload, column) {
        (PayloadType::String, FieldType::Enum { .. }) => {
            Some(|place, _| format!("{place}.to_value()"))
        }
        (PayloadType::String, FieldType::Uuid | FieldType::Decimal { .. }) => {
            Some(|place, _| format!("{place}.to_string()"))
        }
        (PayloadType::Integer, FieldType::Integer) => {
            Some(|_, value| format!("i64::from({value})"))
        }
        (PayloadType::Number, FieldType::Integer) => Some(|_, value| format!("f64::from({value})")),
        (PayloadType::Decimal, FieldType::Integer | FieldType::BigInt) => {
            Some(|_, value| format!("{value}.into()"))
        }
        _ => None,
    }
}
