//! Definitions that load, and what the model says about them.

use camino::Utf8Path;
use cargo_codegen::model::{
    self, Database, DefaultValue, Direction, EmitOn, Entity, EventTier, Family, FieldOrigin,
    FieldType, Model, OnDelete, Ordering, PayloadType, RelationKind, RuntimeSource, SortOrder,
    Subsystem,
};
use cargo_codegen::report::diagnostics;
use cargo_codegen::workspace::{Disk, Files, Overlay};

const ACCOUNT: &str =
    "entity: { name: account }\nfields: { name: { type: string, required: true } }\n";

const DEFINITIONS: (&str, &str) = (
    "entities/field_definition.yaml",
    include_str!("definitions/reference/field_definition.yaml"),
);
const VALUES: (&str, &str) = (
    "entities/field_value.yaml",
    include_str!("definitions/reference/field_value.yaml"),
);

/// Loads definitions that must have no error; the notes and warnings come rendered.
fn load(files: &[(&str, &str)]) -> (Model, String) {
    let nothing = Disk::new("no/such/directory");
    let mut overlay = Overlay::new(&nothing);
    overlay.insert("codegen.yaml", "events: {}\n");
    for (path, text) in files {
        overlay.insert(*path, *text);
    }
    resolved(&overlay)
}

fn resolved(files: &dyn Files) -> (Model, String) {
    let loaded = model::load(files);
    match loaded.result {
        Ok((model, notes)) => (model, diagnostics::render(&loaded.sources, &notes)),
        Err(problems) => panic!("{}", diagnostics::render(&loaded.sources, &problems)),
    }
}

fn entity<'m>(model: &'m Model, name: &str) -> &'m Entity {
    model.entity(name).expect(name)
}

fn columns(entity: &Entity) -> Vec<&str> {
    entity
        .fields
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect()
}

fn fixture(name: &str) -> (Model, String) {
    let dir = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
        .join("input");
    let disk = Disk::new(dir);
    let mut files = Overlay::new(&disk);
    files.insert("codegen.yaml", "events: {}\njobs: {}\nbridge: {}\n");
    resolved(&files)
}

#[test]
fn the_reference_entity_loads_unchanged() {
    let (model, notes) = load(&[
        (
            "entities/contact.yaml",
            include_str!("definitions/reference/contact.yaml"),
        ),
        ("entities/account.yaml", ACCOUNT),
        DEFINITIONS,
        VALUES,
        (
            "events/contact_created.yaml",
            include_str!("definitions/reference/contact_created.yaml"),
        ),
        (
            "events/contact_updated.yaml",
            "type: contact_updated\ndirection: change\naggregate: contact\npayload: { contact_id: { type: uuid } }\n",
        ),
        (
            "events/contact_deleted.yaml",
            "type: contact_deleted\ndirection: change\naggregate: contact\npayload: { contact_id: { type: uuid } }\n",
        ),
    ]);
    assert!(!notes.contains('×'), "{notes}");
    let contact = entity(&model, "contact");
    assert_eq!(
        columns(contact),
        [
            "id",
            "email",
            "status",
            "metadata",
            "score",
            "account_id",
            "created_at",
            "updated_at",
            "deleted_at",
            "created_by",
            "updated_by",
            "external_id",
            "provider",
            "provider_metadata"
        ]
    );
    assert_eq!(contact.key().unwrap().ty, FieldType::Uuid);
    let on: Vec<EmitOn> = contact.emits.iter().map(|it| it.on).collect();
    assert_eq!(on, [EmitOn::Create, EmitOn::Update, EmitOn::Delete]);
    let queries: Vec<&str> = contact
        .queries
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect();
    assert_eq!(
        queries,
        ["find_by_email", "list_by_account_id", "find_by_external_id"]
    );
    let [search] = contact.named_queries.as_slice() else {
        panic!("{:?}", contact.named_queries);
    };
    assert_eq!(search.name.snake, "search");
    assert_eq!(search.filters, ["email", "account_id"]);
    assert_eq!(search.search, ["email"]);
    assert!(search.is_in_pages());
    assert_eq!(
        contact.queries[1].order,
        [("created_at".to_owned(), SortOrder::Descending)]
    );
    // A behavior's column may be NULL, so the payload that it fills may be null.
    let created = model.event("contact_created").unwrap();
    assert!(
        created
            .payload
            .iter()
            .any(|it| it.name.snake == "created_by" && it.nullable)
    );
}

