//! One migration for each table that no migration creates yet, those of the runtime that the routes need included.

use askama::Template;
use camino::Utf8PathBuf;
use chrono::{NaiveDateTime, TimeDelta};

use super::field::string_literal;
use super::{Rendered, scaffold};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::mysql::MAX_INDEXED_LENGTH;
use crate::model::{Database, Model};
use crate::schema::{
    self, Column, ColumnType, ForeignKey, Index, IndexMethod, Literal, OnDeleteAction, Snapshot,
    SnapshotError, Step, Table,
};

/// How a migration's module spells its time.
const STAMP: &str = "%Y%m%d_%H%M%S";

/// What the snapshot calls the runtime's table of idempotency keys.
const IDEMPOTENCY: &str = "idempotency";

#[derive(Template)]
#[template(path = "migration/src/create_idempotency_key.rs.jinja")]
struct IdempotencyView;

#[derive(Template)]
#[template(path = "migration/src/create_table.rs.jinja")]
struct TableView<'a> {
    name: &'a str,
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
    dropped: Vec<String>,
}

/// A column that is 1 while another one is NULL, and NULL otherwise.
struct Live {
    name: String,
    expression: String,
}

/// An index as code: what is the same on every database, and its condition.
struct IndexView {
    code: String,
    /// The column that must be NULL, and the [`Live`] one that says so.
    where_null: Option<(String, String)>,
}

/// How far a migration has to care for MySQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mysql {
    Absent,
    /// Beside other databases.
    Among,
    Alone,
}

impl Mysql {
    fn of(databases: &[Database]) -> Self {
        match databases {
            [Database::Mysql] => Self::Alone,
            databases if databases.contains(&Database::Mysql) => Self::Among,
            _ => Self::Absent,
        }
    }
}

/// Why the migrations cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The snapshot of the schema cannot be read or written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A template failed.
    #[error(transparent)]
    Render(#[from] super::RenderError),
}

/// Where the schema is remembered that the written migrations add up to.
pub fn snapshot_path(model: &Model) -> Utf8PathBuf {
    model.config.migration_crate.file("schema.lock")
}

/// Migrations for the tables that `snapshot` (the text of [`snapshot_path`]) lacks, and the new snapshot.
///
/// `existing` are the files of the migration crate: a new migration always comes after them, and two never
/// have the same second. Tables that changed or went are only reported.
///
/// # Errors
/// If the snapshot is damaged or a template fails.
pub fn migrations(
    model: &Model,
    snapshot: Option<&str>,
    existing: &[Utf8PathBuf],
    now: NaiveDateTime,
) -> std::result::Result<Rendered, MigrationError> {
    let mut known = Snapshot::read(snapshot)?;
    let tables = schema::tables(model);
    let new: Vec<&Table> = tables
        .iter()
        .filter(|it| known.table(&it.name).is_none())
        .collect();
    let mysql = Mysql::of(&model.config.databases);
    let mut rendered = Rendered {
        notes: notes(&known, &tables, mysql),
        ..Rendered::default()
    };
    let render = |content: askama::Result<String>| content.map_err(super::RenderError::from);
    let mut created = Vec::new();
    for step in schema::creation_order(&new) {
        let content = render(view(&step, mysql).render())?;
        created.push((module_name(&step.table.name), content));
    }
    for table in new {
        known.add(table.clone(), mysql != Mysql::Absent);
    }
    let package = &model.config.migration_crate;
    if model.creates_over_http() && !known.runtime.iter().any(|it| it == IDEMPOTENCY) {
        created.push((
            "idempotency_key".to_owned(),
            render(IdempotencyView.render())?,
        ));
        rendered.edits.push(scaffold::runtime_edit(model));
        known.runtime.push(IDEMPOTENCY.to_owned());
    }
    let mut time = migration_time(existing, now);
    for (name, content) in created {
        let ident = format!("m{}_create_{name}", time.format(STAMP));
        rendered.outputs.push(Output {
            path: package.file(&format!("src/{ident}.rs")),
            kind: OutputKind::Owned,
            content,
        });
        rendered.edits.push(Edit::Migration {
            file: package.file("src/lib.rs"),
            ident,
        });
        time += TimeDelta::seconds(1);
    }
    if !known.tables.is_empty() {
        rendered.outputs.push(Output {
            path: snapshot_path(model),
            kind: OutputKind::Generated {
                source: "the migrations".to_owned(),
            },
            content: known.write()?,
        });
    }
    Ok(rendered)
}

