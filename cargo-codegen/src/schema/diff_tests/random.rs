//! The difference of any two schemas.

use proptest::prelude::*;

use super::{column, index, key, plain, table};
use crate::schema::table::{Column, ColumnType, Index, Literal, OnDeleteAction, Table};
use crate::schema::{Change, ColumnHint, Hints, Rename, apply, diff, reverse};

fn any_column(name: &'static str) -> impl Strategy<Value = Column> {
    let ty = prop_oneof![
        Just(ColumnType::String(10)),
        Just(ColumnType::String(20)),
        Just(ColumnType::Text),
        Just(ColumnType::Integer),
        Just(ColumnType::Uuid),
    ];
    let default = prop::option::of(Just(Literal::Text("x".to_owned())));
    (ty, any::<bool>(), default).prop_map(move |(ty, nullable, default)| Column {
        ty,
        nullable,
        default,
        ..column(name)
    })
}

fn any_table(name: &'static str) -> impl Strategy<Value = Table> {
    let columns = (
        prop::option::of(any_column("a")),
        prop::option::of(any_column("b")),
        prop::option::of(any_column("c")),
    );
    let keys = (prop::option::of(0..3_usize), prop::option::of(0..3_usize));
    (columns, any::<[bool; 4]>(), keys).prop_map(move |((a, b, c), flags, (to_a, to_b))| {
        let columns: Vec<Column> = [a, b, c].into_iter().flatten().collect();
        let mut it = table(name, &columns);
        let has = |columns: &[&str]| {
            columns
                .iter()
                .all(|name| it.columns.iter().any(|it| it.name == *name))
        };
        let mut indexes = Vec::new();
        for (wanted, columns) in flags
            .iter()
            .zip([&["a"][..], &["a", "b"], &["b", "c"], &["c"]])
        {
            if *wanted && has(columns) {
                let mut index = index(name, columns);
                index.unique = flags[0];
                index.where_null = (flags[1] && has(&["c"])).then(|| "c".to_owned());
                indexes.push(index);
            }
        }
        let mut keys = Vec::new();
        for (column, to) in [("a", to_a), ("b", to_b)] {
            if let Some(to) = to
                && has(&[column])
            {
                let action =
                    [OnDeleteAction::Cascade, OnDeleteAction::SetNull][usize::from(flags[2])];
                keys.push(key(name, column, ["r", "s", "t"][to], action));
            }
        }
        indexes.sort_by(|a: &Index, b| a.name.cmp(&b.name));
        it.indexes = indexes;
        it.foreign_keys = keys;
        it
    })
}

fn any_schema() -> impl Strategy<Value = Vec<Table>> {
    let tables = (
        prop::option::of(any_table("r")),
        prop::option::of(any_table("s")),
        prop::option::of(any_table("t")),
    );
    tables.prop_map(|(r, s, t)| {
        let mut tables: Vec<Table> = [r, s, t].into_iter().flatten().collect();
        let names: Vec<String> = tables.iter().map(|it| it.name.clone()).collect();
        for table in &mut tables {
            table.foreign_keys.retain(|it| names.contains(&it.to_table));
        }
        tables
    })
}

