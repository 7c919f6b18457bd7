//! From one schema to another: the changes, in an order in which every database can make them.

use super::hints::{Fill, Hints};
use super::order::creation_order;
use super::table::{Column, ForeignKey, Index, Table};

/// One change. `table` is the name after renames.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub enum Change {
    /// The table has another name.
    RenameTable { from: String, to: String },
    /// A table with all that belongs to it.
    CreateTable { table: Table },
    /// The foreign key goes.
    DropForeignKey { table: String, key: ForeignKey },
    /// The index goes.
    DropIndex { table: String, index: Index },
    /// The column has another name; indexes and foreign keys go along.
    RenameColumn {
        table: String,
        from: String,
        to: String,
    },
    /// A new column, and what it holds in the rows that there are.
    AddColumn {
        table: String,
        column: Column,
        fill: Option<Fill>,
    },
    /// Another type, nullability, default or list of choices, and what stands where the old value may not.
    AlterColumn {
        table: String,
        before: Column,
        after: Column,
        fill: Option<Fill>,
    },
    /// The column goes, with its values.
    DropColumn { table: String, column: Column },
    /// A new index.
    AddIndex { table: String, index: Index },
    /// A new foreign key.
    AddForeignKey { table: String, key: ForeignKey },
    /// The table goes, with its rows.
    DropTable { table: Table },
}

impl Change {
    /// The table that it is about.
    pub fn table(&self) -> &str {
        match self {
            Self::RenameTable { to, .. } => to,
            Self::CreateTable { table } | Self::DropTable { table } => &table.name,
            Self::DropForeignKey { table, .. }
            | Self::DropIndex { table, .. }
            | Self::RenameColumn { table, .. }
            | Self::AddColumn { table, .. }
            | Self::AlterColumn { table, .. }
            | Self::DropColumn { table, .. }
            | Self::AddIndex { table, .. }
            | Self::AddForeignKey { table, .. } => table,
        }
    }
}

/// The changes that make `after` of `before`; what is the same in another order is the same.
pub fn diff(before: &[Table], after: &[Table], hints: &Hints) -> Vec<Change> {
    let mut changes = Vec::new();
    let renamed = renamed(before, after, hints, &mut changes);
    let mut parts = Parts::default();
    for table in after {
        match renamed.iter().find(|it| it.name == table.name) {
            Some(before) => compare(before, table, hints, &mut parts),
            None => parts.created.push(table),
        }
    }
    let gone: Vec<&Table> = renamed
        .iter()
        .filter(|it| !after.iter().any(|table| table.name == it.name))
        .collect();
    // Created after what they refer to, dropped before it; where they refer to each other in a circle, without the
    // foreign keys that close it.
    let mut dropped = creation_order(&gone);
    dropped.reverse();
    for step in &dropped {
        for key in step
            .early
            .iter()
            .filter(|it| it.to_table != step.table.name)
        {
            parts.drop_keys.push(Change::DropForeignKey {
                table: step.table.name.clone(),
                key: (*key).clone(),
            });
        }
    }
    changes.extend(parts.drop_keys);
    changes.extend(parts.drop_indexes_early);
    changes.extend(parts.rename_columns);
    changes.extend(parts.add_columns);
    changes.extend(parts.alter_columns);
    changes.extend(parts.drop_columns);
    let created = creation_order(&parts.created).into_iter();
    changes.extend(created.map(|it| Change::CreateTable {
        table: it.table.clone(),
    }));
    changes.extend(parts.add_indexes);
    changes.extend(parts.drop_indexes_late);
    changes.extend(parts.add_keys);
    changes.extend(dropped.into_iter().map(|it| Change::DropTable {
        table: it.table.clone(),
    }));
    changes
}

/// `before` with the names of now. A rename whose old name is not there any more has been done already.
fn renamed(
    before: &[Table],
    after: &[Table],
    hints: &Hints,
    changes: &mut Vec<Change>,
) -> Vec<Table> {
    let mut tables = before.to_vec();
    for table in after {
        let Some(from) = hints.former_table(&table.name) else {
            continue;
        };
        let is_there = |name: &str| tables.iter().any(|it| it.name == name);
        if !is_there(from) || is_there(&table.name) {
            continue;
        }
        let change = Change::RenameTable {
            from: from.to_owned(),
            to: table.name.clone(),
        };
        rename(&mut tables, &change);
        changes.push(change);
    }
    tables
}

/// Makes one rename in all tables.
pub(super) fn rename(tables: &mut [Table], change: &Change) {
    match change {
        Change::RenameTable { from, to } => {
            for table in tables {
                if table.name == *from {
                    table.name.clone_from(to);
                }
                for key in &mut table.foreign_keys {
                    if key.to_table == *from {
                        key.to_table.clone_from(to);
                    }
                }
            }
        }
        Change::RenameColumn { table, from, to } => {
            let replace = |name: &mut String| {
                if *name == *from {
                    name.clone_from(to);
                }
            };
            for it in tables {
                for key in &mut it.foreign_keys {
                    if key.to_table == *table {
                        replace(&mut key.to_column);
                    }
                }
                if it.name != *table {
                    continue;
                }
                it.columns.iter_mut().for_each(|it| replace(&mut it.name));
                let keys = it.foreign_keys.iter_mut();
                keys.for_each(|it| replace(&mut it.column));
                for index in &mut it.indexes {
                    let columns = index.columns.iter_mut();
                    columns.for_each(|it| replace(&mut it.name));
                    index.where_null.iter_mut().for_each(replace);
                }
            }
        }
        _ => {}
    }
}

