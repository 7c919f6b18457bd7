//! `entities/<name>.yaml`, as written.

use super::event::{self, EventDefinition};
use super::field::{self, FieldDefinition};
use super::keys::{ENTITY, ENTITY_FILE, GENERATE, QUERY, RELATION};
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader, not_yet};
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
    /// `entity.description`, on one line.
    pub description: Option<String>,
    /// `scopeable`, at the top or in `entity`.
    pub scopeable: bool,
    /// `fields`, in the order of the file.
    pub fields: Vec<FieldDefinition>,
    /// `behaviors`.
    pub behaviors: Vec<Spanned<Behavior>>,
    /// `relationships`, in the order of the file.
    pub relations: Vec<RelationDefinition>,
    /// `queries`.
    pub queries: Vec<QueryDefinition>,
    /// `generate.writes`; default true.
    pub writes: bool,
    /// `generate.rest`; default true.
    pub rest: bool,
    /// `generate.openapi`; default true.
    pub openapi: bool,
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
    /// Known, and reported; nothing comes of it.
    Later,
}

/// `type` of a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationType {
    /// This entity has the foreign key.
    BelongsTo,
    /// The target has it.
    HasMany,
    /// The target has it, and it is unique.
    HasOne,
    /// Through a third table; not generated yet.
    ManyToMany,
}

/// `on_delete` of a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeleteWord {
    /// The deletion is refused.
    Restrict,
    /// The row goes too.
    Cascade,
    /// The foreign key becomes NULL.
    SetNull,
}

/// One relationship.
#[derive(Debug, Clone)]
pub struct RelationDefinition {
    /// Its key.
    pub name: Spanned<String>,
    /// `type`.
    pub kind: Spanned<RelationType>,
    /// `target`.
    pub target: Spanned<String>,
    /// `foreign_key`.
    pub foreign_key: Option<Spanned<String>>,
    /// `on_delete`.
    pub on_delete: Option<Spanned<OnDeleteWord>>,
    /// `required`, or the contrary of `nullable`.
    pub required: Option<Spanned<bool>>,
    /// `index`.
    pub index: Option<Spanned<bool>>,
    /// `unique`.
    pub unique: Option<Spanned<bool>>,
    /// `description`, on one line.
    pub description: Option<String>,
    /// Goes through another table or relation: checked, not generated yet.
    pub through: bool,
}

/// One query.
#[derive(Debug, Clone)]
pub struct QueryDefinition {
    /// Where it stands.
    pub span: Span,
    /// `by`.
    pub by: Vec<Spanned<String>>,
    /// `unique`.
    pub unique: bool,
    /// `order`: columns, and whether the largest comes first.
    pub order: Vec<(Spanned<String>, bool)>,
}

/// Reads an entity definition; `None` if it does not even have a name.
pub(crate) fn decode(
    reader: &mut Reader,
    source: SourceId,
    node: &Node,
) -> Option<EntityDefinition> {
    let file = reader.block(node, &ENTITY_FILE, "an entity definition")?;
    let entity = reader.required(
        &file,
        "entity",
        "this definition",
        "entity: { name: contact }",
    );
    let entity = entity.and_then(|it| reader.block(it, &ENTITY, "`entity`"));
    let name = entity.as_ref().and_then(|it| {
        let node = reader.required(it, "name", "`entity`", "name: contact")?;
        reader.text(node, "`name`")
    });
    if let Some(entity) = &entity {
        pattern(reader, entity);
    }
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
    let fields = fields(reader, &file);
    let relations = relations(reader, &file);
    let behaviors = behaviors(reader, &file);
    let queries = queries(reader, &file);
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
        description: entity.as_ref().and_then(|it| reader.description_of(it)),
        scopeable: [scopeable_here, scopeable_inside]
            .iter()
            .flatten()
            .any(|it| it.value),
        fields,
        behaviors,
        relations,
        queries,
        writes: writes.unwrap_or(true),
        rest: rest.unwrap_or(true),
        openapi: openapi.unwrap_or(true),
        emits,
        events,
        name: name?,
    })
}

fn pattern(reader: &mut Reader, entity: &Block<'_>) {
    if let Some(pattern) = reader.text_of(entity, "pattern")
        && pattern.value != "Base"
    {
        let what = format!("the pattern `{}`", shorten(&pattern.value));
        reader.report(not_yet(&what, pattern.span).help("the entity is generated as `Base`"));
    }
}

