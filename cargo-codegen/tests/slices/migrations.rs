//! Migrations, written once.

use crate::support::{
    EVERYTHING, READING, everything, migration_names, migrations, model, model_on,
};

use camino::Utf8PathBuf;
use cargo_codegen::changeset::OutputKind;
use cargo_codegen::render::Rendered;

#[test]
fn tables_that_refer_to_each_other_are_created() {
    let rendered = migrations(&everything(), None, &[]);
    assert_eq!(
        migration_names(&rendered),
        [
            "m20261123_101500_create_cities",
            "m20261123_101501_create_people",
            "m20261123_101502_create_gadgets",
            "m20261123_101503_create_readings",
            "m20261123_101504_create_idempotency_key",
        ]
    );
    let text = |name: &str| {
        let path = |it: &&cargo_codegen::changeset::Output| it.path.as_str().contains(name);
        &rendered.outputs.iter().find(path).unwrap().content
    };
    assert!(text("create_cities").contains("== sea_orm::DbBackend::Sqlite"));
    assert!(text("create_people").contains(".create_foreign_key("));
}

#[test]
fn a_migration_for_mysql_has_its_types_and_no_partial_index() {
    let alone = migrations(&model_on("mysql", &EVERYTHING), None, &[]);
    let among = migrations(&model_on("sqlite, mysql", &EVERYTHING), None, &[]);
    let text = |rendered: &Rendered, name: &str| -> String {
        let path = |it: &&cargo_codegen::changeset::Output| it.path.as_str().contains(name);
        let output = rendered.outputs.iter().find(path).unwrap();
        output
            .content
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let people = text(&alone, "create_people");
    assert!(
        !people.contains("if mysql") && !people.contains("and_where"),
        "{people}"
    );
    assert!(
        people.contains(r#".custom("tinyint") .generated("#),
        "{people}"
    );
    assert!(people.contains(r#".col("deleted_at_is_null")"#), "{people}");
    let people = text(&among, "create_people");
    let index = r#"if mysql { index.col("deleted_at_is_null"); } else { index.and_where(Expr::col("deleted_at").is_null()); }"#;
    assert!(people.contains(index), "{people}");
    let gadgets = text(&among, "create_gadgets");
    for column in [
        r#"if mysql { custom_null("notes", "longtext") } else { text_null("notes") }"#,
        r#"if mysql { custom_null("seen", "datetime(6)") } else"#,
        r#"if mysql { custom("wakes", "time(6)") } else"#,
        r#"if mysql { custom("data", "json").default(Expr::tuple([Expr::value("{\"a\":1}")])).take() } else"#,
    ] {
        assert!(gadgets.contains(column), "{column}\n{gadgets}");
    }
}

#[test]
fn a_migration_that_does_not_know_mysql_is_a_note() {
    let before = migrations(&model(&[("reading", READING)]), None, &[]);
    let lock = &before.outputs.last().unwrap().content;
    let after = migrations(
        &model_on("postgres, mysql", &[("reading", READING)]),
        Some(lock),
        &[],
    );
    assert!(
        after.notes[0].contains("`readings` was written before `mysql`"),
        "{:?}",
        after.notes
    );

    let first = migrations(&model_on("mysql", &[("reading", READING)]), None, &[]);
    let lock = &first.outputs.last().unwrap().content;
    let second = migrations(&model_on("mysql", &[("reading", READING)]), Some(lock), &[]);
    assert!(second.notes.is_empty(), "{:?}", second.notes);
}

#[test]
fn a_written_migration_is_not_written_again() {
    let model = everything();
    let first = migrations(&model, None, &[]);
    let lock = first
        .outputs
        .iter()
        .find(|it| it.path == "migration/schema.lock")
        .unwrap();
    assert!(matches!(lock.kind, OutputKind::Generated { .. }));

    let second = migrations(&model, Some(&lock.content), &[]);
    assert_eq!(second.outputs, std::slice::from_ref(lock));
    assert_eq!((second.edits.len(), second.notes.len()), (0, 0));
}

#[test]
fn g28_a_new_migration_comes_after_those_that_exist() {
    let existing = [
        "migration/src/lib.rs",
        "migration/src/m20261123_101700_by_hand.rs",
    ];
    let existing: Vec<Utf8PathBuf> = existing.into_iter().map(Into::into).collect();
    let rendered = migrations(&model(&[("reading", READING)]), None, &existing);
    assert_eq!(
        migration_names(&rendered),
        ["m20261123_101701_create_readings"]
    );
}

#[test]
fn a_workspace_that_has_its_tables_already_gets_that_of_idempotency_keys() {
    let task = "entity: { name: task }\nfields: { code: { type: string } }\n";
    let model = model(&[("task", task)]);
    let first = migrations(&model, None, &[]);
    let lock = &first.outputs.last().unwrap().content;
    let recorded = "runtime = [\"idempotency\"]\n";
    assert!(lock.contains(recorded), "{lock}");
    let second = migrations(&model, Some(&lock.replace(recorded, "")), &[]);
    assert_eq!(
        migration_names(&second),
        ["m20261123_101500_create_idempotency_key"]
    );
    assert_eq!(second.outputs.last().unwrap().content, *lock);
}

#[test]
fn entities_that_no_request_creates_need_no_table_of_idempotency_keys() {
    for generate in ["writes: false", "rest: false"] {
        let task = format!(
            "entity: {{ name: task }}\nfields: {{ code: {{ type: string }} }}\ngenerate: {{ {generate} }}\n"
        );
        let rendered = migrations(&model(&[("task", &task)]), None, &[]);
        let names = migration_names(&rendered);
        assert_eq!(names, ["m20261123_101500_create_tasks"], "{generate}");
    }
}

#[test]
fn a_changed_table_is_a_note_and_no_migration() {
    let before = migrations(&model(&[("reading", READING)]), None, &[]);
    let lock = &before.outputs.last().unwrap().content;
    let changed = READING.replace(
        "value: { type: float",
        "unit: { type: string }\n  value: { type: integer",
    );
    let after = migrations(&model(&[("reading", &changed)]), Some(lock), &[]);
    assert!(migration_names(&after).is_empty());
    assert_eq!(after.notes.len(), 1);
    assert!(
        after.notes[0].contains("(`readings`): `cargo codegen migrate`"),
        "{}",
        after.notes[0]
    );
    assert_eq!(&after.outputs.last().unwrap().content, lock);
}

#[test]
fn a_table_without_a_definition_is_a_note() {
    let before = migrations(&model(&[("reading", READING)]), None, &[]);
    let lock = &before.outputs.last().unwrap().content;
    let after = migrations(&model(&[]), Some(lock), &[]);
    assert!(migration_names(&after).is_empty());
    assert!(after.notes[0].contains("`readings`"), "{}", after.notes[0]);
}
