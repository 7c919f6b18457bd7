//! The migrations: one for each table that no migration creates yet, those of the runtime that the routes need, and one
//! for what has changed, where that is asked for.

mod change;
mod code;
mod create;
mod fill;
mod names;
mod notes;
mod postgres;

use askama::Template;
use camino::Utf8PathBuf;
use chrono::{NaiveDateTime, TimeDelta};

use self::code::Mysql;
use self::names::{STAMP, module_name};
use super::{Rendered, scaffold};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::Model;
use crate::schema::{self, Change, Hints, Snapshot, SnapshotError, Table};

pub use self::names::migration_time;

/// What the snapshot calls the runtime's table of idempotency keys.
const IDEMPOTENCY: &str = "idempotency";

#[derive(Template)]
#[template(path = "migration/src/create_idempotency_key.rs.jinja")]
struct IdempotencyView;

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

/// What is to become of tables that have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is told.
    Told,
    /// It is written as a migration.
    Written,
    /// Migrations of the user's make it: it is only remembered.
    ByHand,
}

/// What the migrations would have to do to the schema of `snapshot` (the text of [`snapshot_path`]), new tables included.
///
/// # Errors
/// If the snapshot is damaged.
pub fn pending(model: &Model, snapshot: Option<&str>) -> Result<Vec<Change>, SnapshotError> {
    let known = Snapshot::read(snapshot)?;
    Ok(schema::diff(
        &known.tables,
        &schema::tables(model),
        &schema::hints(model),
    ))
}

