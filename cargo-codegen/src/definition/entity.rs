//! `entities/<name>.yaml`, as written.

use super::event::{self, EventDefinition};
use super::field::{self, FieldDefinition};
use super::keys::{ENTITY, ENTITY_FILE, GENERATE};
use super::node::Node;
use super::problem::Problem;
use super::query::{self, NamedQueryDefinition, QueryDefinition};
use super::reader::{Block, Reader};
use super::relation::{self, RelationDefinition};
use super::source::{SourceId, Span, Spanned};

/// One entity definition.
#[derive(Debug, Clone)]
pub struct EntityDefinition {
    /// Its file.
    pub source: SourceId,
    /// `entity.name`.
    pub name: Spanned<String>,
    /// `entity.plural`.
    pub plural: Option<Spanned<String>>,
    /// `entity.table`.
    pub table: Option<Spanned<String>>,
    /// `entity.previously`: what the table was called.
    pub previously: Option<Spanned<String>>,
    /// `entity.description`, on one line.
    pub description: Option<String>,
    /// `scopeable`, at the top or in `entity`.
    pub scopeable: bool,
    /// `entity.pattern` or `entity.patterns`.
    pub patterns: Vec<Spanned<String>>,
    /// `fields`, in the order of the file.
    pub fields: Vec<FieldDefinition>,
    /// `behaviors`.
    pub behaviors: Vec<Spanned<Behavior>>,
    /// `relationships`, in the order of the file.
    pub relations: Vec<RelationDefinition>,
    /// `queries` by columns.
    pub queries: Vec<QueryDefinition>,
    /// `queries` with a name.
    pub named_queries: Vec<NamedQueryDefinition>,
    /// `generate.writes`; default true.
    pub writes: bool,
    /// `generate.rest`; default true.
    pub rest: bool,
    /// `generate.openapi`; default true.
    pub openapi: bool,
    /// `generate.upsert`: the columns of a unique key.
    pub upsert: Option<Spanned<Vec<Spanned<String>>>>,
    /// Where `eav: true` stands.
    pub eav: Option<Span>,
    /// Where `eav_value_table: true` stands.
    pub eav_value_table: Option<Span>,
    /// `eav_definition_table`.
    pub eav_definition_table: Option<Spanned<String>>,
    /// `emits`.
    pub emits: Vec<Spanned<String>>,
    /// `events`.
    pub events: Vec<EventDefinition>,
}

/// A word of `behaviors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// `created_at`, `updated_at`.
    Timestamps,
    /// `deleted_at`.
    SoftDelete,
    /// `created_by`, `updated_by`.
    UserTracking,
    /// `external_id`, `provider`, `provider_metadata`.
    ExternalIdTracking,
    /// `version`.
    OptimisticLock,
    /// `tenant_id`.
    Tenant,
}