#[test]
fn the_reference_families_and_custom_fields_load_unchanged() {
    let (model, notes) = load(&[
        (
            "entities/opportunity.yaml",
            include_str!("definitions/reference/opportunity.yaml"),
        ),
        (
            "entities/activity.yaml",
            include_str!("definitions/reference/activity.yaml"),
        ),
        (
            "entities/knowledge_item.yaml",
            include_str!("definitions/reference/knowledge_item.yaml"),
        ),
        DEFINITIONS,
        VALUES,
    ]);
    // Keys of other tools are noted, and nothing else is said.
    assert!(!notes.contains(['×', '⚠']), "{notes}");
    let methods = |name: &str| -> Vec<String> {
        let entity = entity(&model, name);
        let queries = entity.queries.iter().map(|it| it.name.snake.clone());
        let families = entity.families.iter().flat_map(Family::methods);
        queries.chain(families).collect()
    };
    assert_eq!(
        methods("activity"),
        [
            "list_by_opportunity_id",
            "list_by_user_id",
            "list_by_date_range",
            "list_recent_by_opportunity_id",
        ]
    );
    assert_eq!(
        methods("knowledge_item"),
        [
            "list_pending",
            "update_status",
            "update_status_many",
            "list_pending_by_opportunity_id",
        ]
    );
    assert_eq!(
        methods("field_value"),
        [
            "list_by_entity_id_and_entity_type",
            "find_by_entity_id_and_field_definition_id",
            "list_by_user_id_and_entity_type",
            "list_by_entity_id",
            "list_history_by_entity_id",
        ]
    );
    assert!(methods("field_definition").contains(&"list_by_entity_type".to_owned()));
    let opportunity = entity(&model, "opportunity");
    assert_eq!(opportunity.custom_fields.as_deref(), Some("field_value"));
    let values = entity(&model, "field_value").field_values.as_ref().unwrap();
    assert_eq!(values.definition, "field_definition");
    assert_eq!(values.key, ["entity_id", "field_definition_id"]);
    assert!(values.history && values.of_users);
}

#[test]
fn the_smallest_entity_of_the_reference_loads_unchanged() {
    let text = include_str!("definitions/reference/account.yaml");
    let (model, notes) = load(&[("entities/account.yaml", text)]);
    assert!(!notes.contains(['×', '⚠']), "{notes}");
    assert!(notes.contains("`list_visible_to_user`"), "{notes}");
    let [family] = &*entity(&model, "account").families else {
        panic!("one family");
    };
    assert_eq!(family.methods(), ["list_by_external_ids", "sync_upsert"]);
}

#[test]
fn an_entity_takes_over_what_its_patterns_say() {
    let (model, notes) = load(&[
        (
            "entities/deal.yaml",
            "entity: { name: deal, patterns: [Scored, Tracked] }\nbehaviors: [timestamps]\nqueries: [{ by: [score] }]\n",
        ),
        (
            "patterns/scored.yaml",
            "pattern: { name: Scored }\nfields: { score: { type: integer, default: 0 } }\nbehaviors: [timestamps, soft_delete]\nqueries: [{ by: [score] }]\n",
        ),
        (
            "patterns/tracked.yaml",
            "pattern: { name: Tracked, extends: [Scored, Synced] }\nfields: { user_id: { type: uuid } }\n",
        ),
    ]);
    assert_eq!(notes, "");
    let deal = entity(&model, "deal");
    let expected = [
        "id",
        "score",
        "user_id",
        "created_at",
        "updated_at",
        "deleted_at",
        "external_id",
        "provider",
        "provider_metadata",
    ];
    assert_eq!(columns(deal), expected);
    let queries: Vec<&str> = deal
        .queries
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect();
    assert_eq!(
        queries,
        ["list_by_score", "find_by_external_id", "list_by_user_id"]
    );
    let owner = "user_id".to_owned();
    let owner = Some(owner);
    assert_eq!(deal.families, [Family::Synced { owner }]);
}

