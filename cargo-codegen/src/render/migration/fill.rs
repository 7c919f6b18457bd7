//! Values for the rows that there are.

use super::super::field::string_literal;
use super::code::Mysql;
use crate::schema::{Column, ColumnType, Fill, Literal, removed_choices};

/// Sets a column in some of the rows.
pub(super) struct FillView {
    pub(super) table: String,
    pub(super) column: String,
    pub(super) value: String,
    /// Which rows; all of them, if there is none.
    pub(super) condition: Option<String>,
}

/// What a new column holds.
pub(super) fn added(
    table: &str,
    column: &Column,
    fill: Option<&Fill>,
    mysql: Mysql,
) -> Option<FillView> {
    Some(FillView {
        table: string_literal(table),
        column: string_literal(&column.name),
        value: value(column, fill?, mysql),
        condition: None,
    })
}

/// What stands where a value is not allowed any more.
pub(super) fn altered(
    table: &str,
    before: &Column,
    after: &Column,
    fill: Option<&Fill>,
    mysql: Mysql,
) -> Vec<FillView> {
    let name = string_literal(&after.name);
    let view = |value: String, condition: String| FillView {
        table: string_literal(table),
        column: name.clone(),
        value,
        condition: Some(condition),
    };
    let mut views = Vec::new();
    if before.nullable
        && !after.nullable
        && let Some(fill) = fill
    {
        let value = value(after, fill, mysql);
        views.push(view(value, format!("Expr::col({name}).is_null()")));
    }
    let removed = removed_choices(before, after);
    if !removed.is_empty() {
        let removed: Vec<String> = removed.iter().map(|it| string_literal(it)).collect();
        let condition = format!("Expr::col({name}).is_in([{}])", removed.join(", "));
        let null = || "Expr::null()".to_owned();
        let value = fill.map_or_else(null, |it| value(after, it, mysql));
        views.push(view(value, condition));
    }
    views
}

fn value(column: &Column, fill: &Fill, mysql: Mysql) -> String {
    // Literals stand in the statement itself: PostgreSQL takes no parameter of type text for a date.
    let constant = |value: &str| format!("Expr::Constant({value}.into())");
    match fill {
        Fill::Value(Literal::Text(text)) => {
            let plain = constant(&string_literal(text));
            let Some(bare) = text
                .strip_suffix("+00:00")
                .filter(|_| column.ty == ColumnType::TimestampWithTimeZone)
            else {
                return plain;
            };
            // Its points in time have no offset.
            let bare = constant(&string_literal(bare));
            match mysql {
                Mysql::Absent => plain,
                Mysql::Among => format!("if mysql {{ {bare} }} else {{ {plain} }}"),
                Mysql::Alone => bare,
            }
        }
        Fill::Value(Literal::Boolean(value)) => constant(&value.to_string()),
        Fill::Value(Literal::Integer(value)) => constant(&format!("{value}_i64")),
        Fill::Value(Literal::Float(value)) => constant(&format!("{value:?}")),
        Fill::Uuid(text) => {
            let digits = text.replace('-', "");
            let digits = digits.trim_start_matches('0');
            if digits.is_empty() {
                "Expr::value(sea_orm::prelude::Uuid::nil())".to_owned()
            } else {
                format!("Expr::value(sea_orm::prelude::Uuid::from_u128(0x{digits}))")
            }
        }
        Fill::Now => match column.ty {
            ColumnType::Date => "Expr::current_date()".to_owned(),
            ColumnType::Time => "Expr::current_time()".to_owned(),
            _ => "now(manager)?".to_owned(),
        },
    }
}