/// Reads an entity definition; `None` if it does not even have a name.
pub(crate) fn decode(
    reader: &mut Reader,
    source: SourceId,
    node: &Node,
) -> Option<EntityDefinition> {
    if reader.is_empty_file(node, "entity: { name: contact }") {
        return None;
    }
    let file = reader.block(node, &ENTITY_FILE, "an entity definition")?;
    let entity = reader.required(
        &file,
        "entity",
        "this definition",
        &file.span,
        "entity: { name: contact }",
    );
    let entity = entity.and_then(|it| reader.block(it, &ENTITY, "`entity`"));
    let name = entity.as_ref().and_then(|it| {
        let node = reader.required(it, "name", "`entity`", &it.span, "name: contact")?;
        reader.text(node, "`name`")
    });
    let patterns = entity
        .as_ref()
        .map(|it| patterns(reader, it))
        .unwrap_or_default();
    let scopeable_here = reader.boolean_of(&file, "scopeable");
    let scopeable_inside = entity
        .as_ref()
        .and_then(|it| reader.boolean_of(it, "scopeable"));
    if let (Some(here), Some(inside)) = (&scopeable_here, &scopeable_inside)
        && here.value != inside.value
    {
        reader.report(
            Problem::error(
                "contradiction",
                "`scopeable` is given twice, differently",
                here.span.clone(),
            )
            .also(inside.span.clone(), "and here")
            .help("keep the one in `entity`"),
        );
    }
    let owner = name.as_ref().map(|it| it.value.clone()).unwrap_or_default();
    let generate = file
        .get("generate")
        .and_then(|it| reader.block(it, &GENERATE, "`generate`"));
    let mut toggle = |key: &str| {
        let block = generate.as_ref()?;
        reader.boolean_of(block, key).map(|it| it.value)
    };
    let (writes, rest, openapi) = (toggle("writes"), toggle("rest"), toggle("openapi"));
    let upsert = generate.as_ref().and_then(|it| {
        let node = it.get("upsert")?;
        let columns = query::columns(reader, node, "`upsert`")?;
        Some(Spanned::new(columns, node.span.clone()))
    });
    let mut flag = |key: &str| {
        let is_set = reader.boolean_of(&file, key)?.value;
        file.entry(key)
            .filter(|_| is_set)
            .map(|it| it.0.span.clone())
    };
    let (eav, eav_value_table) = (flag("eav"), flag("eav_value_table"));
    let eav_definition_table = reader.text_of(&file, "eav_definition_table");
    let fields = fields(reader, &file);
    let relations = relation::decode(reader, &file);
    let behaviors = behaviors(reader, &file);
    let (queries, named_queries) = query::decode(reader, &file);
    let emits = file
        .get("emits")
        .and_then(|it| reader.texts(it, "`emits`"))
        .unwrap_or_default();
    let events = file
        .get("events")
        .and_then(|it| reader.list(it, "`events`"))
        .unwrap_or_default()
        .iter()
        .filter_map(|it| event::decode_inline(reader, source, it, &owner))
        .collect();
    Some(EntityDefinition {
        source,
        plural: entity.as_ref().and_then(|it| reader.text_of(it, "plural")),
        table: entity.as_ref().and_then(|it| reader.text_of(it, "table")),
        previously: entity
            .as_ref()
            .and_then(|it| reader.text_of(it, "previously")),
        description: entity.as_ref().and_then(|it| reader.description_of(it)),
        scopeable: [scopeable_here, scopeable_inside]
            .iter()
            .flatten()
            .any(|it| it.value),
        patterns,
        fields,
        behaviors,
        relations,
        queries,
        named_queries,
        writes: writes.unwrap_or(true),
        rest: rest.unwrap_or(true),
        openapi: openapi.unwrap_or(true),
        upsert,
        eav,
        eav_value_table,
        eav_definition_table,
        emits,
        events,
        name: name?,
    })
}

/// `pattern` is one, `patterns` a list; nothing at all is `Base`, which every entity is.
fn patterns(reader: &mut Reader, entity: &Block<'_>) -> Vec<Spanned<String>> {
    let one = reader.text_of(entity, "pattern");
    let list = entity
        .get("patterns")
        .and_then(|it| reader.texts(it, "`patterns`"));
    if let (Some(one), Some((key, _))) = (&one, entity.entry("patterns")) {
        reader.report(
            Problem::error(
                "contradiction",
                "an entity has either `pattern` or `patterns`",
                key.span.clone(),
            )
            .also(one.span.clone(), "the other one")
            .help("list all of them in `patterns`"),
        );
    }
    one.into_iter().chain(list.into_iter().flatten()).collect()
}

pub(super) fn fields(reader: &mut Reader, file: &Block<'_>) -> Vec<FieldDefinition> {
    let Some(block) = file
        .get("fields")
        .and_then(|it| reader.entries(it, "`fields`"))
    else {
        return Vec::new();
    };
    block
        .iter()
        .filter_map(|(name, node)| field::decode(reader, name, node))
        .collect()
}

pub(super) const BEHAVIORS: [(&str, Behavior); 6] = [
    ("timestamps", Behavior::Timestamps),
    ("soft_delete", Behavior::SoftDelete),
    ("user_tracking", Behavior::UserTracking),
    ("external_id_tracking", Behavior::ExternalIdTracking),
    ("optimistic_lock", Behavior::OptimisticLock),
    ("tenant", Behavior::Tenant),
];

pub(super) fn behaviors(reader: &mut Reader, file: &Block<'_>) -> Vec<Spanned<Behavior>> {
    let items = file
        .get("behaviors")
        .and_then(|it| reader.list(it, "`behaviors`"))
        .unwrap_or_default();
    let mut found: Vec<Spanned<Behavior>> = Vec::new();
    for item in items {
        let Some(behavior) = reader.word(item, "a behavior", &BEHAVIORS) else {
            continue;
        };
        match found.iter().find(|it| it.value == behavior.value) {
            Some(first) => reader.report(
                Problem::error("duplicate", "this behavior is listed twice", behavior.span)
                    .also(first.span.clone(), "first listed here"),
            ),
            None => found.push(behavior),
        }
    }
    found
}
