//! The migrations that change tables.

use askama::Template;

use super::super::field::{capitalized, string_literal};
use super::code::{IndexView, Live, Mysql, column, foreign_key, live_column, named, plain_column};
use super::create;
use super::fill::{self, FillView};
use super::postgres;
use crate::model::Database;
use crate::schema::{self, Change, Column, ColumnType, ForeignKey, Table, removed_choices};

/// A migration whose tables only get other names.
#[derive(Template)]
#[template(path = "migration/src/rename_tables.rs.jinja")]
struct RenamesView {
    title: String,
    /// Old and new names.
    renames: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "migration/src/change_tables.rs.jinja")]
struct ChangeView {
    title: String,
    /// More than one change, each in words.
    list: Vec<String>,
    /// `down` cannot give back what `up` drops.
    loses: bool,
    /// Imports from the runtime.
    runtime: String,
    /// It names the functions that make columns.
    columns: bool,
    /// SQLite's steps are one transaction.
    atomic: bool,
    /// They cannot be, because a table is rebuilt, and go through one connection.
    one_connection: bool,
    up: String,
    down: String,
}

/// One direction of a change.
#[derive(Template)]
#[template(path = "migration/src/change_steps.rs.jinja")]
struct StepsView {
    /// SQLite is among the databases.
    sqlite: bool,
    /// Others are.
    others: bool,
    /// MySQL is among them.
    mysql: Mysql,
    drop_keys: Vec<String>,
    early: Vec<String>,
    /// Table, old and new name.
    renames: Vec<(String, String, String)>,
    vectors: bool,
    /// Table and column.
    added: Vec<(String, String)>,
    fills: Vec<FillView>,
    tables: Vec<AlteredView>,
    /// Columns of MySQL's that come, with their tables.
    live: Vec<(String, Live)>,
    /// Statements that make whole tables.
    created: Vec<String>,
    indexes: Vec<IndexView>,
    late: Vec<String>,
    keys: Vec<String>,
    dropped: Vec<String>,
}

/// What is altered in one table.
struct AlteredView {
    name: String,
    /// The new table that takes the rows over on SQLite.
    rebuilt: Option<RebuiltView>,
    /// What PostgreSQL has to be told in its own words before.
    postgres: Option<String>,
    /// The column of MySQL's that goes.
    live: Option<String>,
    modified: Vec<String>,
    dropped: Vec<String>,
}

impl AlteredView {
    /// Whether other databases than SQLite have something to do.
    fn alters(&self) -> bool {
        !self.modified.is_empty()
            || !self.dropped.is_empty()
            || self.live.is_some()
            || self.postgres.is_some()
    }
}

struct RebuiltView {
    columns: Vec<String>,
    key: Vec<String>,
    keys: Vec<String>,
}

impl StepsView {
    /// Whether the code tells SQLite from the other databases.
    fn branch(&self) -> bool {
        self.sqlite && self.others
    }

    fn among(&self) -> bool {
        self.mysql == Mysql::Among
    }

    fn with_mysql(&self) -> bool {
        self.mysql != Mysql::Absent
    }

    fn has_columns(&self) -> bool {
        let tables = |it: &AlteredView| {
            (self.sqlite && it.rebuilt.is_some()) || (self.others && !it.modified.is_empty())
        };
        !self.added.is_empty() || !self.created.is_empty() || self.tables.iter().any(tables)
    }

    /// Whether the code asks for MySQL.
    fn asks(&self) -> bool {
        let code = self.added.iter().map(|it| &it.1);
        let modified = self.tables.iter().flat_map(|it| &it.modified);
        let fills = self.fills.iter().map(|it| &it.value);
        let mut code = code.chain(modified).chain(fills).chain(&self.created);
        self.among()
            && (code.any(|it| it.contains("if mysql"))
                || !self.live.is_empty()
                || self.indexes.iter().any(|it| it.where_null.is_some())
                || self
                    .tables
                    .iter()
                    .any(|it| it.live.is_some() || it.postgres.is_some()))
    }
}

/// The migration that renames tables.
pub(super) fn renames(renames: &[(&str, &str)]) -> askama::Result<String> {
    let words = renames
        .iter()
        .map(|(from, to)| format!("`{from}` to `{to}`"));
    let title = format!("Renames {}.", words.collect::<Vec<_>>().join(", "));
    let renames = renames.iter();
    RenamesView {
        title,
        renames: renames
            .map(|(from, to)| (string_literal(from), string_literal(to)))
            .collect(),
    }
    .render()
}

