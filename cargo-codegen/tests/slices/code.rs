//! Entities, slices and their tests.

use std::collections::BTreeSet;

use crate::support::{EVERYTHING, everything, files, keywords, model, model_on};

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::model::{Entity, Model};

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
fn every_statement_about_a_tenants_custom_fields_names_the_tenant() {
    let history =
        "  valid_from: { type: datetime }\n  valid_to: { type: datetime, nullable: true }\n";
    let user = "  user_id: { type: uuid, required: true }\n";
    for (history, user) in [("", ""), (history, ""), ("", user), (history, user)] {
        let account =
            "entity: { name: account }\nfields: { name: { type: string } }\nbehaviors: [tenant]";
        let contact = "entity: { name: contact }\neav: true\nbehaviors: [tenant]\nrelationships:\n  account: { type: belongs_to, target: account, on_delete: cascade }";
        let typed = "  entity_type: { type: string, required: true }\n";
        let definition = format!(
            "entity: {{ name: field }}\nfields:\n{typed}{user}  key: {{ type: string, required: true }}\n  data_type: {{ type: enum, choices: [string], required: true }}\nbehaviors: [tenant]\nqueries:\n  - by: [entity_type, key]\n    unique: true"
        );
        let value = format!(
            "entity: {{ name: value }}\neav_value_table: true\neav_definition_table: field\nfields:\n{typed}{user}{history}  entity_id: {{ type: uuid, required: true }}\n  value: {{ type: json, nullable: true }}\nbehaviors: [tenant]\nrelationships:\n  field: {{ type: belongs_to, target: field, required: true }}"
        );
        let files = files(&model(&[
            ("account", account),
            ("contact", contact),
            ("field", &definition),
            ("value", &value),
        ]));
        let values = &files[Utf8Path::new("app/src/values/generated/values.rs")];
        let plain: String = values.split_whitespace().collect();
        let filter = ".filter(Column::TenantId.eq(self.repository.tenant().as_str()))";
        let deletions = plain.matches("Entity::delete_many()").count();
        let filtered = format!("Entity::delete_many(){filter}");
        assert_eq!(deletions, plain.matches(&filtered).count(), "{values}");
        let changed = format!(".col_expr(Column::ValidTo,now.into()){filter}");
        assert_eq!(plain.contains(&changed), !history.is_empty(), "{values}");
        for part in [
            ".filter(field::Column::TenantId.eq(self.tenant.as_str()))",
            "FieldRepository::of(self.repository.tenant()).select()",
            "ActiveModel{tenant_id:Set(self.repository.tenant().to_string()),",
        ] {
            assert!(plain.contains(part), "{part}\n{values}");
        }
        assert!(!plain.contains("Entity::find()"), "{values}");
        let account = &files[Utf8Path::new("app/src/accounts/generated/use_cases.rs")];
        assert!(account.contains("ValueService::of(tenant)"), "{account}");
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
fn g30_each_of_hundreds_of_entities_has_its_slice_and_no_more_files_than_another() {
    let names: Vec<String> = (0..300)
        .map(|it| format!("thing_{}", letters(it)))
        .collect();
    let definition = |index: usize| {
        let target = &names[index / 2];
        format!(
            "entity: {{ name: {} }}\nfields: {{ name: {{ type: string, required: true }} }}\n\
             relationships: {{ parent: {{ type: belongs_to, target: {target}, foreign_key: parent_id }} }}\n",
            names[index]
        )
    };
    let texts: Vec<String> = (0..names.len()).map(definition).collect();
    let definitions = names
        .iter()
        .map(String::as_str)
        .zip(texts.iter().map(String::as_str));
    let model = model(&definitions.collect::<Vec<_>>());
    let files = files(&model);
    let of = |entity: &Entity| {
        let slice = format!("app/src/{}/", entity.plural.snake);
        files
            .keys()
            .filter(|it| it.as_str().starts_with(&slice))
            .count()
    };
    assert_eq!(model.entities.len(), 300);
    let counts: BTreeSet<usize> = model.entities.iter().map(of).collect();
    assert_eq!(counts.len(), 1, "{counts:?}");
    let entities = files.keys().filter(|it| it.starts_with("entity/src"));
    assert!(entities.count() >= 300);
}

fn letters(number: usize) -> String {
    let letter = |it: usize| char::from(b'a' + u8::try_from(it % 26).unwrap_or_default());
    [letter(number / 26), letter(number)].iter().collect()
}
