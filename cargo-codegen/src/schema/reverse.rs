//! The way back.

use super::diff::{Change, diff};
use super::hints::{ColumnHint, Fill, Hints, Rename};
use super::table::{Column, ColumnType, Literal, Table};

/// The changes that take those of `changes` back: from `after` to `before`.
///
/// What was dropped comes back empty. Where it may not be NULL, rows get a value that says nothing.
pub fn reverse(before: &[Table], after: &[Table], changes: &[Change]) -> Vec<Change> {
    let mut hints = Hints::default();
    let former = |table: &str| -> String {
        let renamed = changes.iter().find_map(|it| match it {
            Change::RenameTable { from, to } if to == table => Some(from.clone()),
            _ => None,
        });
        renamed.unwrap_or_else(|| table.to_owned())
    };
    for change in changes {
        match change {
            Change::RenameTable { from, to } => hints.tables.push(Rename {
                from: to.clone(),
                to: from.clone(),
            }),
            Change::RenameColumn { table, from, to } => hints.columns.push(ColumnHint {
                table: former(table),
                column: from.clone(),
                previously: Some(to.clone()),
                fill: None,
                explicit: false,
            }),
            _ => {}
        }
    }
    for table in before {
        for column in table.columns.iter().filter(|it| !it.nullable) {
            let hint = hints
                .columns
                .iter_mut()
                .find(|it| it.table == table.name && it.column == column.name);
            match hint {
                Some(hint) => hint.fill = Some(nothing(column)),
                None => hints.columns.push(ColumnHint {
                    table: table.name.clone(),
                    column: column.name.clone(),
                    previously: None,
                    fill: Some(nothing(column)),
                    explicit: false,
                }),
            }
        }
    }
    diff(after, before, &hints)
}

/// A value that says nothing.
fn nothing(column: &Column) -> Fill {
    if let Some(default) = &column.default {
        return Fill::Value(default.clone());
    }
    let first = column.choices.as_ref().and_then(|it| it.first());
    let text = |text: &str| Fill::Value(Literal::Text(text.to_owned()));
    match column.ty {
        ColumnType::String(_) | ColumnType::Text => text(first.map_or("", String::as_str)),
        ColumnType::Integer | ColumnType::BigInteger => Fill::Value(Literal::Integer(0)),
        ColumnType::Decimal(..) => text("0"),
        ColumnType::Double => Fill::Value(Literal::Float(0.0)),
        ColumnType::Boolean => Fill::Value(Literal::Boolean(false)),
        ColumnType::Uuid => Fill::Uuid("00000000-0000-0000-0000-000000000000".to_owned()),
        ColumnType::Date | ColumnType::Time | ColumnType::TimestampWithTimeZone => Fill::Now,
        ColumnType::JsonBinary => text("null"),
        ColumnType::Blob => text(""),
        ColumnType::Vector(dimensions) => {
            text(&format!("[{}]", vec!["0"; dimensions as usize].join(",")))
        }
    }
}
