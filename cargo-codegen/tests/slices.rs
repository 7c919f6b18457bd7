//! Entities, migrations, slices and their tests: valid Rust for any definition, and the same every time.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::changeset::{Edit, OutputKind};
use cargo_codegen::model::{self, Model};
use cargo_codegen::render::{self, Rendered};
use cargo_codegen::workspace::{Disk, Overlay};
use chrono::{NaiveDate, NaiveDateTime};

/// Every type, every nullability, every kind of relation.
const GADGET: &str = r#"
entity: { name: gadget, description: "It has \"quotes\", {{ braces }} and */ in it." }
fields:
  sku: { type: string, required: true, unique: true, pattern: '^[A-Z]{3}-\d{4}$' }
  notes: { type: text }
  count: { type: integer, required: true, min: 1, max: 10 }
  big: { type: bigint, nullable: true }
  price: { type: decimal, required: true, precision: 12, scale: 2, min: 0.5 }
  ratio: { type: float, default: 1.5 }
  active: { type: boolean, default: true }
  token: { type: uuid, default: 018f0000-0000-7000-8000-000000000001 }
  day: { type: date, default: now }
  wakes: { type: time, required: true }
  seen: { type: datetime, nullable: true }
  data: { type: json, default: { a: 1 } }
  state: { type: enum, choices: [draft, in_review, "2nd", "very-odd"], required: true }
  mood: { type: enum, choices: [self, other], nullable: true }
  photo: { type: bytes, nullable: true }
behaviors: [timestamps, user_tracking]
relationships:
  owner: { type: belongs_to, target: person, foreign_key: owner_id, required: true, on_delete: cascade }
  reviewer: { type: belongs_to, target: person, foreign_key: reviewer_id, on_delete: set_null }
queries:
  - by: [owner_id]
    order: price desc
  - by: [state, count]
    unique: true
  - name: search
    filters: [owner_id, state, mood, active, price, big, token, day, wakes, seen, notes, id]
    search: [notes, sku]
    sort: [price, seen, ratio]
    order: seen desc, big
    paginate: true
  - name: newest
    order: created_at desc
"#;

const PERSON: &str = "
entity: { name: person, plural: people }
fields:
  name: { type: string, required: true, index: true }
relationships:
  boss: { type: belongs_to, target: person, foreign_key: boss_id }
  reports: { type: has_many, target: person, foreign_key: boss_id }
  owned: { type: has_many, target: gadget, foreign_key: owner_id }
  home: { type: belongs_to, target: city, foreign_key: home_id }
behaviors: [soft_delete]
queries:
  - by: [name]
    unique: true
";

const CITY: &str = "
entity: { name: city }
fields:
  id: { type: integer }
  name: { type: string, required: true }
relationships:
  mayor: { type: belongs_to, target: person, foreign_key: mayor_id }
";

const READING: &str = "
entity: { name: reading }
fields:
  value: { type: float, required: true }
generate: { writes: false }
";

fn model(definitions: &[(&str, &str)]) -> Model {
    model_on("sqlite, postgres", definitions)
}

fn model_on(databases: &str, definitions: &[(&str, &str)]) -> Model {
    let nothing = Disk::new("/nonexistent");
    let mut files = Overlay::new(&nothing);
    files.insert("codegen.yaml", format!("databases: [{databases}]\n"));
    for (name, text) in definitions {
        files.insert(format!("entities/{name}.yaml"), *text);
    }
    model::load(&files).result.unwrap().0
}

const EVERYTHING: [(&str, &str); 4] = [
    ("gadget", GADGET),
    ("person", PERSON),
    ("city", CITY),
    ("reading", READING),
];

fn everything() -> Model {
    model(&EVERYTHING)
}

fn keywords() -> Model {
    let repository = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let input = Disk::new(repository.join("fixtures/keywords/input"));
    let mut files = Overlay::new(&input);
    files.insert("codegen.yaml", "events: {}\n");
    model::load(&files).result.unwrap().0
}

fn now() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 11, 23)
        .and_then(|it| it.and_hms_opt(10, 15, 0))
        .unwrap()
}

fn rendered(model: &Model) -> Rendered {
    let mut all = render::entity_crate(model).unwrap();
    for entity in &model.entities {
        all.extend(render::slice(model, entity).unwrap());
    }
    all.extend(render::slice_tests(model).unwrap());
    all.extend(render::migrations(model, None, &[], now()).unwrap());
    all.outputs.extend(render::http_support(model).unwrap());
    all
}

