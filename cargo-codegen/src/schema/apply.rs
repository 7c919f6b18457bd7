//! What a list of changes makes of a schema.

use super::diff::{Change, rename};
use super::table::Table;

/// `tables` after the changes, sorted by name. A change of what is not there changes nothing.
pub fn apply(tables: &[Table], changes: &[Change]) -> Vec<Table> {
    let mut tables = tables.to_vec();
    for change in changes {
        one(&mut tables, change);
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables
}

fn one(tables: &mut Vec<Table>, change: &Change) {
    match change {
        Change::RenameTable { .. } | Change::RenameColumn { .. } => rename(tables, change),
        Change::CreateTable { table } => tables.push(table.clone()),
        Change::DropTable { table } => tables.retain(|it| it.name != table.name),
        _ => {
            if let Some(table) = tables.iter_mut().find(|it| it.name == change.table()) {
                within(table, change);
            }
        }
    }
}

fn within(table: &mut Table, change: &Change) {
    match change {
        Change::DropForeignKey { key, .. } => table.foreign_keys.retain(|it| it.name != key.name),
        Change::AddForeignKey { key, .. } => {
            table.foreign_keys.push(key.clone());
            table.foreign_keys.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Change::DropIndex { index, .. } => table.indexes.retain(|it| it.name != index.name),
        Change::AddIndex { index, .. } => {
            table.indexes.push(index.clone());
            table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Change::AddColumn { column, .. } => table.columns.push(column.clone()),
        Change::DropColumn { column, .. } => table.columns.retain(|it| it.name != column.name),
        Change::AlterColumn { before, after, .. } => {
            for column in &mut table.columns {
                if column.name == before.name {
                    column.clone_from(after);
                }
            }
        }
        Change::RenameTable { .. }
        | Change::RenameColumn { .. }
        | Change::CreateTable { .. }
        | Change::DropTable { .. } => {}
    }
}
