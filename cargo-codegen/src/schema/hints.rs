//! What definitions say about the way from one schema to the next, which tables alone do not tell.

use super::derive::literal;
use super::table::Literal;
use crate::model::{DefaultValue, Field, FieldType, Model};

/// Former names, and values for the rows that there are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hints {
    /// Tables with another name before.
    pub tables: Vec<Rename>,
    /// Columns about which there is something to say.
    pub columns: Vec<ColumnHint>,
}

/// A table with another name before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The former name.
    pub from: String,
    /// The name now.
    pub to: String,
}

/// A column about which there is something to say.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnHint {
    /// The table's name now.
    pub table: String,
    /// The column's name now.
    pub column: String,
    /// The former name.
    pub previously: Option<String>,
    /// What rows without a value get.
    pub fill: Option<Fill>,
    /// The definition says so, and not only by the default.
    pub explicit: bool,
}

/// What rows without a value get.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// A value that every database writes alike.
    Value(Literal),
    /// An id.
    Uuid(String),
    /// The time of the migration.
    Now,
}

impl Hints {
    /// The table's name before, if it has been renamed.
    pub fn former_table(&self, name: &str) -> Option<&str> {
        let mut tables = self.tables.iter();
        tables.find(|it| it.to == name).map(|it| it.from.as_str())
    }

    /// What is said about a column.
    pub fn column(&self, table: &str, column: &str) -> Option<&ColumnHint> {
        let mut columns = self.columns.iter();
        columns.find(|it| it.table == table && it.column == column)
    }
}

/// What the definitions say.
pub fn hints(model: &Model) -> Hints {
    let renamed = model.entities.iter().filter_map(|it| {
        Some(Rename {
            from: it.previously.clone()?,
            to: it.table.clone(),
        })
    });
    let columns = model.entities.iter().flat_map(|entity| {
        let fields = entity.fields.iter();
        fields.map(|field| ColumnHint {
            table: entity.table.clone(),
            column: field.name.snake.clone(),
            previously: field.previously.clone(),
            fill: fill(field),
            explicit: field.backfill.is_some(),
        })
    });
    Hints {
        tables: renamed.collect(),
        columns: columns
            .filter(|it| it.previously.is_some() || it.fill.is_some())
            .collect(),
    }
}

fn fill(field: &Field) -> Option<Fill> {
    let value = field.backfill.as_ref().or(field.default.as_ref())?;
    Some(match value {
        DefaultValue::Now => Fill::Now,
        DefaultValue::Text(text) if field.ty == FieldType::Uuid => Fill::Uuid(text.clone()),
        value => Fill::Value(literal(value, &field.ty)?),
    })
}
