//! The order in which new tables are created.

use std::collections::BTreeSet;

use super::table::{ForeignKey, Table};

/// Creates one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'a> {
    /// The table.
    pub table: &'a Table,
    /// Foreign keys of this table whose target is created later, because the tables refer to each other.
    pub early: Vec<&'a ForeignKey>,
    /// Foreign keys of tables created before, whose target is this table.
    pub late: Vec<(&'a Table, &'a ForeignKey)>,
}

/// Orders new tables so that each comes after those that it refers to; where they refer to each other in a circle,
/// the first by name comes first. Tables that exist already do not count.
pub fn creation_order<'a>(new: &[&'a Table]) -> Vec<Step<'a>> {
    let mut rest: Vec<&'a Table> = new.to_vec();
    rest.sort_by(|a, b| a.name.cmp(&b.name));
    let mut steps: Vec<Step<'a>> = Vec::new();
    while !rest.is_empty() {
        // Every table that `it` needs also needs `it`: it needs nothing, or only its own circle.
        let next = rest.iter().position(|it| {
            needs(&rest, &it.name)
                .iter()
                .all(|other| needs(&rest, other).contains(it.name.as_str()))
        });
        let table = rest.remove(next.unwrap_or_default());
        let early = table
            .foreign_keys
            .iter()
            .filter(|key| is_among(&rest, &key.to_table))
            .collect();
        let late = steps
            .iter()
            .flat_map(|step| step.early.iter().map(|key| (step.table, *key)))
            .filter(|(_, key)| key.to_table == table.name)
            .collect();
        steps.push(Step { table, early, late });
    }
    steps
}

/// The tables among `tables` that a table refers to, directly or through others.
fn needs<'a>(tables: &[&'a Table], name: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut pending = vec![name];
    while let Some(name) = pending.pop() {
        let keys = tables
            .iter()
            .filter(|it| it.name == name)
            .flat_map(|it| &it.foreign_keys);
        for key in keys {
            if is_among(tables, &key.to_table) && found.insert(key.to_table.as_str()) {
                pending.push(&key.to_table);
            }
        }
    }
    found
}

fn is_among(tables: &[&Table], name: &str) -> bool {
    tables.iter().any(|it| it.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::table::OnDeleteAction;
    use super::*;

    fn table(name: &str, targets: &[&str]) -> Table {
        Table {
            name: name.to_owned(),
            columns: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: targets
                .iter()
                .map(|target| ForeignKey {
                    name: format!("fk_{name}_{target}"),
                    column: format!("{target}_id"),
                    to_table: (*target).to_owned(),
                    to_column: "id".to_owned(),
                    on_delete: OnDeleteAction::Restrict,
                })
                .collect(),
        }
    }

    fn names<'a>(steps: &[Step<'a>]) -> Vec<&'a str> {
        steps.iter().map(|it| it.table.name.as_str()).collect()
    }

    #[test]
    fn a_table_comes_after_those_that_it_refers_to() {
        let tables = [
            table("a", &["b", "c"]),
            table("b", &["c", "elsewhere"]),
            table("c", &["c"]),
        ];
        let steps = creation_order(&tables.iter().collect::<Vec<_>>());
        assert_eq!(names(&steps), ["c", "b", "a"]);
        assert!(
            steps
                .iter()
                .all(|it| it.early.is_empty() && it.late.is_empty())
        );
    }

    #[test]
    fn the_order_of_the_input_does_not_matter() {
        let tables = [table("b", &[]), table("a", &[]), table("c", &["a"])];
        let forwards = creation_order(&tables.iter().collect::<Vec<_>>());
        let backwards = creation_order(&tables.iter().rev().collect::<Vec<_>>());
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn a_table_that_refers_into_a_circle_waits_for_it() {
        let tables = [table("a", &["b"]), table("b", &["c"]), table("c", &["b"])];
        let steps = creation_order(&tables.iter().collect::<Vec<_>>());
        assert_eq!(names(&steps), ["b", "a", "c"]);
        assert!(steps[1].early.is_empty());
    }

    #[test]
    fn a_circle_is_closed_by_a_late_foreign_key() {
        let tables = [table("a", &["b"]), table("b", &["c"]), table("c", &["a"])];
        let steps = creation_order(&tables.iter().collect::<Vec<_>>());
        assert_eq!(names(&steps), ["a", "c", "b"]);
        assert_eq!(steps[0].early[0].to_table, "b");
        assert_eq!(steps[2].late[0].0.name, "a");
        assert_eq!(steps[2].late[0].1.name, "fk_a_b");
    }
}