fn files(model: &Model) -> BTreeMap<Utf8PathBuf, String> {
    let outputs = rendered(model).outputs;
    let count = outputs.len();
    let files: BTreeMap<_, _> = outputs
        .into_iter()
        .map(|it| (it.path, it.content))
        .collect();
    assert_eq!(files.len(), count, "a path is rendered twice");
    files
}

fn migrations(model: &Model, snapshot: Option<&str>, existing: &[Utf8PathBuf]) -> Rendered {
    render::migrations(model, snapshot, existing, now()).unwrap()
}

fn migration_names(rendered: &Rendered) -> Vec<&str> {
    rendered
        .edits
        .iter()
        .filter_map(|it| match it {
            Edit::Migration { ident, .. } => Some(ident.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn every_rendered_file_is_valid() {
    let on_mysql = ["mysql", "sqlite, mysql"].map(|it| model_on(it, &EVERYTHING));
    for model in on_mysql.into_iter().chain([everything(), keywords()]) {
        for (path, text) in files(&model) {
            if path.extension() == Some("rs")
                && let Err(error) = syn::parse_file(&text)
            {
                panic!("{path} is no Rust: {error}\n{text}");
            }
        }
    }
}

#[test]
fn g22_rendering_twice_gives_the_same() {
    assert_eq!(files(&everything()), files(&everything()));
}

#[test]
fn g14_rust_keywords_as_field_names() {
    let files = files(&keywords());
    let entity = &files[Utf8Path::new("entity/src/order.rs")];
    for field in [
        "r#type: OrderType",
        "r#match: String",
        "r#gen: Option<i32>",
        "self_: bool",
    ] {
        assert!(
            entity.contains(&format!("pub {field},")),
            "{field}\n{entity}"
        );
    }
    assert!(entity.contains(r#"column_name = "self""#), "{entity}");
    let dto = &files[Utf8Path::new("app/src/orders/generated/dto.rs")];
    assert!(dto.contains(r#"rename = "self""#), "{dto}");
    assert!(dto.contains(r#"rename("match")"#), "{dto}");
}

#[test]
fn g17_words_of_the_user_stay_words() {
    let files = files(&everything());
    let entity = &files[Utf8Path::new("entity/src/gadget.rs")];
    assert!(
        entity.contains("\n/// It has \"quotes\", {{ braces }} and */ in it.\n"),
        "{entity}"
    );
}

#[test]
fn an_entity_without_writes_has_only_reads() {
    let files = files(&everything());
    let slice = |name: &str| Utf8PathBuf::from(format!("app/src/readings/generated/{name}.rs"));
    assert!(!files.contains_key(&slice("use_cases")));
    for name in ["dto", "repository", "service", "routes"] {
        let text = &files[&slice(name)];
        for word in [
            "CreateReading",
            "fn create",
            "fn update",
            "fn delete",
            "post,",
        ] {
            assert!(!text.contains(word), "{name} has {word}\n{text}");
        }
    }
}

#[test]
fn filters_have_an_index_where_none_begins_with_the_column() {
    let model = everything();
    let tables = cargo_codegen::schema::tables(&model);
    let gadgets = tables.iter().find(|it| it.name == "gadgets").unwrap();
    let indexes: Vec<&str> = gadgets.indexes.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        indexes,
        [
            "idx_gadgets_active",
            "idx_gadgets_big",
            "idx_gadgets_day",
            "idx_gadgets_mood",
            "idx_gadgets_owner_id_price",
            "idx_gadgets_price",
            "idx_gadgets_reviewer_id",
            "idx_gadgets_seen",
            "idx_gadgets_token",
            "idx_gadgets_wakes",
            "uq_gadgets_sku",
            "uq_gadgets_state_count",
        ],
        "not of `notes`, which is long, and not of the key"
    );
}

#[test]
fn a_query_with_a_name_has_a_route_only_where_the_entity_has_some() {
    let definition = "
entity: { name: reading }
fields:
  note: { type: string, nullable: true }
queries:
  - { name: search, search: note, sort: note }
";
    let file = |model: &Model, name: &str| {
        let path = format!("app/src/readings/generated/{name}.rs");
        files(model).get(&Utf8PathBuf::from(path)).cloned()
    };
    let with = model(&[("reading", definition)]);
    let routes = file(&with, "routes").unwrap();
    assert!(routes.contains(r#"path = "/readings/search""#), "{routes}");

    let without = format!("{definition}generate: {{ rest: false, writes: false }}\n");
    let without = model(&[("reading", &without)]);
    assert_eq!(file(&without, "routes"), None);
    let queries = file(&without, "queries").unwrap();
    assert!(!queries.contains("utoipa"), "{queries}");
    let repository = file(&without, "repository").unwrap();
    assert!(repository.contains("fn search("), "{repository}");
}

#[test]
fn reads_of_a_soft_deleting_entity_start_from_what_is_not_deleted() {
    let files = files(&everything());
    let repository = &files[Utf8Path::new("app/src/people/generated/repository.rs")];
    // And those of what is deleted, which `restore` and `purge` are about.
    assert_eq!(
        repository.matches("Entity::find()").count(),
        2,
        "{repository}"
    );
    for condition in ["is_null", "is_not_null"] {
        let start = format!("Entity::find().filter(Column::DeletedAt.{condition}())");
        assert!(repository.contains(&start), "{repository}");
    }
    let migration = files
        .iter()
        .find(|(path, _)| path.as_str().ends_with("_create_people.rs"))
        .unwrap()
        .1;
    assert!(
        migration.contains(r#".and_where(Expr::col("deleted_at").is_null())"#),
        "a deleted row must not keep its unique values: {migration}"
    );
}

#[test]
fn a_row_cannot_come_to_refer_to_a_deleted_one() {
    let files = files(&everything());
    let checks = |slice: &str| -> usize {
        let service = &files[&Utf8PathBuf::from(format!("app/src/{slice}/generated/service.rs"))];
        service
            .matches("_id\", PersonRepository.find_for_share(db, ")
            .count()
    };
    // In `create` and in `update`: two references of a gadget, one of a person to a person, one of a city.
    assert_eq!(
        (checks("gadgets"), checks("people"), checks("cities")),
        (4, 2, 2)
    );
}

#[test]
fn every_statement_of_a_tenants_repository_names_the_tenant() {
    let definitions = [
        "behaviors: [tenant]",
        "behaviors: [tenant, soft_delete]",
        "behaviors: [tenant, optimistic_lock]",
        "behaviors: [tenant, soft_delete, optimistic_lock, user_tracking, external_id_tracking]",
    ];
    for behaviors in definitions {
        let task = format!(
            "entity: {{ name: task }}\nfields: {{ code: {{ type: string, unique: true }} }}\n{behaviors}"
        );
        let files = files(&model(&[("task", &task)]));
        let repository = &files[Utf8Path::new("app/src/tasks/generated/repository.rs")];
        let plain: String = repository.split_whitespace().collect();
        let filter = ".filter(Column::TenantId.eq(self.tenant.as_str()))";
        for (statement, between) in [
            ("Entity::find()", ""),
            (
                "Entity::update(",
                "row.before_save(db,false).await?).validate()?",
            ),
            ("Entity::delete_by_id(", "task.id)"),
        ] {
            let filtered = format!("{statement}{between}{filter}");
            assert_eq!(
                plain.matches(statement).count(),
                plain.matches(&filtered).count(),
                "{behaviors}: {repository}"
            );
        }
        let inserted = "row.tenant_id=Set(self.tenant.to_string());row.insert(db)";
        assert!(plain.contains(inserted), "{behaviors}: {repository}");
        assert!(!plain.contains("row.update(db)") && !plain.contains("Default"));
    }
}

#[test]
fn a_soft_deletion_says_who_deleted() {
    let task = "entity: { name: task }\nfields: { code: { type: string } }\nbehaviors: [soft_delete, user_tracking]";
    let files = files(&model(&[("task", task)]));
    let repository = &files[Utf8Path::new("app/src/tasks/generated/repository.rs")];
    assert!(
        repository.contains("row.updated_by = Set(actor);"),
        "{repository}"
    );
    let routes = &files[Utf8Path::new("app/src/tasks/generated/routes.rs")];
    assert!(
        routes.contains("use_cases::delete(&state, id, Some(actor))"),
        "{routes}"
    );
}

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
        after.notes[0].contains("column `unit` is new, column `value` differs"),
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
