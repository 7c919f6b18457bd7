//! Relations that go through another table: the model, the tables and the files.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use camino::Utf8Path;
use cargo_codegen::model::{self, Model, Onward, RelationKind};
use cargo_codegen::render;
use cargo_codegen::schema::{self, OnDeleteAction, Table};
use cargo_codegen::workspace::{Disk, Overlay};

fn model(definitions: &[(&str, &str)]) -> Model {
    let empty = Disk::new("/nonexistent");
    let mut files = Overlay::new(&empty);
    files.insert("codegen.yaml", "events: {}\n");
    for (name, text) in definitions {
        files.insert(format!("entities/{name}.yaml"), *text);
    }
    let loaded = model::load(&files);
    match loaded.result {
        Ok((model, _)) => model,
        Err(problems) => panic!("{problems:#?}"),
    }
}

const TAG: (&str, &str) = (
    "tag",
    "entity: { name: tag }\nfields: { id: { type: integer }, name: { type: string } }\n",
);

const CONTACT: &str = "entity: { name: contact }\nrelationships:\n";

fn table<'a>(tables: &'a [Table], name: &str) -> &'a Table {
    tables.iter().find(|it| it.name == name).unwrap()
}

#[test]
fn a_join_table_is_the_same_from_whichever_side_it_is_declared() {
    let contact = format!("{CONTACT}  tags: {{ type: many_to_many, target: tag }}\n");
    let one_side = model(&[("contact", &contact), TAG]);
    let back = format!(
        "{}relationships: {{ contacts: {{ type: many_to_many, target: contact }} }}\n",
        TAG.1
    );
    let other_side = model(&[("contact", "entity: { name: contact }\n"), ("tag", &back)]);
    let both = model(&[("contact", &contact), ("tag", &back)]);
    for model in [&one_side, &other_side, &both] {
        let tables = schema::tables(model);
        assert_eq!(tables, schema::tables(&both));
        let join = table(&tables, "contact_tags");
        let columns: Vec<_> = join
            .columns
            .iter()
            .map(|it| (it.name.as_str(), it.primary_key, it.auto_increment))
            .collect();
        assert_eq!(
            columns,
            [("contact_id", true, false), ("tag_id", true, false)]
        );
        assert_eq!(join.indexes[0].name, "idx_contact_tags_tag_id_contact_id");
        let cascades = |it: &schema::ForeignKey| it.on_delete == OnDeleteAction::Cascade;
        assert!(join.foreign_keys.len() == 2 && join.foreign_keys.iter().all(cascades));
        assert_eq!(model.joins.len(), 1);
    }
    assert_eq!(other_side.entity("contact").unwrap().relations.len(), 0);
}

#[test]
fn an_entity_that_is_linked_to_itself_names_the_other_column_after_the_relation() {
    let contact = format!("{CONTACT}  friends: {{ type: many_to_many, target: contact }}\n");
    let model = model(&[("contact", &contact)]);
    let join = &model.joins[0];
    assert_eq!(join.table, "contact_friends");
    let [here, there] = join.ends.each_ref().map(|it| it.column.snake.as_str());
    assert_eq!((here, there), ("contact_id", "friend_id"));
    assert!(!model.entity("contact").unwrap().relations[0].sole_to_target);
}

