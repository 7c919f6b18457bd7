//! Migrations of tables that have changed.

use crate::support::{changed, migration_names, migrations, model_on};

use cargo_codegen::render::Rendered;

const ACCOUNT: &str = "
entity: { name: account }
fields:
  name: { type: string, required: true }
";

const CONTACT: &str = "
entity: { name: contact }
fields:
  name: { type: string, required: true, max_length: 100 }
  email: { type: string, required: true, unique: true }
  stage: { type: enum, choices: [lead, active], default: lead }
  score: { type: string }
relationships:
  account: { type: belongs_to, target: account, foreign_key: account_id, on_delete: cascade }
behaviors: [soft_delete]
";

const DATABASES: [&str; 7] = [
    "sqlite",
    "postgres",
    "mysql",
    "sqlite, postgres",
    "sqlite, mysql",
    "postgres, mysql",
    "sqlite, postgres, mysql",
];

/// What a change of the contact makes.
fn evolved(databases: &str, edits: &[(&str, &str)]) -> Rendered {
    let before = model_on(databases, &[("account", ACCOUNT), ("contact", CONTACT)]);
    let first = migrations(&before, None, &[]);
    let mut contact = CONTACT.to_owned();
    for (from, to) in edits {
        assert!(contact.contains(from), "{from}");
        contact = contact.replace(from, to);
    }
    let after = model_on(databases, &[("account", ACCOUNT), ("contact", &contact)]);
    let lock = &first.outputs.last().unwrap().content;
    let rendered = changed(&after, lock);
    let again = &rendered.outputs.last().unwrap().content;
    let fresh = migrations(&after, None, &[]);
    assert_eq!(again, &fresh.outputs.last().unwrap().content);
    assert!(migration_names(&changed(&after, again)).is_empty());
    rendered
}

