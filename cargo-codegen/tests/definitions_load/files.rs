//! Where definitions and settings are, and how they are written.

use crate::support::{ACCOUNT, entity, load};

use cargo_codegen::model::{Database, RuntimeSource, Subsystem};

#[test]
fn anchors_merge_keys_comments_crlf_and_a_byte_order_mark_are_read() {
    let text = "\u{feff}# a comment\r\nentity: { name: contact }\r\nfields:\r\n  email: &text { type: string, max_length: 40 }\r\n  phone: *text\r\n  fax:\r\n    <<: *text\r\n    max_length: 20\r\n";
    let (model, _) = load(&[("entities/contact.yaml", text)]);
    let contact = entity(&model, "contact");
    let length = |name: &str| contact.field(name).unwrap().constraints.max_length;
    assert_eq!(
        (length("email"), length("phone"), length("fax")),
        (Some(40), Some(40), Some(20))
    );
}

#[test]
fn definitions_are_found_recursively_in_both_spellings_and_sorted() {
    let (model, notes) = load(&[
        ("entities/crm/contact.yml", "entity: { name: contact }\n"),
        ("entities/account.yaml", ACCOUNT),
        ("entities/README.md", "not: [a definition\n"),
        (
            "events/crm/contact_seen.yml",
            "type: contact_seen\ndirection: inbound\npayload: {}\n",
        ),
    ]);
    assert_eq!(notes, "");
    let names: Vec<&str> = model
        .entities
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect();
    assert_eq!(names, ["account", "contact"]);
    assert_eq!(model.entities[1].source, "entities/crm/contact.yml");
    assert!(model.event("contact_seen").is_some());
}

#[test]
fn events_may_stand_below_the_entities() {
    let (model, _) = load(&[
        (
            "codegen.yaml",
            "paths: { entities: model, events: model/events }\n",
        ),
        ("model/contact.yaml", "entity: { name: contact }\n"),
        (
            "model/events/seen.yaml",
            "type: seen\ndirection: inbound\npayload: {}\n",
        ),
    ]);
    assert_eq!((model.entities.len(), model.events.len()), (1, 1));
}

#[test]
fn an_empty_configuration_has_the_documented_defaults() {
    let (model, _) = load(&[("codegen.yaml", "# nothing\n")]);
    let config = &model.config;
    assert_eq!(config.databases, [Database::Sqlite, Database::Postgres]);
    assert_eq!(config.entities_dir, "entities");
    assert_eq!(config.app_crate.dir, "app");
    assert_eq!(config.app_state, "crate::state::AppState");
    assert_eq!(
        config.runtime,
        RuntimeSource::Vendored("runtime-sea".into())
    );
    assert!(config.subsystems.is_empty());
}

#[test]
fn the_configuration_is_read_and_packages_are_named_by_their_manifests() {
    let (model, _) = load(&[
        (
            "codegen.yaml",
            "databases: [postgres]
crates: { entity: crates/model, app: . }
runtime: { source: { git: https://example.com/r, rev: v1 } }
events:
jobs: { pools: { batch: 10, interactive: 5 } }
bridge: {}
",
        ),
        ("Cargo.toml", "[package]\nname = \"shop-app\"\n"),
        ("crates/model/Cargo.toml", "[workspace]\n"),
    ]);
    let config = &model.config;
    assert_eq!(config.databases, [Database::Postgres]);
    assert_eq!(
        (
            config.app_crate.dir.as_str(),
            config.app_crate.package.as_str()
        ),
        ("", "shop-app")
    );
    assert_eq!(config.app_crate.ident(), "shop_app");
    assert_eq!(config.entity_crate.package, "model");
    assert_eq!(config.migration_crate.package, "migration");
    assert_eq!(config.subsystems, Subsystem::ALL);
    assert_eq!(
        config.job_pools,
        [("batch".to_owned(), 10), ("interactive".to_owned(), 5)]
    );
    assert_eq!(
        config.runtime,
        RuntimeSource::Git {
            url: "https://example.com/r".to_owned(),
            rev: Some("v1".to_owned())
        }
    );
}