/// The second schema with other names for some of what both have, and what says so.
fn with_new_names(a: &[Table], b: &[Table], flags: [bool; 6]) -> (Vec<Table>, Hints) {
    let [r, s, t, flags @ ..] = flags;
    let there = |name: &str| a.iter().find(|it| it.name == name);
    let is_renamed = |name: &str| {
        let wanted = [("r", r), ("s", s), ("t", t)].contains(&(name, true));
        wanted && there(name).is_some()
    };
    let new_name = |name: &str| match is_renamed(name) {
        true => format!("new_{name}"),
        false => name.to_owned(),
    };
    let mut hints = Hints::default();
    let tables = b.iter().map(|before| {
        let name = new_name(&before.name);
        if name != before.name {
            hints.tables.push(Rename {
                from: before.name.clone(),
                to: name.clone(),
            });
        }
        let former = there(&before.name);
        let new_column = |column: &str| {
            let wanted = ["a", "b", "c"]
                .into_iter()
                .zip(flags)
                .any(|it| it == (column, true));
            let has = |it: &Table| it.columns.iter().any(|it| it.name == column);
            match wanted && former.is_some_and(has) {
                true => format!("new_{column}"),
                false => column.to_owned(),
            }
        };
        let columns = before.columns.iter().map(|it| Column {
            name: new_column(&it.name),
            ..it.clone()
        });
        let columns: Vec<Column> = columns.collect();
        for (now, was) in columns.iter().zip(&before.columns) {
            if now.name != was.name {
                hints.columns.push(ColumnHint {
                    table: name.clone(),
                    column: now.name.clone(),
                    previously: Some(was.name.clone()),
                    fill: None,
                    explicit: false,
                });
            }
        }
        let indexes = before.indexes.iter().map(|it| {
            let names: Vec<String> = it.columns.iter().map(|it| new_column(&it.name)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Index {
                unique: it.unique,
                where_null: it.where_null.as_deref().map(new_column),
                ..index(&name, &names)
            }
        });
        let mut indexes: Vec<Index> = indexes.collect();
        indexes.sort_by(|a, b| a.name.cmp(&b.name));
        let keys = before.foreign_keys.iter();
        let mut foreign_keys: Vec<_> = keys
            .map(|it| {
                key(
                    &name,
                    &new_column(&it.column),
                    &new_name(&it.to_table),
                    it.on_delete,
                )
            })
            .collect();
        foreign_keys.sort_by(|a, b| a.name.cmp(&b.name));
        Table {
            name: name.clone(),
            columns,
            indexes,
            foreign_keys,
        }
    });
    let mut tables: Vec<Table> = tables.collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    (tables, hints)
}

fn sorted(tables: &[Table]) -> Vec<Table> {
    let mut tables = tables.to_vec();
    for table in &mut tables {
        table.columns.sort_by(|a, b| a.name.cmp(&b.name));
    }
    tables
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1024)
    })]

    #[test]
    fn the_changes_from_one_schema_to_another_make_it(a in any_schema(), b in any_schema()) {
        let changes = plain(&a, &b);
        prop_assert_eq!(sorted(&apply(&a, &changes)), sorted(&b));
        prop_assert_eq!(&changes, &plain(&a, &b));
        let back = reverse(&a, &b, &changes);
        prop_assert_eq!(sorted(&apply(&b, &back)), sorted(&a));
    }

    #[test]
    fn g27_what_is_renamed_among_other_changes_is_not_dropped(
        a in any_schema(),
        b in any_schema(),
        flags in any::<[bool; 6]>(),
    ) {
        let (b, hints) = with_new_names(&a, &b, flags);
        let changes = diff(&a, &b, &hints);
        prop_assert_eq!(sorted(&apply(&a, &changes)), sorted(&b));
        let back = reverse(&a, &b, &changes);
        prop_assert_eq!(sorted(&apply(&b, &back)), sorted(&a));
        for change in changes {
            match change {
                Change::DropTable { table } => {
                    prop_assert!(hints.tables.iter().all(|it| it.from != table.name));
                }
                Change::DropColumn { table, column } => {
                    let renamed = hints.columns.iter().any(|it| {
                        it.table == table && it.previously.as_ref() == Some(&column.name)
                    });
                    prop_assert!(!renamed, "{}.{}", table, column.name);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn no_change_names_what_is_not_there(a in any_schema(), b in any_schema()) {
        let mut tables = a.clone();
        for change in plain(&a, &b) {
            let found = tables.iter().find(|it| it.name == change.table()).cloned();
            match &change {
                Change::CreateTable { table } => {
                    prop_assert!(found.is_none(), "{table:?}");
                }
                Change::DropTable { table } => {
                    let mut others = tables.iter().filter(|it| it.name != table.name);
                    prop_assert!(others.all(|it| it.foreign_keys.iter().all(|it| it.to_table != table.name)));
                }
                Change::AddIndex { index, .. } => {
                    let found = found.unwrap();
                    prop_assert!(index.columns.iter().all(|it| found.columns.iter().any(|of| of.name == it.name)));
                }
                Change::AddForeignKey { key, .. } => {
                    prop_assert!(tables.iter().any(|it| it.name == key.to_table));
                    prop_assert!(found.unwrap().columns.iter().any(|it| it.name == key.column));
                }
                Change::DropColumn { column, .. } => {
                    let found = found.unwrap();
                    let uses = |it: &Index| it.columns.iter().any(|it| it.name == column.name)
                        || it.where_null.as_ref() == Some(&column.name);
                    prop_assert!(!found.indexes.iter().any(uses));
                    prop_assert!(!found.foreign_keys.iter().any(|it| it.column == column.name));
                }
                _ => prop_assert!(found.is_some()),
            }
            tables = apply(&tables, &[change]);
        }
    }
}