fn code(rendered: &Rendered) -> String {
    let words = rendered.outputs[0].content.split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_change_is_rust_on_all_databases() {
    let phone = (
        "  score: {",
        "  phone: { type: string, max_length: 30 }\n  score: {",
    );
    let born = (
        "  score: {",
        "  born: { type: datetime, default: 2026-01-01T00:00:00Z, backfill: 2025-01-01T00:00:00Z }\n  score: {",
    );
    let token = (
        "  score: {",
        "  token: { type: uuid, required: true, backfill: 018f0000-0000-7000-8000-000000000001 }\n  score: {",
    );
    let evolutions: [(&str, &[(&str, &str)]); 14] = [
        ("add_phone_to_contacts", &[phone]),
        ("add_born_to_contacts", &[born]),
        ("add_token_to_contacts", &[token]),
        ("change_contacts", &[phone, token]),
        (
            "drop_score_from_contacts",
            &[("  score: { type: string }\n", "")],
        ),
        (
            "rename_score_to_points_in_contacts",
            &[(
                "  score: { type: string }",
                "  points: { type: string, previously: score }",
            )],
        ),
        (
            "change_score_of_contacts",
            &[(
                "score: { type: string }",
                "score: { type: integer, required: true, backfill: 0 }",
            )],
        ),
        (
            "change_name_of_contacts",
            &[("max_length: 100", "max_length: 300")],
        ),
        ("change_stage_of_contacts", &[("[lead, active]", "[lead]")]),
        (
            "change_contacts",
            &[("on_delete: cascade", "on_delete: set_null")],
        ),
        ("change_contacts", &[(", unique: true", "")]),
        (
            "drop_deleted_at_from_contacts",
            &[("behaviors: [soft_delete]\n", "")],
        ),
        (
            "change_contacts",
            &[("[soft_delete]", "[timestamps, optimistic_lock]")],
        ),
        (
            "change_stage_of_contacts",
            &[(", default: lead", ", required: true")],
        ),
    ];
    for (name, edits) in evolutions {
        for databases in DATABASES {
            let rendered = evolved(databases, edits);
            let names = migration_names(&rendered);
            assert_eq!(names, [format!("m20261123_101500_{name}")], "{databases}");
            let text = &rendered.outputs[0].content;
            if let Err(error) = syn::parse_file(text) {
                panic!("{databases}: {error}\n{text}");
            }
            let has = |word: &str| text.contains(word);
            let databases_told = has("DbBackend::Sqlite") && !databases.contains(',');
            assert!(!databases_told, "{databases}\n{text}");
            assert!(!has("if mysql") || has("let mysql ="), "{text}");
            assert!(
                has("if mysql") || has("if !mysql") || !has("let mysql ="),
                "{text}"
            );
            assert!(
                has("rebuild_table(\n") == has("rebuild_table;") || has("rebuild_table};"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_new_column_that_may_be_null_is_short_everywhere() {
    let edit = (
        "  score: {",
        "  phone: { type: string, max_length: 30 }\n  score: {",
    );
    let text = code(&evolved("sqlite, postgres, mysql", &[edit]));
    assert!(
        text.starts_with(
            "//! New column `contacts.phone`, text of at most 30 characters, NULL. use sea_orm_migration::prelude::*;"
        ),
        "{text}"
    );
    assert!(
        !text.contains("rebuild_table") && !text.contains("mysql"),
        "{text}"
    );
    assert!(
        text.contains(r#".add_column(string_len_null("phone", 30))"#),
        "{text}"
    );
    assert!(text.contains(r#".drop_column("phone")"#), "{text}");
}

#[test]
fn a_new_column_gets_its_values_before_it_may_not_be_null() {
    let edit = (
        "  score: {",
        "  size: { type: integer, required: true, backfill: 7 }\n  score: {",
    );
    let text = code(&evolved("sqlite, postgres", &[edit]));
    let places = [
        r#".add_column(integer_null("size"))"#,
        r#".value("size", Expr::Constant(7_i64.into()))"#,
        "rebuild_table( manager,",
        r#".modify_column(integer("size"))"#,
    ];
    let mut from = 0;
    for place in places {
        let found = text[from..].find(place);
        from += found.unwrap_or_else(|| panic!("{place}\n{text}"));
    }
}

#[test]
fn postgres_is_told_how_to_cast() {
    let edit = ("score: { type: string }", "score: { type: integer }");
    let text = code(&evolved("sqlite, postgres, mysql", &[edit]));
    let cast =
        r#"ALTER TABLE \"contacts\" ALTER COLUMN \"score\" TYPE integer USING \"score\"::integer"#;
    assert!(text.contains(cast), "{text}");
    assert!(text.contains("if !mysql {"), "{text}");
}

#[test]
fn a_default_that_is_gone_is_gone_on_postgres() {
    let edit = (", default: lead", ", required: true");
    let text = code(&evolved("postgres", &[edit]));
    assert!(
        text.contains(r#"ALTER COLUMN \"stage\" DROP DEFAULT"#),
        "{text}"
    );
}

#[test]
fn g27_a_table_is_renamed_before_others_refer_to_it() {
    let before = model_on(
        "sqlite, postgres",
        &[("account", ACCOUNT), ("contact", CONTACT)],
    );
    let first = migrations(&before, None, &[]);
    let lock = &first.outputs.last().unwrap().content;
    let customer = ACCOUNT.replace("name: account", "name: customer, previously: accounts");
    let contact = CONTACT.replace("target: account", "target: customer");
    let order = "
entity: { name: order }
relationships:
  customer: { type: belongs_to, target: customer, foreign_key: customer_id }
";
    let after = model_on(
        "sqlite, postgres",
        &[
            ("customer", &customer),
            ("contact", &contact),
            ("order", order),
        ],
    );
    // Before the rename, an ordinary run creates nothing that would refer to the table.
    let told = migrations(&after, Some(lock), &[]);
    assert!(migration_names(&told).is_empty());
    assert!(told.notes[0].contains("`customers`"), "{:?}", told.notes);
    let rendered = changed(&after, lock);
    assert_eq!(
        migration_names(&rendered),
        [
            "m20261123_101500_rename_accounts_to_customers",
            "m20261123_101501_create_orders",
        ]
    );
}

#[test]
fn g08_a_table_that_nothing_describes_is_dropped_and_made_again_on_the_way_back() {
    let before = model_on(
        "sqlite, postgres",
        &[("account", ACCOUNT), ("contact", CONTACT)],
    );
    let first = migrations(&before, None, &[]);
    let after = model_on("sqlite, postgres", &[("account", ACCOUNT)]);
    let rendered = changed(&after, &first.outputs.last().unwrap().content);
    assert_eq!(
        migration_names(&rendered),
        ["m20261123_101500_drop_contacts"]
    );
    let text = code(&rendered);
    let (up, down) = text.split_once("async fn down").unwrap();
    assert!(
        up.contains(r#"drop_table(Table::drop().table("contacts")"#),
        "{up}"
    );
    assert!(down.contains("create_table("), "{down}");
}
