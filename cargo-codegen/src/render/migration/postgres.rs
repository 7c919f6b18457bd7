//! What PostgreSQL has to be told about a column before SeaQuery alters it.

use crate::schema::{Column, ColumnType};

/// Parts of an `ALTER TABLE`; none where SeaQuery's are enough.
pub(super) fn alterations(before: &Column, after: &Column) -> Vec<String> {
    let name = quoted(&after.name);
    let mut parts = Vec::new();
    let retyped = before.ty != after.ty;
    // A default of the old type may not cast, and SeaQuery only sets one.
    if before.default.is_some() && (after.default.is_none() || retyped) {
        parts.push(format!("ALTER COLUMN {name} DROP DEFAULT"));
    }
    if let Some(cast) = cast(&name, before.ty, after.ty) {
        let ty = type_name(after.ty);
        parts.push(format!("ALTER COLUMN {name} TYPE {ty} USING {cast}"));
    }
    parts
}

/// How values become those of the other type, where PostgreSQL does not know by itself.
fn cast(name: &str, before: ColumnType, after: ColumnType) -> Option<String> {
    use ColumnType::{
        BigInteger, Boolean, Date, Decimal, Double, Integer, String, Text, Time,
        TimestampWithTimeZone,
    };
    let number = |it| matches!(it, Integer | BigInteger | Decimal(..) | Double);
    let text = |it| matches!(it, String(_) | Text);
    let ty = type_name(after);
    match (before, after) {
        (a, b) if a == b || text(b) || (number(a) && number(b)) => None,
        (Date, TimestampWithTimeZone) | (TimestampWithTimeZone, Date | Time) => None,
        (Boolean, Integer) | (Integer, Boolean) => Some(format!("{name}::{ty}")),
        (a, _) if text(a) => Some(format!("{name}::{ty}")),
        _ => Some(format!("{name}::text::{ty}")),
    }
}

fn type_name(ty: ColumnType) -> String {
    match ty {
        ColumnType::String(length) => return format!("varchar({length})"),
        ColumnType::Decimal(precision, scale) => return format!("decimal({precision}, {scale})"),
        ColumnType::Vector(dimensions) => return format!("vector({dimensions})"),
        ColumnType::Text => "text",
        ColumnType::Integer => "integer",
        ColumnType::BigInteger => "bigint",
        ColumnType::Double => "double precision",
        ColumnType::Boolean => "bool",
        ColumnType::Uuid => "uuid",
        ColumnType::Date => "date",
        ColumnType::Time => "time",
        ColumnType::TimestampWithTimeZone => "timestamp with time zone",
        ColumnType::JsonBinary => "jsonb",
        ColumnType::Blob => "bytea",
    }
    .to_owned()
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