#[test]
fn the_reference_events_load_unchanged() {
    let (model, notes) = load(&[
        ("entities/contact.yaml", "entity: { name: contact }\n"),
        (
            "events/stripe_payment_received.yaml",
            include_str!("definitions/reference/stripe_payment_received.yaml"),
        ),
        (
            "events/webhook_outbound_contact_sync.yaml",
            include_str!("definitions/reference/webhook_outbound_contact_sync.yaml"),
        ),
        (
            "events/crm_sync_completed.yaml",
            include_str!("definitions/reference/crm_sync_completed.yaml"),
        ),
    ]);
    assert_eq!(notes, "");
    let payment = model.event("stripe_payment_received").unwrap();
    assert_eq!(payment.direction, Some(Direction::Inbound));
    assert_eq!(payment.source_system.as_deref(), Some("stripe"));
    assert_eq!(payment.ordering, Ordering::None);
    assert_eq!(payment.retry.unwrap().attempts, 5);
    let types: Vec<&PayloadType> = payment.payload.iter().map(|it| &it.ty).collect();
    // `date` in a payload is a point in time.
    assert_eq!(
        types,
        [
            &PayloadType::String,
            &PayloadType::String,
            &PayloadType::Number,
            &PayloadType::String,
            &PayloadType::DateTime
        ]
    );
    let sync = model.event("webhook_outbound_contact_sync").unwrap();
    assert_eq!(sync.direction, Some(Direction::Outbound));
    assert_eq!(sync.destination.as_deref(), Some("crm"));
    assert_eq!(sync.ordering, Ordering::Aggregate);
    let audit = model.event("crm_sync_completed").unwrap();
    assert_eq!(audit.tier, EventTier::Audit);
    assert_eq!(audit.direction, None);
    assert_eq!(audit.aggregate.as_deref(), Some("integration"));
}

#[test]
fn the_fixtures_load_without_a_note() {
    let (crm, notes) = fixture("crm");
    assert_eq!(notes, "");
    let won = &entity(&crm, "opportunity").emits[0];
    assert_eq!(won.on, EmitOn::Manual);
    assert_eq!(won.mapping.len(), 4);
    let (keywords, notes) = fixture("keywords");
    assert_eq!(notes, "");
    assert_eq!(keywords.entities.len(), 4);
}

#[test]
fn g14_keywords_as_names_keep_their_spelling_outside_of_rust() {
    let (model, _) = fixture("keywords");
    let order = entity(&model, "order");
    let spelled = |name: &str| {
        let field = order.field(name).unwrap();
        (field.name.ident.as_str(), field.name.pascal.as_str())
    };
    assert_eq!(spelled("type"), ("r#type", "Type"));
    assert_eq!(spelled("gen"), ("r#gen", "Gen"));
    assert_eq!(spelled("self"), ("self_", "Self_"));
    assert_eq!(spelled("crate"), ("crate_", "Crate"));
    assert_eq!(spelled("order"), ("order", "Order"));
    let FieldType::Enum { type_name, choices } = &order.field("type").unwrap().ty else {
        panic!("no enum");
    };
    assert_eq!(type_name, "OrderType");
    let variants: Vec<&str> = choices.iter().map(|it| it.pascal.as_str()).collect();
    assert_eq!(variants, ["Self_", "Match", "Type", "In"]);
}

#[test]
fn nullability_follows_required_nullable_and_default() {
    let (model, _) = load(&[(
        "entities/contact.yaml",
        "entity: { name: contact }
fields:
  needed: { type: string, required: true }
  open: { type: string, nullable: true }
  neither: { type: string }
  filled: { type: string, default: x }
  open_and_filled: { type: string, nullable: true, default: x }
  not_null: { type: string, nullable: false }
",
    )]);
    let contact = entity(&model, "contact");
    let state = |name: &str| {
        let field = contact.field(name).unwrap();
        (field.nullable, field.required)
    };
    assert_eq!(state("needed"), (false, true));
    assert_eq!(state("open"), (true, false));
    assert_eq!(state("neither"), (true, false));
    assert_eq!(state("filled"), (false, false));
    assert_eq!(state("open_and_filled"), (true, false));
    assert_eq!(state("not_null"), (false, true));
}

