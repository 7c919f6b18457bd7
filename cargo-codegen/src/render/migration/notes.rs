//! What a run says about the schema.

use super::Changed;
use super::change::has_statements;
use super::code::Mysql;
use crate::schema::{Change, Snapshot, Table};

/// What the user must know, because a written migration is never rewritten.
pub(super) fn notes(
    known: &Snapshot,
    tables: &[Table],
    changes: &[Change],
    changed: Changed,
    mysql: Mysql,
) -> Vec<String> {
    let waiting = changes
        .iter()
        .filter(|it| !matches!(it, Change::CreateTable { .. }) && has_statements(it));
    let waiting: Vec<&Change> = waiting.collect();
    let mut notes = Vec::new();
    if changed == Changed::Told && !waiting.is_empty() {
        let mut tables: Vec<String> = waiting
            .iter()
            .map(|it| format!("`{}`", it.table()))
            .collect();
        tables.sort();
        tables.dedup();
        notes.push(format!(
            "no migration makes what has changed in the schema yet ({}): `cargo codegen migrate` shows it, and \
             writes it with `--write`",
            tables.join(", ")
        ));
    }
    let unprepared = known.tables.iter().filter(|it| {
        let is_prepared = known.mysql.contains(&it.name);
        mysql != Mysql::Absent && !is_prepared && tables.iter().any(|table| table.name == it.name)
    });
    notes.extend(unprepared.map(|it| {
        format!(
            "the migration of the table `{}` was written before `mysql` was among the databases: change it by hand \
             before it runs there (`datetime(6)` for points in time, `longtext` for texts, no partial indexes)",
            it.name
        )
    }));
    notes
}
