//! A snapshot in which a merge was left unresolved: both branches have written migrations.

use std::collections::BTreeSet;

use super::snapshot::{Snapshot, SnapshotError};
use super::table::Table;
use crate::workspace::merge::{base, sides};

/// The text of a snapshot, with a merge in it decided: the schema that the migrations of both branches add up to.
///
/// Where the merge shows what both sides come from, each change of one side counts, and two changes of the same thing are
/// the user's to decide. Where it does not, the definitions say which side has changed something: they were merged too, and
/// `described` are their tables.
///
/// # Errors
/// If a side cannot be read, or it cannot be told what something is after the migrations of both.
pub fn merged(text: &str, described: &[Table]) -> Result<String, SnapshotError> {
    let [ours, theirs] = sides(text);
    let (ours, theirs) = (Snapshot::read(Some(&ours))?, Snapshot::read(Some(&theirs))?);
    let base = base(text).map(|it| Snapshot::read(Some(&it))).transpose()?;
    let witness = match &base {
        Some(base) => Witness::Base(base.tables.as_slice()),
        None => Witness::Described(described),
    };
    let mut undecided = Vec::new();
    let mut merged = Snapshot::default();
    merged.tables = merge(
        &ours.tables,
        &theirs.tables,
        witness,
        |it| &it.name,
        |ours, theirs, witness| table(ours, theirs, witness, &mut undecided),
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
    merged.write()
}

/// What tells which side has changed something.
#[derive(Debug, Clone, Copy)]
enum Witness<T> {
    /// What both come from.
    Base(T),
    /// What the merged definitions ask for.
    Described(T),
}

impl<T> Witness<T> {
    fn map<U>(self, of: impl FnOnce(T) -> U) -> Witness<U> {
        match self {
            Self::Base(it) => Witness::Base(of(it)),
            Self::Described(it) => Witness::Described(of(it)),
        }
    }
}

/// What is in both lists, and of what is in one, what that side has made. `decide` is asked where both have it differently.
fn merge<T: Clone + PartialEq>(
    ours: &[T],
    theirs: &[T],
    witness: Witness<&[T]>,
    name: impl Fn(&T) -> &str,
    mut decide: impl FnMut(&T, &T, Witness<Option<&T>>) -> T,
) -> Vec<T> {
    let find = |list: &[T], wanted: &str| list.iter().find(|it| name(it) == wanted).cloned();
    let was_made = |it: &T| match witness {
        Witness::Base(base) => find(base, name(it)).is_none(),
        Witness::Described(described) => find(described, name(it)).is_some(),
    };
    let mut merged = Vec::new();
    for one in ours {
        match find(theirs, name(one)) {
            Some(other) if other == *one => merged.push(other),
            Some(other) => {
                let of_it = witness.map(|list| list.iter().find(|it| name(it) == name(one)));
                merged.push(decide(one, &other, of_it));
            }
            None if was_made(one) => merged.push(one.clone()),
            None => {}
        }
    }
    let only_theirs = theirs.iter().filter(|it| find(ours, name(it)).is_none());
    merged.extend(only_theirs.filter(|it| was_made(it)).cloned());
    merged
}

fn table(
    ours: &Table,
    theirs: &Table,
    witness: Witness<Option<&Table>>,
    undecided: &mut Vec<String>,
) -> Table {
    let mut changed = |what: &str| undecided.push(format!("`{}.{what}`", ours.name));
    Table {
        name: ours.name.clone(),
        columns: merge(
            &ours.columns,
            &theirs.columns,
            witness.map(|it| it.map_or(&[][..], |it| &it.columns)),
            |it| &it.name,
            |ours, theirs, witness| one_of(ours, theirs, witness, &ours.name, &mut changed),
        ),
        indexes: merge(
            &ours.indexes,
            &theirs.indexes,
            witness.map(|it| it.map_or(&[][..], |it| &it.indexes)),
            |it| &it.name,
            |ours, theirs, witness| one_of(ours, theirs, witness, &ours.name, &mut changed),
        ),
        foreign_keys: merge(
            &ours.foreign_keys,
            &theirs.foreign_keys,
            witness.map(|it| it.map_or(&[][..], |it| &it.foreign_keys)),
            |it| &it.name,
            |ours, theirs, witness| one_of(ours, theirs, witness, &ours.name, &mut changed),
        ),
    }
}

/// The side that has changed it.
fn one_of<T: Clone + PartialEq>(
    ours: &T,
    theirs: &T,
    witness: Witness<Option<&T>>,
    name: &str,
    undecided: &mut impl FnMut(&str),
) -> T {
    match witness {
        Witness::Base(Some(base)) if base == theirs => ours.clone(),
        Witness::Base(Some(base)) if base == ours => theirs.clone(),
        Witness::Described(Some(it)) if it == ours || it == theirs => it.clone(),
        Witness::Base(_) | Witness::Described(_) => {
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
    fn conflict(ours: &[Table], base: Option<&[Table]>, theirs: &[Table]) -> String {
        let text = |tables: &[Table]| snapshot(tables).write().unwrap();
        let base = base.map_or_else(std::string::String::new, |it| {
            format!("||||||| 1234567\n{}", text(it))
        });
        let (ours, theirs) = (text(ours), text(theirs));
        format!("<<<<<<< HEAD\n{ours}{base}=======\n{theirs}>>>>>>> other\n")
    }

    fn decided(
        ours: &[Table],
        base: Option<&[Table]>,
        theirs: &[Table],
        described: &[Table],
    ) -> Vec<Table> {
        let text = merged(&conflict(ours, base, theirs), described);
        Snapshot::read(Some(&text.unwrap())).unwrap().tables
    }

    use ColumnType::{Integer, Text};

    fn named(length: u32) -> [Table; 1] {
        [table("books", &[("name", ColumnType::String(length))])]
    }

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
        assert_eq!(decided(&ours, None, &theirs, &both), both);
        assert_eq!(decided(&ours, Some(&base), &theirs, &[]), both);
        // Nothing of it, where one branch has dropped what the other one left as it was.
        assert_eq!(decided(&ours, None, &base, &base), base);
        assert_eq!(decided(&ours, Some(&ours), &base, &both), base);
    }

    #[test]
    fn g28_a_change_of_one_branch_stands() {
        let (was, now) = (named(100), named(200));
        assert_eq!(decided(&now, None, &was, &now), now);
        assert_eq!(decided(&was, None, &now, &now), now);
        assert_eq!(decided(&now, Some(&was), &was, &was), now);
        assert_eq!(decided(&was, Some(&was), &now, &was), now);
    }

    #[test]
    fn g28_what_both_have_changed_differently_is_for_the_user_to_decide() {
        let (ours, theirs) = (named(100), named(200));
        for (base, described) in [(None, named(300)), (Some(named(50)), named(200))] {
            let text = conflict(&ours, base.as_ref().map(|it| &it[..]), &theirs);
            let error = merged(&text, &described).unwrap_err();
            assert!(error.to_string().contains("`books.name`"), "{error}");
        }
    }
}