/// The migration that makes `after` of `before`.
pub(super) fn change(
    before: &[Table],
    after: &[Table],
    changes: &[Change],
    databases: &[Database],
) -> askama::Result<String> {
    let words: Vec<String> = schema::words(changes).into_iter().map(|it| it.0).collect();
    let (title, list) = match words.as_slice() {
        [one] => (format!("{}.", capitalized(one)), Vec::new()),
        _ => (String::new(), words),
    };
    let back = schema::reverse(before, after, changes);
    let up = steps(before, after, changes, databases)?;
    let down = steps(after, before, &back, databases)?;
    let columns = up.has_columns() || down.has_columns();
    let (up, down) = (up.render()?, down.render()?);
    let uses = |call: &str| [&up, &down].iter().any(|code| code.contains(call));
    let one_connection = uses("rebuild_table(");
    let steps = [&up, &down].map(|code| code.matches(".await?").count());
    let atomic = !one_connection
        && databases.contains(&Database::Sqlite)
        && steps.into_iter().any(|it| it > 1);
    let uses: Vec<&str> = [
        ("OneConnection", one_connection),
        ("now", uses("now(manager)")),
        ("rebuild_table", one_connection),
    ]
    .into_iter()
    .filter(|it| it.1)
    .map(|it| it.0)
    .collect();
    ChangeView {
        title,
        list,
        loses: changes
            .iter()
            .any(|it| matches!(it, Change::DropColumn { .. } | Change::DropTable { .. })),
        runtime: match uses.as_slice() {
            [] => String::new(),
            [one] => format!("use runtime_sea::migration::{one};"),
            all => format!("use runtime_sea::migration::{{{}}};", all.join(", ")),
        },
        columns,
        atomic,
        one_connection,
        up,
        down,
    }
    .render()
}

/// Whether a column is another one for the database.
fn is_altered(before: &Column, after: &Column) -> bool {
    (before.ty, before.nullable, &before.default) != (after.ty, after.nullable, &after.default)
}

/// Whether a change is one of the database, and not only of what the app takes for valid.
pub(super) fn has_statements(change: &Change) -> bool {
    match change {
        Change::AlterColumn { before, after, .. } => {
            is_altered(before, after) || !removed_choices(before, after).is_empty()
        }
        _ => true,
    }
}

fn steps(
    before: &[Table],
    after: &[Table],
    changes: &[Change],
    databases: &[Database],
) -> askama::Result<StepsView> {
    let mysql = Mysql::of(databases);
    let mut view = StepsView {
        sqlite: databases.contains(&Database::Sqlite),
        others: databases.iter().any(|it| *it != Database::Sqlite),
        mysql,
        drop_keys: Vec::new(),
        early: Vec::new(),
        renames: Vec::new(),
        vectors: false,
        added: Vec::new(),
        fills: Vec::new(),
        tables: Vec::new(),
        live: Vec::new(),
        created: created(changes, mysql)?,
        indexes: Vec::new(),
        late: Vec::new(),
        keys: Vec::new(),
        dropped: Vec::new(),
    };
    let mut indexes_added = false;
    for change in changes {
        let name = string_literal(change.table());
        match change {
            Change::DropForeignKey { table, key } => {
                view.drop_keys.push(named(&key.name, table));
            }
            Change::DropIndex { table, index } if !indexes_added && is_early(changes, change) => {
                view.early.push(named(&index.name, table));
            }
            Change::DropIndex { table, index } => view.late.push(named(&index.name, table)),
            Change::RenameColumn { from, to, .. } => {
                view.renames
                    .push((name, string_literal(from), string_literal(to)));
            }
            Change::AddColumn {
                column: new, fill, ..
            } => {
                view.vectors |= matches!(new.ty, ColumnType::Vector(_));
                let mut first = new.clone();
                // The rows get their values before it may not be NULL any more.
                first.nullable |= is_strict(new);
                view.added.push((name, column(&first, mysql)));
                view.fills
                    .extend(fill::added(change.table(), new, fill.as_ref(), mysql));
            }
            Change::AlterColumn {
                before,
                after,
                fill,
                ..
            } => {
                view.fills.extend(fill::altered(
                    change.table(),
                    before,
                    after,
                    fill.as_ref(),
                    mysql,
                ));
            }
            Change::AddIndex { table, index } => {
                indexes_added = true;
                view.indexes.push(IndexView::new(table, index));
            }
            Change::AddForeignKey { table, key } => view.keys.push(foreign_key(table, key)),
            Change::DropTable { .. } => view.dropped.push(name),
            Change::DropColumn { .. } | Change::RenameTable { .. } | Change::CreateTable { .. } => {
            }
        }
    }
    for table in after {
        let Some(old) = before.iter().find(|it| it.name == table.name) else {
            continue;
        };
        let changes: Vec<&Change> = changes
            .iter()
            .filter(|it| it.table() == table.name)
            .collect();
        view.tables.extend(altered(old, table, &changes, mysql));
        let (gone, come) = (live_column(old), live_column(table));
        if mysql != Mysql::Absent
            && let Some(come) = come
            && gone.is_none_or(|it| it.expression != come.expression)
        {
            view.live.push((string_literal(&table.name), come));
        }
    }
    Ok(view)
}

