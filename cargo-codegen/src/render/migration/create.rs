//! The migration that creates one table.

use askama::Template;

use super::super::field::string_literal;
use super::code::{IndexView, Live, Mysql, column, foreign_key, live_column, named};
use crate::schema::{ColumnType, ForeignKey, Step};

#[derive(Template)]
#[template(path = "migration/src/create_table.rs.jinja")]
struct FileView<'a> {
    name: &'a str,
    table: String,
    /// MySQL is one of several databases.
    among: bool,
    up: String,
    dropped: Vec<String>,
}

/// The statements that make a table.
#[derive(Template)]
#[template(path = "migration/src/create_steps.rs.jinja")]
struct TableView {
    table: String,
    /// MySQL is one of several databases.
    among: bool,
    /// MySQL is the only one.
    alone: bool,
    columns: Vec<String>,
    /// A column has a type of pgvector's.
    vectors: bool,
    /// The primary key, where it is of several columns.
    key: Vec<String>,
    inline: Vec<String>,
    early: Vec<String>,
    /// A column that is NULL in deleted rows, for databases without partial indexes.
    live: Option<Live>,
    indexes: Vec<IndexView>,
    late: Vec<String>,
}

/// The migration that creates a table.
pub(super) fn file(step: &Step<'_>, mysql: Mysql) -> askama::Result<String> {
    let late = step.late.iter();
    FileView {
        name: &step.table.name,
        table: string_literal(&step.table.name),
        among: mysql == Mysql::Among,
        up: statements(step, mysql)?,
        dropped: late
            .map(|(table, key)| named(&key.name, &table.name))
            .collect(),
    }
    .render()
}

/// The statements that make a table.
pub(super) fn statements(step: &Step<'_>, mysql: Mysql) -> askama::Result<String> {
    view(step, mysql).render()
}

fn view(step: &Step<'_>, mysql: Mysql) -> TableView {
    let table = step.table;
    let inline = |key: &&ForeignKey| !step.early.contains(key);
    let mut key: Vec<String> = table
        .columns
        .iter()
        .filter(|it| it.primary_key)
        .map(|it| string_literal(&it.name))
        .collect();
    if key.len() < 2 {
        key.clear();
    }
    let mut columns = table.columns.clone();
    if !key.is_empty() {
        for column in &mut columns {
            column.primary_key = false;
        }
    }
    TableView {
        table: string_literal(&table.name),
        among: mysql == Mysql::Among,
        alone: mysql == Mysql::Alone,
        columns: columns.iter().map(|it| column(it, mysql)).collect(),
        vectors: columns
            .iter()
            .any(|it| matches!(it.ty, ColumnType::Vector(_))),
        key,
        inline: table
            .foreign_keys
            .iter()
            .filter(inline)
            .map(|it| foreign_key(&table.name, it))
            .collect(),
        early: step
            .early
            .iter()
            .map(|it| foreign_key(&table.name, it))
            .collect(),
        live: live_column(table),
        indexes: table
            .indexes
            .iter()
            .map(|it| IndexView::new(&table.name, it))
            .collect(),
        late: step
            .late
            .iter()
            .map(|(table, it)| foreign_key(&table.name, it))
            .collect(),
    }
}
