//! Columns, relations and events.

use crate::support::{ACCOUNT, columns, entity, fixture, load};

use cargo_codegen::model::{
    DefaultValue, EmitOn, FieldOrigin, FieldType, OnDelete, PayloadType, RelationKind,
};

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
