//! Changes in words.

use super::diff::Change;
use super::hints::Fill;
use super::risk::{names, removed_choices};
use super::table::{Column, ColumnType, Index, Literal, OnDeleteAction};

impl Change {
    /// What it does, in words.
    pub fn words(&self) -> String {
        match self {
            Self::RenameTable { from, to } => {
                format!("the table `{from}` becomes `{to}`")
            }
            Self::CreateTable { table } => format!("new table `{}`", table.name),
            Self::DropTable { table } => format!("the table `{}` goes", table.name),
            Self::RenameColumn { table, from, to } => {
                format!("`{table}.{from}` becomes `{table}.{to}`")
            }
            Self::AddColumn {
                table,
                column,
                fill,
            } => {
                let mut text = format!("new column `{table}.{}`, {}", column.name, kind(column));
                if let Some(fill) = fill {
                    text += &format!("; in rows that there are: {}", fill_words(fill));
                }
                text
            }
            Self::DropColumn { table, column } => {
                format!("the column `{table}.{}` goes", column.name)
            }
            Self::AlterColumn {
                table,
                before,
                after,
                fill,
            } => altered(table, before, after, fill.as_ref()),
            Self::AddIndex { table, index } => {
                format!(
                    "new {} over `{table}` ({})",
                    index_kind(index),
                    index_columns(index)
                )
            }
            Self::DropIndex { table, index } => {
                format!(
                    "the {} over `{table}` ({}) goes",
                    index_kind(index),
                    index_columns(index)
                )
            }
            Self::AddForeignKey { table, key } => format!(
                "`{table}.{}` refers to `{}.{}`; when that row is deleted, {}",
                key.column,
                key.to_table,
                key.to_column,
                on_delete(key.on_delete)
            ),
            Self::DropForeignKey { table, key } => format!(
                "`{table}.{}` does not refer to `{}` any more",
                key.column, key.to_table
            ),
        }
    }
}

/// The changes in words; a foreign key that goes and comes back is one of them.
pub fn words(changes: &[Change]) -> Vec<(String, &Change)> {
    let back = |table: &str, name: &str| {
        changes.iter().find_map(|it| match it {
            Change::AddForeignKey { table: of, key } if of == table && key.name == name => {
                Some(key)
            }
            _ => None,
        })
    };
    let gone = |table: &str, name: &str| {
        changes.iter().find_map(|it| match it {
            Change::DropForeignKey { table: of, key } if of == table && key.name == name => {
                Some(key)
            }
            _ => None,
        })
    };
    let mut found = Vec::new();
    for change in changes {
        match change {
            Change::DropForeignKey { table, key } if back(table, &key.name).is_some() => {}
            Change::AddForeignKey { table, key } => match gone(table, &key.name) {
                Some(before) if before == key => {}
                Some(_) => {
                    let text = format!("{} from now on", change.words());
                    found.push((text, change));
                }
                None => found.push((change.words(), change)),
            },
            _ => found.push((change.words(), change)),
        }
    }
    found
}

fn altered(table: &str, before: &Column, after: &Column, fill: Option<&Fill>) -> String {
    let mut parts = Vec::new();
    if before.ty != after.ty {
        let (from, to) = (String::from(before.ty), String::from(after.ty));
        parts.push(format!("is of type `{to}` instead of `{from}`"));
    }
    let fill = fill.map(fill_words);
    if before.nullable && !after.nullable {
        parts.push(match &fill {
            Some(fill) => format!("may not be NULL any more; where it is, it becomes {fill}"),
            None => "may not be NULL any more".to_owned(),
        });
    } else if !before.nullable && after.nullable {
        parts.push("may be NULL".to_owned());
    }
    if before.default != after.default {
        parts.push(match &after.default {
            Some(default) => format!("is {} where nothing is given", literal(default)),
            None => "has no default any more".to_owned(),
        });
    }
    let removed = removed_choices(before, after);
    if !removed.is_empty() {
        let gone = names(removed.iter().map(String::as_str));
        parts.push(match &fill {
            Some(fill) => format!("cannot be {gone} any more; where it is, it becomes {fill}"),
            None => format!("cannot be {gone} any more"),
        });
    }
    let added = removed_choices(after, before);
    if !added.is_empty() {
        parts.push(format!(
            "can be {}",
            names(added.iter().map(String::as_str))
        ));
    }
    if parts.is_empty() {
        parts.push("lists its choices in another order".to_owned());
    }
    format!("`{table}.{}` {}", after.name, parts.join(", and "))
}

fn kind(column: &Column) -> String {
    let mut text = match column.ty {
        ColumnType::String(length) => format!("text of at most {length} characters"),
        ty => format!("`{}`", String::from(ty)),
    };
    text += if column.nullable {
        ", NULL"
    } else {
        ", NOT NULL"
    };
    if let Some(default) = &column.default {
        text += &format!(", {} where nothing is given", literal(default));
    }
    text
}

fn fill_words(fill: &Fill) -> String {
    match fill {
        Fill::Value(value) => literal(value),
        Fill::Uuid(value) => format!("`{value}`"),
        Fill::Now => "the time of the migration".to_owned(),
    }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Boolean(value) => format!("`{value}`"),
        Literal::Integer(value) => format!("`{value}`"),
        Literal::Float(value) => format!("`{value}`"),
        Literal::Text(value) => format!("`{value}`"),
    }
}

fn index_kind(index: &Index) -> &'static str {
    match (index.unique, index.using) {
        (true, _) => "unique index",
        (false, Some(_)) => "index of near vectors",
        (false, None) => "index",
    }
}

fn index_columns(index: &Index) -> String {
    let columns = index.columns.iter().map(|it| {
        let order = if it.descending { " desc" } else { "" };
        format!("{}{order}", it.name)
    });
    let columns: Vec<_> = columns.collect();
    let mut text = columns.join(", ");
    if let Some(column) = &index.where_null {
        text += &format!(" where {column} is null");
    }
    text
}

fn on_delete(action: OnDeleteAction) -> &'static str {
    match action {
        OnDeleteAction::Restrict => "the deletion is refused",
        OnDeleteAction::Cascade => "it goes too",
        OnDeleteAction::SetNull => "it refers to nothing",
    }
}