/// The changes of one kind each.
#[derive(Default)]
struct Parts<'a> {
    created: Vec<&'a Table>,
    drop_keys: Vec<Change>,
    drop_indexes_early: Vec<Change>,
    rename_columns: Vec<Change>,
    add_columns: Vec<Change>,
    alter_columns: Vec<Change>,
    drop_columns: Vec<Change>,
    add_indexes: Vec<Change>,
    drop_indexes_late: Vec<Change>,
    add_keys: Vec<Change>,
}

fn compare(before: &Table, after: &Table, hints: &Hints, parts: &mut Parts<'_>) {
    let table = || after.name.clone();
    let mut known = [before.clone()];
    for column in &after.columns {
        let hint = hints.column(&after.name, &column.name);
        let Some(from) = hint.and_then(|it| it.previously.as_ref()) else {
            continue;
        };
        let is_there = |name: &String| known[0].columns.iter().any(|it| it.name == *name);
        if !is_there(from) || is_there(&column.name) {
            continue;
        }
        let change = Change::RenameColumn {
            table: table(),
            from: from.clone(),
            to: column.name.clone(),
        };
        rename(&mut known, &change);
        parts.rename_columns.push(change);
    }
    let [known] = known;
    for column in &after.columns {
        let hint = hints.column(&after.name, &column.name);
        let fill = hint.and_then(|it| it.fill.clone());
        match known.columns.iter().find(|it| it.name == column.name) {
            None => {
                // The default of a new column is in every row anyway.
                let said = hint.is_some_and(|it| it.explicit);
                let needed = said || (!column.nullable && column.default.is_none());
                parts.add_columns.push(Change::AddColumn {
                    table: table(),
                    column: column.clone(),
                    fill: fill.filter(|_| needed),
                });
            }
            Some(before) if differs(before, column) => {
                parts.alter_columns.push(Change::AlterColumn {
                    table: table(),
                    before: before.clone(),
                    after: column.clone(),
                    fill,
                });
            }
            Some(_) => {}
        }
    }
    for column in &known.columns {
        if !after.columns.iter().any(|it| it.name == column.name) {
            parts.drop_columns.push(Change::DropColumn {
                table: table(),
                column: column.clone(),
            });
        }
    }
    indexes(&known, after, parts);
}

/// Indexes and foreign keys. Where it can be, the new index is there before the old one goes: MySQL wants one for each
/// foreign key at all times.
fn indexes(before: &Table, after: &Table, parts: &mut Parts<'_>) {
    let table = || after.name.clone();
    let touched = |name: &str| {
        let of = |it: &Change| match it {
            Change::AlterColumn {
                table,
                before,
                after: to,
                ..
            } => *table == after.name && before.name == name && before.ty != to.ty,
            Change::DropColumn { table, column } => *table == after.name && column.name == name,
            _ => false,
        };
        parts.alter_columns.iter().any(of) || parts.drop_columns.iter().any(of)
    };
    let keeps_live = after.indexes.iter().any(|it| it.where_null.is_some());
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for index in before
        .indexes
        .iter()
        .filter(|it| !after.indexes.contains(it))
    {
        let replaced = after.indexes.iter().any(|it| it.name == index.name);
        let columns = index.columns.iter().map(|it| it.name.as_str());
        let mut columns = columns.chain(index.where_null.as_deref());
        if replaced || columns.any(touched) || (index.where_null.is_some() && !keeps_live) {
            early.push(index);
        } else {
            late.push(index);
        }
    }
    let kept_key = |key: &ForeignKey| {
        let lost = early
            .iter()
            .any(|it| it.columns.first().is_some_and(|it| it.name == key.column));
        let stays = |it: &&Index| after.indexes.contains(it);
        let mut stays = before.indexes.iter().filter(stays);
        let found = stays.any(|it| it.columns.first().is_some_and(|it| it.name == key.column));
        after.foreign_keys.contains(key) && (!lost || found)
    };
    for key in before.foreign_keys.iter().filter(|it| !kept_key(it)) {
        parts.drop_keys.push(Change::DropForeignKey {
            table: table(),
            key: key.clone(),
        });
    }
    for key in &after.foreign_keys {
        if !before
            .foreign_keys
            .iter()
            .any(|it| it == key && kept_key(it))
        {
            parts.add_keys.push(Change::AddForeignKey {
                table: table(),
                key: key.clone(),
            });
        }
    }
    let drop = |index: &Index| Change::DropIndex {
        table: table(),
        index: index.clone(),
    };
    let (early, late): (Vec<_>, Vec<_>) = (
        early.into_iter().map(drop).collect(),
        late.into_iter().map(drop).collect(),
    );
    parts.drop_indexes_early.extend(early);
    parts.drop_indexes_late.extend(late);
    for index in after
        .indexes
        .iter()
        .filter(|it| !before.indexes.contains(it))
    {
        parts.add_indexes.push(Change::AddIndex {
            table: table(),
            index: index.clone(),
        });
    }
}

/// Whether there is something to do or to tell; choices that nobody has recorded are no difference.
fn differs(before: &Column, after: &Column) -> bool {
    let unknown = before.choices.is_none() || after.choices.is_none();
    let mut before = before.clone();
    if unknown {
        before.choices.clone_from(&after.choices);
    }
    before != *after
}