#[test]
fn a_relation_goes_through_an_entity_or_the_relation_to_it() {
    let contact = format!(
        "{CONTACT}  groups: {{ type: many_to_many, target: group, through: membership }}
  memberships: {{ type: has_many, target: membership }}
  also_groups: {{ type: has_many, target: group, through: memberships }}
  meetings: {{ type: has_many, target: meeting, through: memberships }}
"
    );
    let membership = "entity: { name: membership }
relationships:
  contact: { type: belongs_to, target: contact, required: true }
  group: { type: belongs_to, target: group, required: true }
";
    let meeting = "entity: { name: meeting }
relationships:
  membership: { type: belongs_to, target: membership }
";
    let model = model(&[
        ("contact", &contact),
        ("group", "entity: { name: group }\n"),
        ("membership", membership),
        ("meeting", meeting),
    ]);
    let contact = model.entity("contact").unwrap();
    let relation = |name: &str| {
        let mut relations = contact.relations.iter();
        relations.find(|it| it.name.snake == name).unwrap()
    };
    assert_eq!(relation("groups").kind, RelationKind::ManyToMany);
    assert_eq!(relation("groups").through, relation("also_groups").through);
    let onward = &relation("meetings").through.as_ref().unwrap().onward;
    assert!(matches!(onward, Onward::Referred(it) if it.column.snake == "membership_id"));
    assert!(model.joins.is_empty());

    let rendered = render::slice(&model, contact).unwrap();
    let links = Utf8Path::new("app/src/contacts/generated/links.rs");
    let links = rendered.outputs.iter().find(|it| it.path == links).unwrap();
    assert!(syn::parse_file(&links.content).is_ok());
    assert!(!links.content.contains("fn add_"), "{}", links.content);
}

#[test]
fn what_queries_via_a_relation_look_for_has_an_index_there() {
    let contact = "entity: { name: contact }
relationships:
  account: { type: belongs_to, target: account }
  tags: { type: many_to_many, target: tag }
queries:
  - { by: [industry, city], via: account }
  - { by: [name], via: tags }
  - { by: [story], via: account }
";
    let account = "entity: { name: account }
fields:
  industry: { type: string }
  city: { type: string }
  story: { type: text }
";
    let model = model(&[("contact", contact), ("account", account), TAG]);
    let tables = schema::tables(&model);
    let names = |name: &str| -> Vec<String> {
        let indexes = table(&tables, name).indexes.iter();
        indexes.map(|it| it.name.clone()).collect()
    };
    assert_eq!(names("accounts"), ["idx_accounts_industry_city"]);
    assert_eq!(names("tags"), ["idx_tags_name"]);
    assert_eq!(names("contacts"), ["idx_contacts_account_id"]);
    let queries = &model.entity("contact").unwrap().queries;
    let names: Vec<&str> = queries.iter().map(|it| it.name.snake.as_str()).collect();
    assert_eq!(
        names,
        [
            "list_by_account_industry_and_city",
            "list_by_tags_name",
            "list_by_account_story"
        ]
    );
}

#[test]
fn every_kind_of_link_and_page_gives_valid_rust() {
    let contact = "entity: { name: contact }
fields:
  name: { type: string, required: true }
  type: { type: string, nullable: true }
  age: { type: integer, nullable: true }
relationships:
  friends: { type: many_to_many, target: contact }
  tags: { type: many_to_many, target: tag }
  match: { type: belongs_to, target: contact }
behaviors: [timestamps, soft_delete]
queries:
  - { by: [tag_id], via: tags, select: [name, type, age], order: 'age desc, name', limit: true }
  - { by: [friend_id], via: friends, limit: 7 }
  - { name: by_name, by: [name], select: [type] }
  - { name: all, paginate: keyset }
  - { name: sorted, paginate: cursor, sort: [age, type], order: age }
  - { name: uncounted, paginate: true, total: false, limit: 500, sort: [name] }
";
    let model = model(&[("contact", contact), TAG]);
    let mut outputs = render::entity_crate(&model).unwrap().outputs;
    outputs.extend(render::app_shared(&model).unwrap());
    for entity in &model.entities {
        outputs.extend(render::slice(&model, entity).unwrap().outputs);
    }
    for output in &outputs {
        if let Err(error) = syn::parse_file(&output.content) {
            panic!("{} is no Rust: {error}\n{}", output.path, output.content);
        }
    }
    let has = |path: &str| outputs.iter().any(|it| it.path == path);
    for name in ["keyset", "part", "related"] {
        assert!(has(&format!("app/src/generated/{name}.rs")), "{name}");
    }
    assert!(!has("app/src/tags/generated/include.rs"));
}
