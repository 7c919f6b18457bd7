//! What migrations are called.

use camino::Utf8PathBuf;
use chrono::{NaiveDateTime, TimeDelta};

use crate::schema::Change;

/// How a migration's module spells its time.
pub(super) const STAMP: &str = "%Y%m%d_%H%M%S";

/// Longest name of a change, in bytes: file names have their limits.
const MAX_BYTES: usize = 80;

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
pub(super) fn module_name(table: &str) -> String {
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

/// What renames are called.
pub(super) fn renames(renames: &[(&str, &str)]) -> String {
    match renames {
        [(from, to)] => short(&format!("rename_{from}_to_{to}")),
        _ => "rename_tables".to_owned(),
    }
}

/// What the changes are called, by what they are about: indexes and foreign keys come with columns.
pub(super) fn change(changes: &[Change]) -> String {
    let comes_along = |it: &&Change| {
        matches!(
            it,
            Change::AddIndex { .. }
                | Change::DropIndex { .. }
                | Change::AddForeignKey { .. }
                | Change::DropForeignKey { .. }
        )
    };
    let mut tables: Vec<&str> = changes.iter().map(Change::table).collect();
    tables.sort_unstable();
    tables.dedup();
    let main: Vec<&Change> = changes.iter().filter(|it| !comes_along(it)).collect();
    let name = match (main.as_slice(), tables.as_slice()) {
        ([Change::AddColumn { table, column, .. }], [_]) => {
            format!("add_{}_to_{table}", column.name)
        }
        ([Change::DropColumn { table, column }], [_]) => {
            format!("drop_{}_from_{table}", column.name)
        }
        ([Change::RenameColumn { table, from, to }], [_]) => {
            format!("rename_{from}_to_{to}_in_{table}")
        }
        ([Change::AlterColumn { table, after, .. }], [_]) => {
            format!("change_{}_of_{table}", after.name)
        }
        ([Change::DropTable { table }], [_]) => format!("drop_{}", table.name),
        (_, [one]) => format!("change_{one}"),
        (_, [one, other]) => format!("change_{one}_and_{other}"),
        (_, [one, rest @ ..]) => format!("change_{one}_and_{}_more", rest.len()),
        (_, []) => "change".to_owned(),
    };
    short(&name)
}

fn short(name: &str) -> String {
    let mut name = module_name(name);
    if name.len() > MAX_BYTES {
        name.truncate(MAX_BYTES);
        let end = name.rfind('_').unwrap_or(MAX_BYTES);
        name.truncate(end);
    }
    name
}