/// Migrations for the tables that `snapshot` (the text of [`snapshot_path`]) lacks, and the new snapshot; and those for
/// tables that have changed or gone, if that is asked for.
///
/// `existing` are the files of the migration crate: a new migration always comes after them, and two never
/// have the same second.
///
/// # Errors
/// If the snapshot is damaged or a template fails.
pub fn migrations(
    model: &Model,
    snapshot: Option<&str>,
    existing: &[Utf8PathBuf],
    now: NaiveDateTime,
    changed: Changed,
) -> Result<Rendered, MigrationError> {
    let mut known = Snapshot::read(snapshot)?;
    let tables = schema::tables(model);
    let hints = schema::hints(model);
    let changes = schema::diff(&known.tables, &tables, &hints);
    let mysql = Mysql::of(&model.config.databases);
    let mut rendered = Rendered {
        notes: notes::notes(&known, &tables, &changes, changed, mysql),
        ..Rendered::default()
    };
    let mut written = Vec::new();
    if changed == Changed::Written {
        written.extend(renames(&changes)?);
    }
    if changed != Changed::Told {
        rename(&mut known, &changes);
    }
    let new: Vec<&Table> = tables
        .iter()
        .filter(|it| known.table(&it.name).is_none() && !is_held_back(it, &known, &tables, &hints))
        .collect();
    for step in schema::creation_order(&new) {
        let content = rendered_text(create::file(&step, mysql))?;
        let name = format!("create_{}", module_name(&step.table.name));
        written.push((name, content));
    }
    if changed == Changed::Written {
        written.extend(change(model, &known.tables, &tables, &changes)?);
    }
    if changed == Changed::Told {
        adopt_choices(&mut known.tables, &changes, &tables);
    } else {
        known
            .tables
            .retain(|it| tables.iter().any(|table| table.name == it.name));
        known
            .mysql
            .retain(|it| tables.iter().any(|table| table.name == *it));
        for table in &mut known.tables {
            if let Some(now) = tables.iter().find(|it| it.name == table.name) {
                table.clone_from(now);
            }
        }
    }
    for table in new {
        known.add(table.clone(), mysql != Mysql::Absent);
    }
    let package = &model.config.migration_crate;
    if model.creates_over_http() && !known.runtime.iter().any(|it| it == IDEMPOTENCY) {
        written.push((
            "create_idempotency_key".to_owned(),
            rendered_text(IdempotencyView.render())?,
        ));
        known.runtime.push(IDEMPOTENCY.to_owned());
    }
    if written.iter().any(|it| it.1.contains("runtime_sea::")) {
        rendered.edits.push(scaffold::runtime_edit(model));
    }
    let mut time = migration_time(existing, now);
    for (name, content) in written {
        let ident = format!("m{}_{name}", time.format(STAMP));
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
    if !known.tables.is_empty() || snapshot.is_some() {
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

fn rendered_text(content: askama::Result<String>) -> Result<String, MigrationError> {
    Ok(content.map_err(super::RenderError::from)?)
}

fn renamed(changes: &[Change]) -> Vec<(&str, &str)> {
    let names = changes.iter().filter_map(|it| match it {
        Change::RenameTable { from, to } => Some((from.as_str(), to.as_str())),
        _ => None,
    });
    names.collect()
}

/// Tables are renamed by a migration of their own: those that are created next may refer to them.
fn renames(changes: &[Change]) -> Result<Option<(String, String)>, MigrationError> {
    let renamed = renamed(changes);
    if renamed.is_empty() {
        return Ok(None);
    }
    let content = rendered_text(change::renames(&renamed))?;
    Ok(Some((names::renames(&renamed), content)))
}

fn rename(known: &mut Snapshot, changes: &[Change]) {
    for (from, to) in renamed(changes) {
        for name in &mut known.mysql {
            if name == from {
                to.clone_into(name);
            }
        }
    }
    known.mysql.sort();
    let renames = changes
        .iter()
        .filter(|it| matches!(it, Change::RenameTable { .. }));
    let renames: Vec<Change> = renames.cloned().collect();
    known.tables = schema::apply(&known.tables, &renames);
}

/// What is to be done beside renames and new tables.
fn change(
    model: &Model,
    before: &[Table],
    after: &[Table],
    changes: &[Change],
) -> Result<Option<(String, String)>, MigrationError> {
    let of_its_own = |it: &&Change| {
        !matches!(it, Change::RenameTable { .. } | Change::CreateTable { .. })
            && change::has_statements(it)
    };
    let changes: Vec<Change> = changes.iter().filter(of_its_own).cloned().collect();
    if changes.is_empty() {
        return Ok(None);
    }
    // What this migration finds, and leaves: the tables that others create are there before and after.
    let after: Vec<Table> = after
        .iter()
        .filter(|it| before.iter().any(|table| table.name == it.name))
        .cloned()
        .collect();
    let databases = &model.config.databases;
    let content = rendered_text(change::change(before, &after, &changes, databases))?;
    Ok(Some((names::change(&changes), content)))
}

/// Whether a new table has to wait for a table to be renamed, which it would be, or would refer to.
fn is_held_back(table: &Table, known: &Snapshot, tables: &[Table], hints: &Hints) -> bool {
    let waits = |name: &str| {
        let former = hints.former_table(name);
        known.table(name).is_none() && former.is_some_and(|it| known.table(it).is_some())
    };
    let mut pending = vec![table];
    let mut seen = Vec::new();
    while let Some(table) = pending.pop() {
        if waits(&table.name) {
            return true;
        }
        if known.table(&table.name).is_some() || seen.contains(&&table.name) {
            continue;
        }
        seen.push(&table.name);
        let targets = table.foreign_keys.iter().map(|it| &it.to_table);
        pending.extend(targets.filter_map(|name| tables.iter().find(|it| it.name == *name)));
    }
    false
}

/// A database knows nothing of choices: new ones need no migration, and those that no run has recorded are not new.
fn adopt_choices(known: &mut [Table], changes: &[Change], tables: &[Table]) {
    for table in known {
        let Some(now) = tables.iter().find(|it| it.name == table.name) else {
            continue;
        };
        for column in &mut table.columns {
            let Some(wanted) = now.columns.iter().find(|it| it.name == column.name) else {
                continue;
            };
            let mut changes = changes.iter().filter(|it| it.table() == table.name);
            let changes = changes.any(|it| match it {
                Change::AlterColumn { before, .. } => {
                    before.name == column.name && change::has_statements(it)
                }
                _ => false,
            });
            if !changes {
                column.choices.clone_from(&wanted.choices);
            }
        }
    }
}
