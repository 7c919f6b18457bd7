//! Entities as rows.

use serde::Serialize;

use crate::model::{
    DefaultValue, EmitOn, Entity, Field, FieldOrigin, FieldType, NamedQuery, OnDelete, Onward,
    Pages, Query, Relation, RelationKind, SortOrder,
};

/// One line of `entity list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntityRow {
    /// snake_case, singular.
    pub name: String,
    /// Table name.
    pub table: String,
    /// Number of columns.
    pub fields: usize,
    /// Number of relations.
    pub relations: usize,
    /// Event types that its use cases publish.
    pub emits: Vec<String>,
    /// The definition, relative to the workspace root.
    pub source: String,
}

impl EntityRow {
    /// The row of an entity.
    pub fn new(entity: &Entity) -> Self {
        Self {
            name: entity.name.snake.clone(),
            table: entity.table.clone(),
            fields: entity.fields.len(),
            relations: entity.relations.len(),
            emits: entity.emits.iter().map(|it| it.event.clone()).collect(),
            source: entity.source.to_string(),
        }
    }
}

/// `entity show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntityDetails {
    /// snake_case, singular.
    pub name: String,
    /// snake_case.
    pub plural: String,
    /// Table name.
    pub table: String,
    /// One line about it.
    pub description: Option<String>,
    /// `timestamps`, `soft_delete` and so on.
    pub behaviors: Vec<&'static str>,
    /// Columns in table order.
    pub fields: Vec<FieldRow>,
    /// In the order of the definition.
    pub relations: Vec<RelationRow>,
    /// In the order of the definition.
    pub queries: Vec<QueryRow>,
    /// In the order of the definition.
    pub named_queries: Vec<NamedQueryRow>,
    /// Event types, and what publishes them: `create`, `update`, `delete` or `by hand`.
    pub emits: Vec<(String, &'static str)>,
    /// HTTP routes; empty if none are generated.
    pub routes: Vec<String>,
    /// The definition, relative to the workspace root.
    pub source: String,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldRow {
    /// Also the column's name.
    pub name: String,
    /// As in a definition, `enum(draft, active)`, `decimal(12, 2)`.
    pub r#type: String,
    /// NULL is allowed.
    pub nullable: bool,
    /// Must be given on create.
    pub required: bool,
    /// As in a definition.
    pub default: Option<String>,
    /// Has a unique index of its own.
    pub unique: bool,
    /// Has an index of its own.
    pub index: bool,
    /// `key`, `declared` or `behavior`.
    pub origin: &'static str,
}

/// One relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelationRow {
    /// Name of the accessor.
    pub name: String,
    /// `belongs_to`, `has_many`, `has_one` or `many_to_many`.
    pub r#type: &'static str,
    /// The other entity.
    pub target: String,
    /// The foreign key column.
    pub foreign_key: String,
    /// The entity or the join table between the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// `restrict`, `cascade` or `set_null`; only for `belongs_to`.
    pub on_delete: Option<&'static str>,
}

/// One declared finder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryRow {
    /// The method's name.
    pub name: String,
    /// Columns that it filters by.
    pub by: Vec<String>,
    /// At most one row matches.
    pub unique: bool,
    /// `created_at desc`.
    pub order: Vec<String>,
}

/// One list that clients filter, search and sort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedQueryRow {
    /// The method's name.
    pub name: String,
    /// Columns that clients may give a value for.
    pub filters: Vec<String>,
    /// Columns in which clients may search for a text.
    pub search: Vec<String>,
    /// Columns that clients may sort by.
    pub sort: Vec<String>,
    /// The order where a client chooses none: `created_at desc`.
    pub order: Vec<String>,
    /// Comes in pages.
    pub paginate: bool,
}

impl EntityDetails {
    /// Everything about an entity.
    pub fn new(entity: &Entity) -> Self {
        let behaviors = [
            (entity.behaviors.timestamps, "timestamps"),
            (entity.behaviors.soft_delete, "soft_delete"),
            (entity.behaviors.user_tracking, "user_tracking"),
            (
                entity.behaviors.external_id_tracking,
                "external_id_tracking",
            ),
            (entity.behaviors.optimistic_lock, "optimistic_lock"),
            (entity.behaviors.tenant, "tenant"),
        ];
        Self {
            name: entity.name.snake.clone(),
            plural: entity.plural.snake.clone(),
            table: entity.table.clone(),
            description: entity.description.clone(),
            behaviors: behaviors
                .into_iter()
                .filter_map(|(has, name)| has.then_some(name))
                .collect(),
            fields: entity.fields.iter().map(FieldRow::new).collect(),
            relations: entity.relations.iter().map(RelationRow::new).collect(),
            queries: entity.queries.iter().map(QueryRow::new).collect(),
            named_queries: entity
                .named_queries
                .iter()
                .map(NamedQueryRow::new)
                .collect(),
            emits: entity
                .emits
                .iter()
                .map(|it| (it.event.clone(), emitted_on(it.on)))
                .collect(),
            routes: routes(entity),
            source: entity.source.to_string(),
        }
    }
}

