//! A snapshot in which a merge was left unresolved: both branches have written migrations.

use std::collections::BTreeSet;

use super::snapshot::{Snapshot, SnapshotError};
use super::table::Table;
use crate::workspace::merge::{has_conflict_markers, sides};

/// The text of a snapshot, with a merge in it decided: the schema that the migrations of both branches add up to.
///
/// What only one side has was made by that branch or dropped by the other one, and what both have differently was changed
/// by one of them; which it is, the definitions say, which were merged too. `described` are their tables.
///
/// # Errors
/// If a side cannot be read, or has something as neither the other side nor the definitions have it.
pub fn merged(text: &str, described: &[Table]) -> Result<Option<String>, SnapshotError> {
    if !has_conflict_markers(text) {
        return Ok(None);
    }
    let [ours, theirs] = sides(text);
    let (ours, theirs) = (Snapshot::read(Some(&ours))?, Snapshot::read(Some(&theirs))?);
    let mut undecided = Vec::new();
    let mut merged = Snapshot::default();
    merged.tables = merge(
        &ours.tables,
        &theirs.tables,
        described,
        |it| &it.name,
        |ours, theirs, described| table(ours, theirs, described, &mut undecided),
    );
    merged.tables.sort_by(|a, b| a.name.cmp(&b.name));
    if !undecided.is_empty() {
        return Err(SnapshotError::Undecided(undecided));
    }
    let of_both = |of: fn(Snapshot) -> Vec<String>| {
        let names = of(ours.clone()).into_iter().chain(of(theirs.clone()));
        names.collect::<BTreeSet<_>>().into_iter()
    };
    merged.mysql = of_both(|it| it.mysql)
        .filter(|it| merged.table(it).is_some())
        .collect();
    merged.runtime = of_both(|it| it.runtime).collect();
    merged.write().map(Some)
}

/// What is in both lists, and of what is in one, what is described.
fn merge<T: Clone + PartialEq>(
    ours: &[T],
    theirs: &[T],
    described: &[T],
    name: impl Fn(&T) -> &str,
    mut decide: impl FnMut(&T, &T, Option<&T>) -> T,
) -> Vec<T> {
    let find = |list: &[T], wanted: &str| list.iter().find(|it| name(it) == wanted).cloned();
    let mut merged = Vec::new();
    for one in ours {
        let described = find(described, name(one));
        match find(theirs, name(one)) {
            Some(other) if other == *one => merged.push(other),
            Some(other) => merged.push(decide(one, &other, described.as_ref())),
            None => merged.extend(described.map(|_| one.clone())),
        }
    }
    let only_theirs = theirs.iter().filter(|it| find(ours, name(it)).is_none());
    merged.extend(
        only_theirs
            .filter(|it| find(described, name(it)).is_some())
            .cloned(),
    );
    merged
}

fn table(
    ours: &Table,
    theirs: &Table,
    described: Option<&Table>,
    undecided: &mut Vec<String>,
) -> Table {
    let nothing = Table {
        name: ours.name.clone(),
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
    };
    let described = described.unwrap_or(&nothing);
    let mut changed = |what: &str| undecided.push(format!("`{}.{what}`", ours.name));
    Table {
        name: ours.name.clone(),
        columns: merge(
            &ours.columns,
            &theirs.columns,
            &described.columns,
            |it| &it.name,
            |ours, theirs, described| one_of(ours, theirs, described, &ours.name, &mut changed),
        ),
        indexes: merge(
            &ours.indexes,
            &theirs.indexes,
            &described.indexes,
            |it| &it.name,
            |ours, theirs, described| one_of(ours, theirs, described, &ours.name, &mut changed),
        ),
        foreign_keys: merge(
            &ours.foreign_keys,
            &theirs.foreign_keys,
            &described.foreign_keys,
            |it| &it.name,
            |ours, theirs, described| one_of(ours, theirs, described, &ours.name, &mut changed),
        ),
    }
}

/// The side that is as described.
fn one_of<T: Clone + PartialEq>(
    ours: &T,
    theirs: &T,
    described: Option<&T>,
    name: &str,
    undecided: &mut impl FnMut(&str),
) -> T {
    match described {
        Some(it) if it == ours || it == theirs => it.clone(),
        _ => {
            undecided(name);
            ours.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Column, ColumnType};
    use super::*;

    fn column(name: &str, ty: ColumnType) -> Column {
        Column {
            name: name.to_owned(),
            ty,
            nullable: true,
            primary_key: false,
            auto_increment: false,
            default: None,
            choices: None,
        }
    }

    fn table(name: &str, columns: &[(&str, ColumnType)]) -> Table {
        Table {
            name: name.to_owned(),
            columns: columns.iter().map(|it| column(it.0, it.1)).collect(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
        }
    }

    fn snapshot(tables: &[Table]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for table in tables {
            snapshot.add(table.clone(), true);
        }
        snapshot
    }

    /// As git writes it where the two have not a line in common.
    fn conflict(ours: &[Table], theirs: &[Table]) -> String {
        let [ours, theirs] = [ours, theirs].map(|it| snapshot(it).write().unwrap());
        format!("<<<<<<< HEAD\n{ours}||||||| base\nformat = 1\n=======\n{theirs}>>>>>>> other\n")
    }

    fn decided(ours: &[Table], theirs: &[Table], described: &[Table]) -> Vec<Table> {
        let text = merged(&conflict(ours, theirs), described).unwrap().unwrap();
        Snapshot::read(Some(&text)).unwrap().tables
    }

    use ColumnType::{Integer, Text};

    #[test]
    fn g28_what_both_branches_have_made_is_there() {
        let base = [table("books", &[("id", Integer)])];
        let ours = [
            table("books", &[("id", Integer), ("pages", Integer)]),
            table("tags", &[("id", Integer)]),
        ];
        let theirs = [
            table("books", &[("id", Integer), ("note", Text)]),
            table("writers", &[("id", Integer)]),
        ];
        let both = [
            table(
                "books",
                &[("id", Integer), ("pages", Integer), ("note", Text)],
            ),
            table("tags", &[("id", Integer)]),
            table("writers", &[("id", Integer)]),
        ];
        assert_eq!(decided(&ours, &theirs, &both), both);
        // Nothing of it, where one branch has dropped what the other one left as it was.
        assert_eq!(decided(&ours, &base, &base), base);
    }

    #[test]
    fn g28_a_change_of_one_branch_stands() {
        let was = [table("books", &[("name", ColumnType::String(100))])];
        let now = [table("books", &[("name", ColumnType::String(200))])];
        assert_eq!(decided(&now, &was, &now), now);
        assert_eq!(decided(&was, &now, &now), now);
    }

    #[test]
    fn g28_what_both_have_changed_differently_is_for_the_user_to_decide() {
        let [ours, theirs, described] = [ColumnType::String(100), ColumnType::String(200), Text]
            .map(|it| [table("books", &[("name", it)])]);
        let error = merged(&conflict(&ours, &theirs), &described).unwrap_err();
        assert!(error.to_string().contains("`books.name`"), "{error}");
    }

    #[test]
    fn a_snapshot_without_a_merge_stays_as_it_is() {
        let text = snapshot(&[table("books", &[("id", Integer)])])
            .write()
            .unwrap();
        assert_eq!(merged(&text, &[]).unwrap(), None);
    }
}