#[test]
fn every_type_takes_a_default() {
    let (model, _) = load(&[(
        "entities/sample.yaml",
        "entity: { name: sample }
fields:
  a: { type: string, default: \"5\" }
  b: { type: text, default: \"two\\nlines\" }
  c: { type: integer, default: -5 }
  d: { type: bigint, default: 3000000000 }
  e: { type: decimal, default: 9.90 }
  f: { type: float, default: 0.5 }
  g: { type: boolean, default: false }
  h: { type: uuid, default: 0190AAAA-0000-7000-8000-000000000000 }
  i: { type: date, default: 2026-11-23 }
  j: { type: time, default: \"08:30\" }
  k: { type: datetime, default: now }
  l: { type: json, default: { a: [1, true, null, x] } }
  m: { type: enum, choices: [no, yes, \"3\"], default: no }
",
    )]);
    let sample = entity(&model, "sample");
    let default = |name: &str| sample.field(name).unwrap().default.clone().unwrap();
    let text = |text: &str| DefaultValue::Text(text.to_owned());
    assert_eq!(default("a"), text("5"));
    assert_eq!(default("b"), text("two\nlines"));
    assert_eq!(default("c"), DefaultValue::Integer(-5));
    assert_eq!(default("d"), DefaultValue::Integer(3_000_000_000));
    assert_eq!(default("e"), text("9.90"));
    assert_eq!(default("f"), DefaultValue::Float(0.5));
    assert_eq!(default("g"), DefaultValue::Boolean(false));
    assert_eq!(default("h"), text("0190aaaa-0000-7000-8000-000000000000"));
    assert_eq!(default("i"), text("2026-11-23"));
    assert_eq!(default("j"), text("08:30:00"));
    assert_eq!(default("k"), DefaultValue::Now);
    assert_eq!(
        default("l"),
        DefaultValue::Json(r#"{"a":[1,true,null,"x"]}"#.to_owned())
    );
    assert_eq!(default("m"), DefaultValue::Choice(0));
}

#[test]
fn a_belongs_to_adds_its_column_with_the_type_of_the_target_key() {
    let (model, _) = load(&[
        (
            "entities/account.yaml",
            "entity: { name: account }\nfields: { id: { type: bigint } }\n",
        ),
        (
            "entities/contact.yaml",
            "entity: { name: contact }
relationships:
  account: { type: belongs_to, target: account, required: true, on_delete: cascade }
  former: { type: belongs_to, target: account, foreign_key: old_account_id, on_delete: set_null }
",
        ),
    ]);
    let contact = entity(&model, "contact");
    assert_eq!(columns(contact), ["id", "account_id", "old_account_id"]);
    let account = contact.field("account_id").unwrap();
    assert_eq!(
        (&account.ty, account.required, account.nullable),
        (&FieldType::BigInt, true, false)
    );
    assert_eq!(account.origin, FieldOrigin::Declared);
    assert!(contact.field("old_account_id").unwrap().nullable);
    assert_eq!(contact.relations[0].on_delete, OnDelete::Cascade);
    assert_eq!(contact.relations[1].on_delete, OnDelete::SetNull);
    assert!(contact.relations.iter().all(|it| !it.sole_to_target));
}

#[test]
fn relations_to_oneself_and_their_inverses_work() {
    let (model, _) = load(&[(
        "entities/category.yaml",
        "entity: { name: category }
relationships:
  parent: { type: belongs_to, target: category }
  children: { type: has_many, target: category, foreign_key: parent_id }
  only_child: { type: has_many, target: category }
",
    )]);
    let category = entity(&model, "category");
    assert_eq!(category.plural.snake, "categories");
    assert!(category.relations.iter().all(|it| it.self_reference));
    assert!(
        category
            .relations
            .iter()
            .all(|it| it.foreign_key.snake == "parent_id")
    );
    assert_eq!(category.relations[1].kind, RelationKind::HasMany);
}

#[test]
fn a_has_one_needs_a_unique_foreign_key() {
    let (model, _) = load(&[
        (
            "entities/account.yaml",
            "entity: { name: account }\nrelationships: { profile: { type: has_one, target: profile } }\n",
        ),
        (
            "entities/profile.yaml",
            "entity: { name: profile }\nrelationships: { account: { type: belongs_to, target: account, unique: true } }\n",
        ),
    ]);
    assert_eq!(
        entity(&model, "account").relations[0].kind,
        RelationKind::HasOne
    );
    assert!(
        entity(&model, "profile")
            .field("account_id")
            .unwrap()
            .unique
    );
}

#[test]
fn a_foreign_key_of_a_field_is_a_relation() {
    let (model, _) = load(&[
        ("entities/account.yaml", ACCOUNT),
        (
            "entities/contact.yaml",
            "entity: { name: contact }
fields:
  account_id: { type: uuid, required: true, foreign_key: accounts.id }
  owner_id: { type: uuid, nullable: true, foreign_key: accounts.id }
relationships:
  account: { type: belongs_to, target: account }
",
        ),
    ]);
    let relations: Vec<(&str, &str)> = entity(&model, "contact")
        .relations
        .iter()
        .map(|it| (it.name.snake.as_str(), it.foreign_key.snake.as_str()))
        .collect();
    assert_eq!(
        relations,
        [("account", "account_id"), ("owner", "owner_id")]
    );
}

#[test]
fn inline_events_are_the_same_as_events_in_files() {
    let inline = "entity: { name: contact }
emits: [contact_created]
events:
  - type: contact_created
    version: 2
    payload: { contact_id: { type: uuid }, tags: { type: array, items: string, nullable: true } }
";
    let short = "entity: { name: contact }
emits: [contact_created]
events:
  - name: contact_created
    queue: domain-events
    version: 2
    body: { contact_id: uuid }
    generate_handler: true
";
    let alone = "type: contact_created\ndirection: change\naggregate: contact\nversion: 2\npayload: { contact_id: uuid }\n";
    let emits_tags = inline.replace("emits: [contact_created]\n", "");
    let (long, _) = load(&[("entities/contact.yaml", &emits_tags)]);
    let (short, notes) = load(&[("entities/contact.yaml", short)]);
    let (file, _) = load(&[
        (
            "entities/contact.yaml",
            "entity: { name: contact }\nemits: [contact_created]\n",
        ),
        ("events/contact_created.yaml", alone),
    ]);
    assert!(notes.contains("queue"), "{notes}");
    let long = long.event("contact_created").unwrap();
    assert_eq!(
        long.payload[1].ty,
        PayloadType::Array(Box::new(PayloadType::String))
    );
    assert!(long.payload[1].nullable);
    let (short, file) = (
        short.event("contact_created").unwrap(),
        file.event("contact_created").unwrap(),
    );
    assert_eq!(
        format!("{:?}", short.payload),
        format!("{:?}", file.payload)
    );
    assert_eq!(short.direction, file.direction);
    assert_eq!(short.aggregate, file.aggregate);
    assert_eq!(short.version, file.version);
    assert_eq!(short.ordering, file.ordering);
}

#[test]
fn scopeable_may_stand_in_both_places_and_toggles_default_to_on() {
    for text in [
        "entity: { name: contact, scopeable: true }\n",
        "entity: { name: contact }\nscopeable: true\n",
    ] {
        let (model, _) = load(&[("entities/contact.yaml", text)]);
        let contact = entity(&model, "contact");
        assert!(contact.scopeable && contact.writes && contact.rest && contact.openapi);
    }
    let (model, _) = load(&[(
        "entities/contact.yaml",
        "entity: { name: contact }\ngenerate: { writes: false, rest: false, openapi: false }\nemits: [contact_created]\nevents: [{ name: contact_created, body: {} }]\n",
    )]);
    let contact = entity(&model, "contact");
    assert!(!contact.scopeable && !contact.writes && !contact.rest && !contact.openapi);
    assert_eq!(contact.emits[0].on, EmitOn::Manual);
}

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