fn fields(reader: &mut Reader, file: &Block<'_>) -> Vec<FieldDefinition> {
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

const BEHAVIORS: [(&str, Behavior); 4] = [
    ("timestamps", Behavior::Timestamps),
    ("soft_delete", Behavior::SoftDelete),
    ("user_tracking", Behavior::UserTracking),
    ("external_id_tracking", Behavior::Later),
];

fn behaviors(reader: &mut Reader, file: &Block<'_>) -> Vec<Spanned<Behavior>> {
    let items = file
        .get("behaviors")
        .and_then(|it| reader.list(it, "`behaviors`"))
        .unwrap_or_default();
    let mut found: Vec<Spanned<Behavior>> = Vec::new();
    for item in items {
        if let Kind::Text(text) = &item.kind
            && ["tenant", "optimistic_lock"].contains(&text.as_str())
        {
            // Without it rows would be visible to other tenants, or updates would be lost.
            reader.report(
                Problem::error(
                    "not-supported",
                    format!("the behavior `{text}` is not supported by this version"),
                    item.span.clone(),
                )
                .help("remove it; it guards data, so it is never left out in silence"),
            );
            continue;
        }
        let Some(behavior) = reader.word(item, "a behavior", &BEHAVIORS) else {
            continue;
        };
        if behavior.value == Behavior::Later {
            reader.report(not_yet("`external_id_tracking`", item.span.clone()));
        }
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

const RELATION_TYPES: [(&str, RelationType); 4] = [
    ("belongs_to", RelationType::BelongsTo),
    ("has_many", RelationType::HasMany),
    ("has_one", RelationType::HasOne),
    ("many_to_many", RelationType::ManyToMany),
];

const ON_DELETE: [(&str, OnDeleteWord); 4] = [
    ("restrict", OnDeleteWord::Restrict),
    ("cascade", OnDeleteWord::Cascade),
    ("set_null", OnDeleteWord::SetNull),
    // The same for statements that delete one row.
    ("no_action", OnDeleteWord::Restrict),
];

fn relations(reader: &mut Reader, file: &Block<'_>) -> Vec<RelationDefinition> {
    let Some(block) = file
        .get("relationships")
        .and_then(|it| reader.entries(it, "`relationships`"))
    else {
        return Vec::new();
    };
    block
        .iter()
        .filter_map(|(name, node)| relation(reader, name, node))
        .collect()
}

fn relation(
    reader: &mut Reader,
    name: &Spanned<String>,
    node: &Node,
) -> Option<RelationDefinition> {
    let what = format!("relationship `{}`", shorten(&name.value));
    let block = reader.block(node, &RELATION, &what)?;
    let kind = reader.required(&block, "type", &what, "type: belongs_to");
    let kind = kind.and_then(|it| reader.word(it, "`type`", &RELATION_TYPES));
    let target = reader.required(&block, "target", &what, "target: account");
    let target = target.and_then(|it| reader.text(it, "`target`"));
    let required = reader.boolean_of(&block, "required");
    let nullable = reader.boolean_of(&block, "nullable");
    if let (Some(required), Some(nullable)) = (&required, &nullable)
        && required.value == nullable.value
    {
        reader.report(
            Problem::error(
                "contradiction",
                format!(
                    "{what} cannot be `required: {}` and `nullable: {}`",
                    required.value, nullable.value
                ),
                required.span.clone(),
            )
            .also(nullable.span.clone(), "")
            .help("keep one of the two"),
        );
    }
    let foreign_key = reader.text_of(&block, "foreign_key");
    let on_delete = reader.word_of(&block, "on_delete", &ON_DELETE);
    let index = reader.boolean_of(&block, "index");
    let unique = reader.boolean_of(&block, "unique");
    let description = reader.description_of(&block);
    let kind = kind?;
    if kind.value == RelationType::ManyToMany {
        reader.report(not_yet(
            &format!("the `many_to_many` {what}"),
            kind.span.clone(),
        ));
    }
    Some(RelationDefinition {
        name: name.clone(),
        through: block.get("through").is_some() || kind.value == RelationType::ManyToMany,
        kind,
        target: target?,
        foreign_key,
        on_delete,
        required: required.or_else(|| nullable.map(|it| it.map(|value| !value))),
        index,
        unique,
        description,
    })
}

fn queries(reader: &mut Reader, file: &Block<'_>) -> Vec<QueryDefinition> {
    let items = file
        .get("queries")
        .and_then(|it| reader.list(it, "`queries`"))
        .unwrap_or_default();
    items.iter().filter_map(|it| query(reader, it)).collect()
}

fn query(reader: &mut Reader, node: &Node) -> Option<QueryDefinition> {
    let block = reader.block(node, &QUERY, "a query")?;
    let unique = reader
        .boolean_of(&block, "unique")
        .is_some_and(|it| it.value);
    let order = block.get("order").map(|it| order(reader, it));
    let by = block.get("by").and_then(|it| reader.texts(it, "`by`"));
    // Each of them changes what the query means, and has been warned about.
    if [
        "via", "select", "limit", "name", "filters", "search", "paginate",
    ]
    .iter()
    .any(|it| block.get(it).is_some())
    {
        return None;
    }
    reader.required(&block, "by", "this query", "by: [email]")?;
    let by = by?;
    if by.is_empty() {
        reader.report(
            Problem::error("no-value", "`by` names no column", node.span.clone())
                .help("write `by: [email]`"),
        );
        return None;
    }
    Some(QueryDefinition {
        span: node.span.clone(),
        by,
        unique,
        order: order.unwrap_or_default(),
    })
}

/// `created_at desc`, `name, created_at desc`, or a list of such.
fn order(reader: &mut Reader, node: &Node) -> Vec<(Spanned<String>, bool)> {
    let texts = match &node.kind {
        Kind::List(_) => reader.texts(node, "`order`").unwrap_or_default(),
        _ => reader.text(node, "`order`").into_iter().collect(),
    };
    let mut columns = Vec::new();
    for text in &texts {
        for part in text.value.split(',') {
            let words: Vec<&str> = part.split_whitespace().collect();
            let descending = match words.as_slice() {
                [_] | [_, "asc"] => false,
                [_, "desc"] => true,
                _ => {
                    reader.report(
                        Problem::error(
                            "wrong-value",
                            format!("`{}` is no sort order", shorten(part.trim())),
                            text.span.clone(),
                        )
                        .help("write a column and `asc` or `desc`, such as `created_at desc`"),
                    );
                    continue;
                }
            };
            let column = words.first().copied().unwrap_or_default();
            columns.push((
                Spanned::new(column.to_owned(), text.span.clone()),
                descending,
            ));
        }
    }
    columns
}