/// What the user must do by hand, because a written migration is never rewritten.
fn notes(known: &Snapshot, tables: &[Table], mysql: Mysql) -> Vec<String> {
    let changed = tables
        .iter()
        .filter_map(|table| known.table(&table.name).map(|before| (before, table)))
        .filter(|(before, table)| before != table)
        .map(|(before, table)| {
            format!(
                "the table `{}` has changed ({}), and its migration is written already: add a migration by hand \
                 (`sea-orm-cli migrate generate`); this version of cargo-codegen only creates tables",
                table.name,
                differences(before, table).join(", ")
            )
        });
    let gone = known
        .tables
        .iter()
        .filter(|before| !tables.iter().any(|it| it.name == before.name))
        .map(|before| {
            format!(
                "no definition describes the table `{}` any more; it stays in the database until a migration of yours drops it",
                before.name
            )
        });
    let unprepared = known.tables.iter().filter(|it| {
        let is_prepared = known.mysql.contains(&it.name);
        mysql != Mysql::Absent && !is_prepared && tables.iter().any(|table| table.name == it.name)
    });
    let unprepared = unprepared.map(|it| {
        format!(
            "the migration of the table `{}` was written before `mysql` was among the databases: change it by hand \
             before it runs there (`datetime(6)` for points in time, `longtext` for texts, no partial indexes)",
            it.name
        )
    });
    changed.chain(gone).chain(unprepared).collect()
}

fn differences(before: &Table, after: &Table) -> Vec<String> {
    let mut found = Vec::new();
    compare(
        "column",
        &before.columns,
        &after.columns,
        |it| &it.name,
        &mut found,
    );
    compare(
        "index",
        &before.indexes,
        &after.indexes,
        |it| &it.name,
        &mut found,
    );
    compare(
        "foreign key",
        &before.foreign_keys,
        &after.foreign_keys,
        |it| &it.name,
        &mut found,
    );
    if found.is_empty() {
        found.push("the order of its columns".to_owned());
    }
    found
}

fn compare<T: PartialEq>(
    kind: &str,
    before: &[T],
    after: &[T],
    name: fn(&T) -> &String,
    found: &mut Vec<String>,
) {
    for item in after {
        match before.iter().find(|it| name(it) == name(item)) {
            None => found.push(format!("{kind} `{}` is new", name(item))),
            Some(old) if old != item => found.push(format!("{kind} `{}` differs", name(item))),
            Some(_) => {}
        }
    }
    for item in before {
        if !after.iter().any(|it| name(it) == name(item)) {
            found.push(format!("{kind} `{}` is gone", name(item)));
        }
    }
}

/// The time of the next migration: `now`, or the second after the latest of the existing files if that is later.
pub fn migration_time(existing: &[Utf8PathBuf], now: NaiveDateTime) -> NaiveDateTime {
    existing
        .iter()
        .filter_map(|path| stamp(path.file_stem()?))
        .map(|it| it + TimeDelta::seconds(1))
        .fold(now, NaiveDateTime::max)
}

fn stamp(module: &str) -> Option<NaiveDateTime> {
    let digits = module.strip_prefix('m')?.get(..15)?;
    NaiveDateTime::parse_from_str(digits, STAMP).ok()
}

/// A table's name as part of a module's: what may not stand there becomes an underscore.
fn module_name(table: &str) -> String {
    table
        .chars()
        .map(|it| {
            if it.is_ascii_alphanumeric() {
                it.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect()
}

fn view<'a>(step: &Step<'a>, mysql: Mysql) -> TableView<'a> {
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
        name: &table.name,
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
            .map(|it| foreign_key(table, it))
            .collect(),
        early: step.early.iter().map(|it| foreign_key(table, it)).collect(),
        live: table
            .indexes
            .iter()
            .find_map(|it| it.where_null.as_ref())
            .map(|it| Live {
                name: string_literal(&live(it)),
                expression: string_literal(&format!("IF(`{it}` IS NULL, 1, NULL)")),
            }),
        indexes: table
            .indexes
            .iter()
            .map(|it| IndexView {
                code: index(table, it),
                where_null: it
                    .where_null
                    .as_ref()
                    .map(|it| (string_literal(it), string_literal(&live(it)))),
            })
            .collect(),
        late: step
            .late
            .iter()
            .map(|(table, it)| foreign_key(table, it))
            .collect(),
        dropped: step
            .late
            .iter()
            .map(|(table, key)| {
                format!(
                    ".name({})\n.table({})",
                    string_literal(&key.name),
                    string_literal(&table.name)
                )
            })
            .collect(),
    }
}

/// MySQL's own types for points in time keep whole seconds and end in 2038; those for texts hold 64 KB, and take
/// only expressions as defaults.
fn column(column: &Column, mysql: Mysql) -> String {
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

fn plain_column(column: &Column) -> String {
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

fn index(table: &Table, index: &Index) -> String {
    let mut code = format!(
        ".name({})\n.table({})",
        string_literal(&index.name),
        string_literal(&table.name)
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

fn foreign_key(table: &Table, key: &ForeignKey) -> String {
    let action = match key.on_delete {
        OnDeleteAction::Restrict => "Restrict",
        OnDeleteAction::Cascade => "Cascade",
        OnDeleteAction::SetNull => "SetNull",
    };
    format!(
        ".name({})\n.from({}, {})\n.to({}, {})\n.on_delete(ForeignKeyAction::{action})",
        string_literal(&key.name),
        string_literal(&table.name),
        string_literal(&key.column),
        string_literal(&key.to_table),
        string_literal(&key.to_column),
    )
}
