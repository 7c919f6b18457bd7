//! Models, and what is rendered of them.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use cargo_codegen::changeset::Edit;
use cargo_codegen::model::{self, Model};
use cargo_codegen::render::{self, Changed, Rendered};
use cargo_codegen::workspace::{Disk, Overlay};
use chrono::{NaiveDate, NaiveDateTime};

/// Every type, every nullability, every kind of relation.
pub(crate) const GADGET: &str = r#"
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

pub(crate) const PERSON: &str = "
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

pub(crate) const CITY: &str = "
entity: { name: city }
fields:
  id: { type: integer }
  name: { type: string, required: true }
relationships:
  mayor: { type: belongs_to, target: person, foreign_key: mayor_id }
";

pub(crate) const READING: &str = "
entity: { name: reading }
fields:
  value: { type: float, required: true }
generate: { writes: false }
";

pub(crate) fn model(definitions: &[(&str, &str)]) -> Model {
    model_on("sqlite, postgres", definitions)
}

pub(crate) fn model_on(databases: &str, definitions: &[(&str, &str)]) -> Model {
    let nothing = Disk::new("/nonexistent");
    let mut files = Overlay::new(&nothing);
    files.insert("codegen.yaml", format!("databases: [{databases}]\n"));
    for (name, text) in definitions {
        files.insert(format!("entities/{name}.yaml"), *text);
    }
    model::load(&files).result.unwrap().0
}

pub(crate) const EVERYTHING: [(&str, &str); 4] = [
    ("gadget", GADGET),
    ("person", PERSON),
    ("city", CITY),
    ("reading", READING),
];

pub(crate) fn everything() -> Model {
    model(&EVERYTHING)
}

pub(crate) fn keywords() -> Model {
    let repository = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let input = Disk::new(repository.join("fixtures/keywords/input"));
    let mut files = Overlay::new(&input);
    files.insert("codegen.yaml", "events: {}\n");
    model::load(&files).result.unwrap().0
}

pub(crate) fn now() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2026, 11, 23)
        .and_then(|it| it.and_hms_opt(10, 15, 0))
        .unwrap()
}

pub(crate) fn rendered(model: &Model) -> Rendered {
    let mut all = render::entity_crate(model).unwrap();
    for entity in &model.entities {
        all.extend(render::slice(model, entity).unwrap());
    }
    all.extend(render::slice_tests(model).unwrap());
    all.extend(render::migrations(model, None, &[], now(), Changed::Told).unwrap());
    all.outputs.extend(render::http_support(model).unwrap());
    all
}

pub(crate) fn files(model: &Model) -> BTreeMap<Utf8PathBuf, String> {
    let outputs = rendered(model).outputs;
    let count = outputs.len();
    let files: BTreeMap<_, _> = outputs
        .into_iter()
        .map(|it| (it.path, it.content))
        .collect();
    assert_eq!(files.len(), count, "a path is rendered twice");
    files
}

pub(crate) fn migrations(
    model: &Model,
    snapshot: Option<&str>,
    existing: &[Utf8PathBuf],
) -> Rendered {
    render::migrations(model, snapshot, existing, now(), Changed::Told).unwrap()
}

/// With those for tables that have changed.
pub(crate) fn changed(model: &Model, snapshot: &str) -> Rendered {
    render::migrations(model, Some(snapshot), &[], now(), Changed::Written).unwrap()
}

pub(crate) fn migration_names(rendered: &Rendered) -> Vec<&str> {
    rendered
        .edits
        .iter()
        .filter_map(|it| match it {
            Edit::Migration { ident, .. } => Some(ident.as_str()),
            _ => None,
        })
        .collect()
}