fn routes(entity: &Entity) -> Vec<String> {
    if !entity.rest {
        return Vec::new();
    }
    let path = &entity.plural.kebab;
    let mut routes = vec![format!("GET /{path}"), format!("GET /{path}/{{id}}")];
    if entity.writes {
        routes.insert(1, format!("POST /{path}"));
        routes.push(format!("PATCH /{path}/{{id}}"));
        routes.push(format!("DELETE /{path}/{{id}}"));
    }
    let queries = entity.named_queries.iter();
    routes.extend(queries.map(|it| format!("GET /{path}/{}", it.name.kebab)));
    for relation in &entity.relations {
        let Some(through) = &relation.through else {
            continue;
        };
        let links = format!("/{path}/{{id}}/{}", relation.name.kebab);
        routes.push(format!("GET {links}"));
        if let (true, Onward::Refers(target)) =
            (through.generated && entity.writes, &through.onward)
        {
            let link = format!("{links}/{{{}}}", target.column.snake);
            routes.extend([format!("PUT {link}"), format!("DELETE {link}")]);
        }
    }
    routes
}

fn emitted_on(on: EmitOn) -> &'static str {
    match on {
        EmitOn::Create => "create",
        EmitOn::Update => "update",
        EmitOn::Delete => "delete",
        EmitOn::Restore => "restore",
        EmitOn::Purge => "purge",
        EmitOn::Manual => "by hand",
    }
}

impl FieldRow {
    fn new(field: &Field) -> Self {
        Self {
            name: field.name.snake.clone(),
            r#type: type_text(&field.ty),
            nullable: field.nullable,
            required: field.required,
            default: field.default.as_ref().map(|it| default_text(it, &field.ty)),
            unique: field.unique,
            index: field.index,
            origin: match field.origin {
                FieldOrigin::Key => "key",
                FieldOrigin::Declared => "declared",
                FieldOrigin::Behavior => "behavior",
            },
        }
    }
}

/// The type's name in a definition.
pub fn type_name(ty: &FieldType) -> &'static str {
    match ty {
        FieldType::String => "string",
        FieldType::Text => "text",
        FieldType::Integer => "integer",
        FieldType::BigInt => "bigint",
        FieldType::Decimal { .. } => "decimal",
        FieldType::Float => "float",
        FieldType::Boolean => "boolean",
        FieldType::Uuid => "uuid",
        FieldType::Date => "date",
        FieldType::Time => "time",
        FieldType::DateTime => "datetime",
        FieldType::Json => "json",
        FieldType::Enum { .. } => "enum",
        FieldType::Bytes => "bytes",
        FieldType::Vector { .. } => "vector",
    }
}

fn type_text(ty: &FieldType) -> String {
    match ty {
        FieldType::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        FieldType::Vector { dimensions } => format!("vector({dimensions})"),
        FieldType::Enum { choices, .. } => {
            let choices: Vec<&str> = choices.iter().map(|it| it.snake.as_str()).collect();
            format!("enum({})", choices.join(", "))
        }
        other => type_name(other).to_owned(),
    }
}

/// A default as a definition spells it.
pub fn default_text(default: &DefaultValue, ty: &FieldType) -> String {
    match (default, ty) {
        (DefaultValue::Text(text) | DefaultValue::Json(text), _) => text.clone(),
        (DefaultValue::Integer(number), _) => number.to_string(),
        (DefaultValue::Float(number), _) => number.to_string(),
        (DefaultValue::Boolean(flag), _) => flag.to_string(),
        (DefaultValue::Choice(index), FieldType::Enum { choices, .. }) => choices
            .get(*index)
            .map(|it| it.snake.clone())
            .unwrap_or_default(),
        (DefaultValue::Choice(index), _) => index.to_string(),
        (DefaultValue::Now, _) => "now".to_owned(),
    }
}

impl RelationRow {
    fn new(relation: &Relation) -> Self {
        Self {
            name: relation.name.snake.clone(),
            r#type: relation_name(relation.kind),
            target: relation.target.clone(),
            foreign_key: relation.foreign_key.snake.clone(),
            through: relation.through.as_ref().map(|it| it.module.snake.clone()),
            on_delete: (relation.kind == RelationKind::BelongsTo)
                .then(|| on_delete_name(relation.on_delete)),
        }
    }
}

/// The relation's type in a definition.
pub fn relation_name(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::BelongsTo => "belongs_to",
        RelationKind::HasMany => "has_many",
        RelationKind::HasOne => "has_one",
        RelationKind::ManyToMany => "many_to_many",
    }
}

/// `on_delete` in a definition.
pub fn on_delete_name(on_delete: OnDelete) -> &'static str {
    match on_delete {
        OnDelete::Restrict => "restrict",
        OnDelete::Cascade => "cascade",
        OnDelete::SetNull => "set_null",
    }
}

impl QueryRow {
    fn new(query: &Query) -> Self {
        Self {
            name: query.name.snake.clone(),
            by: query.by.clone(),
            unique: query.unique,
            order: order_text(&query.order),
        }
    }
}

impl NamedQueryRow {
    fn new(query: &NamedQuery) -> Self {
        Self {
            name: query.name.snake.clone(),
            filters: query.filters.clone(),
            search: query.search.clone(),
            sort: query.sort.clone(),
            order: order_text(&query.order),
            paginate: query.pages != Pages::None,
        }
    }
}

fn order_text(order: &[(String, SortOrder)]) -> Vec<String> {
    order
        .iter()
        .map(|(column, order)| match order {
            SortOrder::Ascending => format!("{column} asc"),
            SortOrder::Descending => format!("{column} desc"),
        })
        .collect()
}
