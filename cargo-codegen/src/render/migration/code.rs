//! Parts of tables as calls of SeaQuery's builders.

use super::super::field::string_literal;
use crate::model::Database;
use crate::model::mysql::MAX_INDEXED_LENGTH;
use crate::schema::{
    Column, ColumnType, ForeignKey, Index, IndexMethod, Literal, OnDeleteAction, Table,
};

/// How far a migration has to care for MySQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mysql {
    Absent,
    /// Beside other databases.
    Among,
    Alone,
}

impl Mysql {
    pub(super) fn of(databases: &[Database]) -> Self {
        match databases {
            [Database::Mysql] => Self::Alone,
            databases if databases.contains(&Database::Mysql) => Self::Among,
            _ => Self::Absent,
        }
    }
}

/// MySQL's own types for points in time keep whole seconds and end in 2038; those for texts hold 64 KB, and take
/// only expressions as defaults.
pub(super) fn column(column: &Column, mysql: Mysql) -> String {
    let other = match column.ty {
        ColumnType::TimestampWithTimeZone => "datetime(6)",
        ColumnType::Time => "time(6)",
        ColumnType::Text => "longtext",
        ColumnType::String(length) if length > MAX_INDEXED_LENGTH => "longtext",
        ColumnType::Blob => "longblob",
        ColumnType::JsonBinary => "json",
        _ => return plain_column(column),
    };
    let name = string_literal(&column.name);
    let null = if column.nullable { "_null" } else { "" };
    let mut there = format!("custom{null}({name}, {other:?})");
    if let Some(default) = &column.default {
        let value = match default {
            // Its points in time have no offset.
            Literal::Text(text) if column.ty == ColumnType::TimestampWithTimeZone => {
                string_literal(text.trim_end_matches("+00:00"))
            }
            _ => literal(default),
        };
        there += &format!(".default(Expr::tuple([Expr::value({value})]))");
    }
    let is_same = column.ty == ColumnType::JsonBinary && column.default.is_none();
    match mysql {
        Mysql::Among if !is_same => {
            // A default gives a reference, which would not outlive its branch.
            let take = if column.default.is_some() {
                ".take()"
            } else {
                ""
            };
            let elsewhere = plain_column(column);
            format!("if mysql {{ {there}{take} }} else {{ {elsewhere}{take} }}")
        }
        Mysql::Alone if !is_same => there,
        _ => plain_column(column),
    }
}

pub(super) fn plain_column(column: &Column) -> String {
    let name = string_literal(&column.name);
    let null = if column.nullable { "_null" } else { "" };
    let mut code = match column.ty {
        ColumnType::String(length) => format!("string_len{null}({name}, {length})"),
        ColumnType::Decimal(precision, scale) => {
            format!("decimal_len{null}({name}, {precision}, {scale})")
        }
        ColumnType::Text => format!("text{null}({name})"),
        ColumnType::Integer => format!("integer{null}({name})"),
        ColumnType::BigInteger => format!("big_integer{null}({name})"),
        ColumnType::Double => format!("double{null}({name})"),
        ColumnType::Boolean => format!("boolean{null}({name})"),
        ColumnType::Uuid => format!("uuid{null}({name})"),
        ColumnType::Date => format!("date{null}({name})"),
        ColumnType::Time => format!("time{null}({name})"),
        ColumnType::TimestampWithTimeZone => format!("timestamp_with_time_zone{null}({name})"),
        ColumnType::JsonBinary => format!("json_binary{null}({name})"),
        ColumnType::Blob => format!("blob{null}({name})"),
        ColumnType::Vector(dimensions) => {
            format!("custom{null}({name}, \"vector({dimensions})\")")
        }
    };
    if column.primary_key {
        code += ".primary_key()";
    }
    if column.auto_increment {
        code += ".auto_increment()";
    }
    if let Some(default) = &column.default {
        code += &format!(".default({})", literal(default));
    }
    code
}

fn literal(default: &Literal) -> String {
    match default {
        Literal::Boolean(value) => value.to_string(),
        Literal::Integer(value) => value.to_string(),
        Literal::Float(value) => format!("{value:?}"),
        Literal::Text(value) => string_literal(value),
    }
}

/// Name of the [`Live`] column of another one.
fn live(column: &str) -> String {
    format!("{column}_is_null")
}

fn index(table: &str, index: &Index) -> String {
    let mut code = format!(
        ".name({})\n.table({})",
        string_literal(&index.name),
        string_literal(table)
    );
    for column in &index.columns {
        let name = string_literal(&column.name);
        if index.using == Some(IndexMethod::Hnsw) {
            code += &format!(
                "\n.col({name}.into_index_column().with_operator_class(\"vector_cosine_ops\"))"
            );
        } else if column.descending {
            code += &format!("\n.col(({name}, IndexOrder::Desc))");
        } else {
            code += &format!("\n.col({name})");
        }
    }
    if index.unique {
        code += "\n.unique()";
    }
    if index.using == Some(IndexMethod::Hnsw) {
        code += "\n.index_type(IndexType::Custom(\"hnsw\".into_iden()))";
    }
    code
}

pub(super) fn foreign_key(table: &str, key: &ForeignKey) -> String {
    let action = match key.on_delete {
        OnDeleteAction::Restrict => "Restrict",
        OnDeleteAction::Cascade => "Cascade",
        OnDeleteAction::SetNull => "SetNull",
    };
    format!(
        ".name({})\n.from({}, {})\n.to({}, {})\n.on_delete(ForeignKeyAction::{action})",
        string_literal(&key.name),
        string_literal(table),
        string_literal(&key.column),
        string_literal(&key.to_table),
        string_literal(&key.to_column),
    )
}

/// A column that is 1 while another one is NULL, and NULL otherwise.
pub(super) struct Live {
    pub(super) name: String,
    pub(super) expression: String,
}

/// The [`Live`] column of a table on MySQL, if it needs one.
pub(super) fn live_column(table: &Table) -> Option<Live> {
    let mut indexes = table.indexes.iter();
    let column = indexes.find_map(|it| it.where_null.as_ref())?;
    Some(Live {
        name: string_literal(&live(column)),
        expression: string_literal(&format!("IF(`{column}` IS NULL, 1, NULL)")),
    })
}

/// An index as code: what is the same on every database, and its condition.
pub(super) struct IndexView {
    pub(super) code: String,
    /// The column that must be NULL, and the [`Live`] one that says so.
    pub(super) where_null: Option<(String, String)>,
}

impl IndexView {
    pub(super) fn new(table: &str, it: &Index) -> Self {
        Self {
            code: index(table, it),
            where_null: it
                .where_null
                .as_ref()
                .map(|it| (string_literal(it), string_literal(&live(it)))),
        }
    }
}

/// What names an index or a foreign key that is dropped.
pub(super) fn named(name: &str, table: &str) -> String {
    format!(
        ".name({})\n.table({})",
        string_literal(name),
        string_literal(table)
    )
}
