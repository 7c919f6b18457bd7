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
    /// Whether decimals get back the zeros at their end.
    pub(super) scales: bool,
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
            let shortens = model.config.shortens_decimals();
            let scales = pairs.iter().any(|it| scale(it.0, it.1, shortens).is_some());
            let has_enum = pairs
                .iter()
                .any(|(_, column)| matches!(column.ty, FieldType::Enum { .. }));
            Some(Conversion {
                row: format!("{entity_crate}::{}::Model", entity.name.ident),
                ident: entity.name.ident.clone(),
                uses: if has_enum { "sea_orm::ActiveEnum" } else { "" },
                scales,
                assignments: pairs
                    .into_iter()
                    .map(|(payload, column)| {
                        let row = &entity.name.ident;
                        let value = expression(row, payload, column, shortens);
                        (payload.name.ident.clone(), value)
                    })
                    .collect(),
            })
        })
        .collect()
}

/// The payload field's value, from a column of the row.
fn expression(row: &str, payload: &PayloadField, column: &Field, shortens: bool) -> String {
    let value = format!("{row}.{}", column.name.ident);
    if let Some(scale) = scale(payload, column, shortens) {
        return scaled(&value, payload, column, scale);
    }
    let convert = conversion(&payload.ty, &column.ty);
    match (column.nullable, payload.nullable, convert) {
        (false, false, convert) => convert.apply(&value),
        (false, true, convert) => format!("Some({})", convert.apply(&value)),
        // The definitions are refused if the payload of a nullable column is not nullable.
        (true, _, Convert::Function(function)) => format!("{value}.map({function})"),
        (true, _, Convert::Method(method)) => format!("{value}.map(|it| it.{method}())"),
        (true, _, same) => same.apply(&value),
    }
}

/// The digits behind the point that a decimal is to have, if the database may have shortened it.
fn scale(payload: &PayloadField, column: &Field, shortens: bool) -> Option<u32> {
    match (&payload.ty, &column.ty) {
        (PayloadType::Decimal | PayloadType::String, FieldType::Decimal { scale, .. })
            if shortens && *scale > 0 =>
        {
            Some(*scale)
        }
        _ => None,
    }
}

fn scaled(value: &str, payload: &PayloadField, column: &Field, scale: u32) -> String {
    let text = match payload.ty {
        PayloadType::String => ".to_string()",
        _ => "",
    };
    match (column.nullable, payload.nullable) {
        (true, _) => format!("{value}.map(|it| number::scaled(it, {scale}){text})"),
        (false, true) => format!("Some(number::scaled({value}, {scale}){text})"),
        (false, false) => format!("number::scaled({value}, {scale}){text}"),
    }
}

/// How a column's value becomes another payload value. Every column type that needs one is `Copy`.
#[derive(Debug, Clone, Copy)]
enum Convert {
    Copy,
    Clone,
    Function(&'static str),
    Method(&'static str),
}

impl Convert {
    fn apply(self, value: &str) -> String {
        match self {
            Self::Copy => value.to_owned(),
            Self::Clone => format!("{value}.clone()"),
            Self::Function(function) => format!("{function}({value})"),
            Self::Method(method) => format!("{value}.{method}()"),
        }
    }
}

fn conversion(payload: &PayloadType, column: &FieldType) -> Convert {
    match (payload, column) {
        (PayloadType::String, FieldType::Enum { .. }) => Convert::Method("to_value"),
        (PayloadType::String, FieldType::Uuid | FieldType::Decimal { .. }) => {
            Convert::Method("to_string")
        }
        (PayloadType::Integer, FieldType::Integer) => Convert::Function("i64::from"),
        (PayloadType::Number, FieldType::Integer) => Convert::Function("f64::from"),
        (PayloadType::Decimal, FieldType::Integer | FieldType::BigInt) => {
            Convert::Function("rust_decimal::Decimal::from")
        }
        _ if is_copy(payload) => Convert::Copy,
        _ => Convert::Clone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Constraints, FieldOrigin, Name};

    fn value(column: FieldType, nullable: bool, payload: PayloadType, optional: bool) -> String {
        let column = Field {
            name: Name::new("type"),
            ty: column,
            nullable,
            required: !nullable,
            default: None,
            unique: false,
            index: false,
            previously: None,
            backfill: None,
            constraints: Constraints::default(),
            description: None,
            origin: FieldOrigin::Declared,
        };
        let payload = PayloadField {
            name: Name::new("kind"),
            ty: payload,
            nullable: optional,
            description: None,
        };
        expression("row", &payload, &column, true)
    }

    #[test]
    fn a_column_becomes_the_payloads_type() {
        use FieldType::{BigInt, Integer, Text, Uuid};
        assert_eq!(value(Uuid, false, PayloadType::Uuid, false), "row.r#type");
        assert_eq!(
            value(Text, false, PayloadType::String, false),
            "row.r#type.clone()"
        );
        assert_eq!(
            value(Integer, false, PayloadType::Integer, false),
            "i64::from(row.r#type)"
        );
        assert_eq!(
            value(BigInt, false, PayloadType::Decimal, false),
            "rust_decimal::Decimal::from(row.r#type)"
        );
    }

    #[test]
    fn a_decimal_gets_its_zeros_back() {
        let decimal = || FieldType::Decimal {
            precision: 12,
            scale: 2,
        };
        assert_eq!(
            value(decimal(), false, PayloadType::Decimal, false),
            "number::scaled(row.r#type, 2)"
        );
        assert_eq!(
            value(decimal(), true, PayloadType::String, true),
            "row.r#type.map(|it| number::scaled(it, 2).to_string())"
        );
    }

    #[test]
    fn null_stays_null_and_a_value_becomes_some() {
        use FieldType::{Integer, Text, Uuid};
        assert_eq!(
            value(Text, true, PayloadType::String, true),
            "row.r#type.clone()"
        );
        assert_eq!(
            value(Integer, true, PayloadType::Number, true),
            "row.r#type.map(f64::from)"
        );
        assert_eq!(
            value(Uuid, true, PayloadType::String, true),
            "row.r#type.map(|it| it.to_string())"
        );
        assert_eq!(
            value(Uuid, false, PayloadType::String, true),
            "Some(row.r#type.to_string())"
        );
    }
}
