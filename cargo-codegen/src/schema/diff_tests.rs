//! What the difference of two schemas is, and in which order.

mod random;

use super::table::{
    Column, ColumnType, ForeignKey, Index, IndexColumn, Literal, OnDeleteAction, Table,
};
use super::{Change, ColumnHint, Fill, Hints, Rename, Risk, apply, diff, reverse, words};

fn column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        ty: ColumnType::String(100),
        nullable: true,
        primary_key: false,
        auto_increment: false,
        default: None,
        choices: None,
    }
}

fn strict(name: &str) -> Column {
    Column {
        nullable: false,
        ..column(name)
    }
}

fn table(name: &str, columns: &[Column]) -> Table {
    let key = Column {
        ty: ColumnType::Uuid,
        primary_key: true,
        ..strict("id")
    };
    Table {
        name: name.to_owned(),
        columns: std::iter::once(key)
            .chain(columns.iter().cloned())
            .collect(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
    }
}

fn index(table: &str, columns: &[&str]) -> Index {
    Index {
        name: format!("idx_{table}_{}", columns.join("_")),
        columns: columns
            .iter()
            .map(|it| IndexColumn {
                name: (*it).to_owned(),
                descending: false,
            })
            .collect(),
        unique: false,
        where_null: None,
        using: None,
    }
}

fn key(table: &str, column: &str, to: &str, on_delete: OnDeleteAction) -> ForeignKey {
    ForeignKey {
        name: format!("fk_{table}_{column}"),
        column: column.to_owned(),
        to_table: to.to_owned(),
        to_column: "id".to_owned(),
        on_delete,
    }
}

fn plain(before: &[Table], after: &[Table]) -> Vec<Change> {
    diff(before, after, &Hints::default())
}

/// The kinds of the changes, in order.
fn kinds(changes: &[Change]) -> Vec<String> {
    let kind = |it: &Change| {
        let text = format!("{it:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    changes.iter().map(kind).collect()
}

#[test]
fn the_same_in_another_order_is_the_same() {
    let before = table("t", &[column("a"), column("b")]);
    let after = table("t", &[column("b"), column("a")]);
    assert_eq!(plain(&[before], &[after]), []);
}

#[test]
fn g27_a_rename_that_is_declared_is_no_drop() {
    let mut before = table("contacts", &[column("mail")]);
    before.indexes.push(index("contacts", &["mail"]));
    let mut other = table("notes", &[column("contact_id")]);
    let cascade = OnDeleteAction::Cascade;
    other
        .foreign_keys
        .push(key("notes", "contact_id", "contacts", cascade));
    let mut after = table("people", &[column("email")]);
    after.indexes.push(index("people", &["email"]));
    let mut other_after = other.clone();
    other_after.foreign_keys[0].to_table = "people".to_owned();
    let hints = Hints {
        tables: vec![Rename {
            from: "contacts".to_owned(),
            to: "people".to_owned(),
        }],
        columns: vec![ColumnHint {
            table: "people".to_owned(),
            column: "email".to_owned(),
            previously: Some("mail".to_owned()),
            fill: None,
            explicit: false,
        }],
    };
    let (before, after) = ([before, other], [other_after, after]);
    let changes = diff(&before, &after, &hints);
    assert_eq!(
        kinds(&changes),
        ["RenameTable", "RenameColumn", "AddIndex", "DropIndex"]
    );
    assert!(changes.iter().all(|it| it.risk() == Risk::Safe));
    assert_eq!(apply(&before, &changes), after);
    // Done already, the declaration may stay.
    assert_eq!(diff(&after, &after, &hints), []);
    let back = reverse(&before, &after, &changes);
    assert_eq!(apply(&after, &back), before);
    assert!(!kinds(&back).contains(&"DropColumn".to_owned()));
}

#[test]
fn g27_a_rename_that_is_not_declared_tells_what_is_lost() {
    let changes = plain(
        &[table("t", &[column("mail")])],
        &[table("t", &[column("email")])],
    );
    assert_eq!(kinds(&changes), ["AddColumn", "DropColumn"]);
    let Risk::Destructive(text) = changes[1].risk() else {
        panic!("{changes:?}");
    };
    assert!(text.contains("write `previously: mail`"), "{text}");
}

#[test]
fn a_foreign_key_goes_before_its_column_and_comes_after_it() {
    let mut before = table("t", &[column("old_id")]);
    before
        .foreign_keys
        .push(key("t", "old_id", "old", OnDeleteAction::Restrict));
    before.indexes.push(index("t", &["old_id"]));
    let mut after = table("t", &[column("new_id")]);
    after
        .foreign_keys
        .push(key("t", "new_id", "new", OnDeleteAction::Restrict));
    after.indexes.push(index("t", &["new_id"]));
    let changes = plain(&[table("old", &[]), before], &[table("new", &[]), after]);
    assert_eq!(
        kinds(&changes),
        [
            "DropForeignKey",
            "DropIndex",
            "AddColumn",
            "DropColumn",
            "CreateTable",
            "AddIndex",
            "AddForeignKey",
            "DropTable"
        ]
    );
}

#[test]
fn an_index_that_a_foreign_key_needs_goes_after_the_one_in_its_place_has_come() {
    let mut before = table("t", &[column("a_id"), column("b")]);
    before
        .foreign_keys
        .push(key("t", "a_id", "a", OnDeleteAction::Restrict));
    let mut after = before.clone();
    before.indexes.push(index("t", &["a_id"]));
    after.indexes.push(index("t", &["a_id", "b"]));
    let others = table("a", &[]);
    let changes = plain(&[others.clone(), before], &[others, after]);
    assert_eq!(kinds(&changes), ["AddIndex", "DropIndex"]);
}

#[test]
fn a_foreign_key_waits_while_its_only_index_is_made_anew() {
    let mut before = table("t", &[column("a_id"), column("b")]);
    before
        .foreign_keys
        .push(key("t", "a_id", "a", OnDeleteAction::Restrict));
    before.indexes.push(index("t", &["a_id", "b"]));
    let mut after = before.clone();
    after.indexes[0].columns[1].descending = true;
    let others = table("a", &[]);
    let changes = plain(&[others.clone(), before], &[others, after]);
    assert_eq!(
        kinds(&changes),
        ["DropForeignKey", "DropIndex", "AddIndex", "AddForeignKey"]
    );
    assert_eq!(
        words(&changes).len(),
        2,
        "a key that comes back is no change"
    );
}

#[test]
fn tables_go_before_those_that_they_refer_to() {
    let mut a = table("a", &[column("b_id")]);
    a.foreign_keys
        .push(key("a", "b_id", "b", OnDeleteAction::Restrict));
    let mut b = table("b", &[column("a_id")]);
    b.foreign_keys
        .push(key("b", "a_id", "a", OnDeleteAction::Restrict));
    let mut c = table("c", &[column("b_id")]);
    c.foreign_keys
        .push(key("c", "b_id", "b", OnDeleteAction::Restrict));
    let changes = plain(&[a, b, c], &[]);
    assert_eq!(
        kinds(&changes),
        ["DropForeignKey", "DropTable", "DropTable", "DropTable"]
    );
    assert_eq!(changes[1].table(), "c");
    assert!(
        changes[1..]
            .iter()
            .all(|it| matches!(it.risk(), Risk::Destructive(_)))
    );
}

#[test]
fn a_new_column_that_may_not_be_null_needs_a_value_for_the_rows_that_there_are() {
    let (before, after) = ([table("t", &[])], [table("t", &[strict("a")])]);
    let risk = plain(&before, &after)[0].risk();
    assert!(
        matches!(&risk, Risk::Impossible(why) if why.contains("backfill")),
        "{risk:?}"
    );
    let hints = Hints {
        columns: vec![ColumnHint {
            table: "t".to_owned(),
            column: "a".to_owned(),
            previously: None,
            fill: Some(Fill::Value(Literal::Text("x".to_owned()))),
            explicit: true,
        }],
        ..Hints::default()
    };
    let changes = diff(&before, &after, &hints);
    assert_eq!(changes[0].risk(), Risk::Safe);
    assert!(words(&changes)[0].0.contains("in rows that there are: `x`"));
}

#[test]
fn what_narrows_is_told_from_what_widens() {
    use ColumnType::{BigInteger, Decimal, Double, Integer, String, Text};
    let risk = |before, after| {
        let with = |ty| Column { ty, ..column("a") };
        let changes = plain(
            &[table("t", &[with(before)])],
            &[table("t", &[with(after)])],
        );
        changes[0].risk()
    };
    for (narrow, wide) in [
        (String(10), String(20)),
        (String(10), Text),
        (Integer, BigInteger),
        (Decimal(10, 2), Decimal(12, 2)),
        (Decimal(10, 2), Decimal(12, 4)),
        (Integer, Decimal(12, 2)),
        (Integer, Double),
    ] {
        assert_eq!(risk(narrow, wide), Risk::Safe, "{narrow:?} to {wide:?}");
        assert!(
            matches!(risk(wide, narrow), Risk::Narrowing(_)),
            "{wide:?} to {narrow:?}"
        );
    }
    assert!(matches!(
        risk(Decimal(10, 2), Decimal(10, 4)),
        Risk::Narrowing(_)
    ));
}

#[test]
fn choices_that_go_are_lost_and_choices_that_come_are_told() {
    let with = |choices: &[&str]| Column {
        choices: Some(choices.iter().map(|it| (*it).to_owned()).collect()),
        ..strict("status")
    };
    let one = |before: Column, after: Column| {
        let changes = plain(&[table("t", &[before])], &[table("t", &[after])]);
        (words(&changes)[0].0.clone(), changes[0].risk())
    };
    let (text, risk) = one(with(&["a"]), with(&["a", "b"]));
    assert_eq!((text.as_str(), risk), ("`t.status` can be `b`", Risk::Safe));
    let (_, risk) = one(with(&["a", "b"]), with(&["a"]));
    assert!(matches!(risk, Risk::Impossible(_)), "{risk:?}");
    let nullable = Column {
        nullable: true,
        ..with(&["a"])
    };
    let (_, risk) = one(with(&["a", "b"]), nullable);
    assert!(matches!(risk, Risk::Destructive(_)), "{risk:?}");
    // Earlier versions have not recorded them.
    assert_eq!(
        plain(
            &[table("t", &[strict("status")])],
            &[table("t", &[with(&["a"])])]
        ),
        []
    );
}

#[test]
fn a_primary_key_stays_what_it_is() {
    let before = table("t", &[]);
    let mut after = before.clone();
    after.columns[0].ty = ColumnType::Integer;
    let risk = plain(&[before], &[after])[0].risk();
    assert!(matches!(risk, Risk::Impossible(_)), "{risk:?}");
}
