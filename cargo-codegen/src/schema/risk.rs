//! What a change may cost, in words.

use super::diff::Change;
use super::table::{Column, ColumnType};

/// What a change may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Risk {
    /// No row loses anything.
    Safe,
    /// Rows that do not fit make it fail, or lose a part of their value.
    Narrowing(String),
    /// Values or rows are gone afterwards.
    Destructive(String),
    /// No migration can do it as things stand; what to do instead.
    Impossible(String),
}

impl Risk {
    /// One word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Narrowing(_) => "narrowing",
            Self::Destructive(_) => "destructive",
            Self::Impossible(_) => "impossible",
        }
    }

    /// What it costs, if anything.
    pub fn costs(&self) -> Option<&str> {
        match self {
            Self::Safe => None,
            Self::Narrowing(text) | Self::Destructive(text) | Self::Impossible(text) => Some(text),
        }
    }
}

impl Change {
    /// What it may cost.
    pub fn risk(&self) -> Risk {
        match self {
            Self::DropTable { table } => {
                Risk::Destructive(format!("every row of `{}` is lost", table.name))
            }
            Self::DropColumn { table, column } if column.primary_key => key_changes(table),
            Self::DropColumn { table, column } => Risk::Destructive(format!(
                "the values of `{table}.{}` are lost; if it only has another name, write `previously: {}` at the new field",
                column.name, column.name
            )),
            Self::AddColumn { table, column, .. } if column.primary_key => key_changes(table),
            Self::AddColumn {
                table,
                column,
                fill: None,
            } if !column.nullable && column.default.is_none() => Risk::Impossible(format!(
                "the rows that there are have no value for `{table}.{name}`: write `backfill: <value>` at the field \
                 for them, give it a `default`, or make it `nullable`",
                name = column.name
            )),
            Self::AlterColumn {
                table,
                before,
                after,
                ..
            } if before.primary_key || after.primary_key => {
                if before == after {
                    Risk::Safe
                } else {
                    key_changes(table)
                }
            }
            Self::AlterColumn {
                table,
                before,
                after,
                fill,
            } => altered(table, before, after, fill.is_some()),
            _ => Risk::Safe,
        }
    }
}

fn key_changes(table: &str) -> Risk {
    Risk::Impossible(format!(
        "the primary key of `{table}` would be another one, which other tables refer to: describe a new entity with \
         a table of its own, and move the rows"
    ))
}

/// Removed choices, and what they become.
pub(crate) fn removed_choices(before: &Column, after: &Column) -> Vec<String> {
    match (&before.choices, &after.choices) {
        (Some(before), Some(after)) => before
            .iter()
            .filter(|it| !after.contains(it))
            .cloned()
            .collect(),
        _ => Vec::new(),
    }
}

fn altered(table: &str, before: &Column, after: &Column, has_fill: bool) -> Risk {
    let place = format!("`{table}.{}`", after.name);
    let removed = removed_choices(before, after);
    if !removed.is_empty() {
        let gone = names(removed.iter().map(String::as_str));
        return if has_fill {
            Risk::Destructive(format!(
                "rows whose {place} is {gone} get the field's `backfill` or `default`"
            ))
        } else if after.nullable {
            Risk::Destructive(format!(
                "rows whose {place} is {gone} lose it: it becomes NULL"
            ))
        } else {
            Risk::Impossible(format!(
                "rows whose {place} is {gone} could not be read any more: write `backfill: <choice>` at the field for them"
            ))
        };
    }
    if let Some(why) = narrower(&place, before.ty, after.ty) {
        return Risk::Narrowing(why);
    }
    if before.nullable && !after.nullable && !has_fill {
        return Risk::Narrowing(format!(
            "the migration fails where {place} is NULL; write `backfill: <value>` at the field for those rows"
        ));
    }
    Risk::Safe
}

/// What another type may cost.
fn narrower(place: &str, before: ColumnType, after: ColumnType) -> Option<String> {
    use ColumnType::{BigInteger, Decimal, Double, Integer, String, Text};
    match (before, after) {
        (a, b) if a == b => None,
        (String(a), String(b)) if b >= a => None,
        (String(_), Text) | (Integer, BigInteger) => None,
        (Decimal(p, s), Decimal(q, t)) if t >= s && q.saturating_sub(t) >= p.saturating_sub(s) => {
            None
        }
        (Integer, Decimal(p, s)) if p.saturating_sub(s) >= 10 => None,
        (BigInteger, Decimal(p, s)) if p.saturating_sub(s) >= 19 => None,
        (Integer, Double) => None,
        (Integer | BigInteger | Double | Decimal(..), Text) => None,
        (Text | String(_), String(length)) => Some(format!(
            "the migration fails where {place} has more than {length} characters; SQLite keeps them"
        )),
        (before, after) => {
            let [before, after] = [before, after].map(std::string::String::from);
            Some(format!(
                "the migration fails, or changes the value, where {place}, a `{before}`, is no `{after}`"
            ))
        }
    }
}

pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|it| format!("`{it}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