/// Whole tables, which only the way back makes here.
fn created(changes: &[Change], mysql: Mysql) -> askama::Result<Vec<String>> {
    let tables = changes.iter().filter_map(|it| match it {
        Change::CreateTable { table } => Some(table),
        _ => None,
    });
    let tables: Vec<&Table> = tables.collect();
    let steps = schema::creation_order(&tables);
    steps
        .iter()
        .map(|it| create::statements(it, mysql))
        .collect()
}

/// Whether the index goes before the columns change: `schema::diff()` has it before them then.
fn is_early(changes: &[Change], index: &Change) -> bool {
    let place = |wanted: &dyn Fn(&Change) -> bool| changes.iter().position(wanted);
    let first_other =
        place(&|it| !matches!(it, Change::DropForeignKey { .. } | Change::DropIndex { .. }));
    let own = place(&|it| it == index);
    first_other.is_none_or(|other| own.is_some_and(|own| own < other))
}

/// NOT NULL, without a default that a new column would have in every row.
fn is_strict(column: &Column) -> bool {
    !column.nullable && column.default.is_none()
}

fn altered(
    before: &Table,
    after: &Table,
    changes: &[&Change],
    mysql: Mysql,
) -> Option<AlteredView> {
    let mut view = AlteredView {
        name: string_literal(&after.name),
        rebuilt: None,
        postgres: None,
        live: None,
        modified: Vec::new(),
        dropped: Vec::new(),
    };
    let mut told = Vec::new();
    let mut rebuild = keys(&before.foreign_keys) != keys(&after.foreign_keys);
    for change in changes {
        match change {
            Change::AddColumn { column: new, .. } if is_strict(new) => {
                rebuild = true;
                view.modified.push(column(new, mysql));
            }
            Change::AlterColumn { before, after, .. } if is_altered(before, after) => {
                rebuild = true;
                told.extend(postgres::alterations(before, after));
                view.modified.push(column(after, mysql));
            }
            Change::DropColumn { column, .. } => view.dropped.push(string_literal(&column.name)),
            _ => {}
        }
    }
    if !told.is_empty() && mysql != Mysql::Alone {
        let name = postgres::quoted(&after.name);
        view.postgres = Some(string_literal(&format!(
            "ALTER TABLE {name} {}",
            told.join(", ")
        )));
    }
    let come = live_column(after);
    view.live = live_column(before)
        .filter(|it| {
            mysql != Mysql::Absent && come.is_none_or(|come| come.expression != it.expression)
        })
        .map(|it| it.name);
    if rebuild {
        view.rebuilt = Some(rebuilt(after));
    }
    let nothing = view.modified.is_empty() && view.dropped.is_empty() && view.live.is_none();
    (rebuild || !nothing).then_some(view)
}

/// Foreign keys without their names, which SQLite does not go by.
fn keys(keys: &[ForeignKey]) -> Vec<ForeignKey> {
    let mut keys = keys.to_vec();
    keys.iter_mut().for_each(|it| it.name.clear());
    keys.sort_by(|a, b| (&a.column, &a.to_table).cmp(&(&b.column, &b.to_table)));
    keys
}

fn rebuilt(table: &Table) -> RebuiltView {
    let mut columns = table.columns.clone();
    let mut key: Vec<String> = columns
        .iter()
        .filter(|it| it.primary_key)
        .map(|it| string_literal(&it.name))
        .collect();
    if key.len() < 2 {
        key.clear();
    } else {
        columns.iter_mut().for_each(|it| it.primary_key = false);
    }
    RebuiltView {
        columns: columns.iter().map(plain_column).collect(),
        key,
        keys: table
            .foreign_keys
            .iter()
            .map(|it| foreign_key(&table.name, it))
            .collect(),
    }
}
