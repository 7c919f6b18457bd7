//! From entities to tables.

use super::name::constraint;
use super::table::{
    Column, ColumnType, ForeignKey, Index, IndexColumn, IndexMethod, Literal, OnDeleteAction, Table,
};
use crate::model::mysql::MAX_INDEXED_LENGTH;
use crate::model::{
    DefaultValue, Entity, Field, FieldOrigin, FieldType, Model, NamedQuery, OnDelete, Pages, Query,
    RelationKind, SortOrder, TENANT,
};

/// Length of a string column without `max_length`.
const STRING_LENGTH: u32 = 255;
/// Length of an enum column, unless a choice is longer.
const ENUM_LENGTH: u32 = 32;

/// The tables of a model, sorted by name.
pub fn tables(model: &Model) -> Vec<Table> {
    let mut tables: Vec<Table> = model
        .entities
        .iter()
        .map(|entity| Table {
            name: entity.table.clone(),
            columns: entity.fields.iter().map(column).collect(),
            indexes: indexes(model, entity),
            foreign_keys: foreign_keys(model, entity),
        })
        .collect();
    tables.extend(model.joins.iter().map(|it| super::join::table(model, it)));
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables
}

fn column(field: &Field) -> Column {
    let primary_key = field.origin == FieldOrigin::Key;
    Column {
        name: field.name.snake.clone(),
        ty: ColumnType::of(&field.ty, field.constraints.max_length),
        nullable: field.nullable,
        primary_key,
        auto_increment: primary_key && matches!(field.ty, FieldType::Integer | FieldType::BigInt),
        default: field.default.as_ref().and_then(|it| literal(it, &field.ty)),
        choices: match &field.ty {
            FieldType::Enum { choices, .. } => {
                Some(choices.iter().map(|it| it.snake.clone()).collect())
            }
            _ => None,
        },
    }
}

impl ColumnType {
    /// The column type of a field.
    pub fn of(ty: &FieldType, max_length: Option<u32>) -> Self {
        match ty {
            FieldType::String => Self::String(max_length.unwrap_or(STRING_LENGTH)),
            FieldType::Text => Self::Text,
            FieldType::Integer => Self::Integer,
            FieldType::BigInt => Self::BigInteger,
            FieldType::Decimal { precision, scale } => Self::Decimal(*precision, *scale),
            FieldType::Float => Self::Double,
            FieldType::Boolean => Self::Boolean,
            FieldType::Uuid => Self::Uuid,
            FieldType::Date => Self::Date,
            FieldType::Time => Self::Time,
            FieldType::DateTime => Self::TimestampWithTimeZone,
            FieldType::Json => Self::JsonBinary,
            FieldType::Bytes => Self::Blob,
            FieldType::Vector { dimensions } => Self::Vector(*dimensions),
            FieldType::Enum { choices, .. } => {
                let longest = choices
                    .iter()
                    .map(|it| it.snake.chars().count())
                    .max()
                    .and_then(|it| u32::try_from(it).ok())
                    .unwrap_or_default();
                Self::String(ENUM_LENGTH.max(longest))
            }
        }
    }
}

/// `None` for what the generated code sets: "now", in the one format that sorts right on every database, and
/// ids, which SQLite stores as bytes.
pub(super) fn literal(value: &DefaultValue, ty: &FieldType) -> Option<Literal> {
    match value {
        DefaultValue::Text(_) if *ty == FieldType::Uuid => None,
        DefaultValue::Text(text) | DefaultValue::Json(text) => Some(Literal::Text(text.clone())),
        DefaultValue::Integer(number) => Some(Literal::Integer(*number)),
        DefaultValue::Float(number) => Some(Literal::Float(*number)),
        DefaultValue::Boolean(value) => Some(Literal::Boolean(*value)),
        DefaultValue::Choice(index) => match ty {
            FieldType::Enum { choices, .. } => choices
                .get(*index)
                .map(|it| Literal::Text(it.snake.clone())),
            _ => None,
        },
        DefaultValue::Now => None,
    }
}

/// One index for each set of columns that needs one; an index that another one starts with is left out.
fn indexes(model: &Model, entity: &Entity) -> Vec<Index> {
    let ascending = |name: &str| IndexColumn {
        name: name.to_owned(),
        descending: false,
    };
    // Every query is of one tenant, but a row that refers to a tenant's row is its tenant's: that column alone finds it.
    let of_tenant = |columns: Vec<IndexColumn>, unique: bool| {
        let within = |it: &IndexColumn| refers_to_tenant(model, entity, &it.name);
        let known = !unique && columns.first().is_some_and(within);
        if entity.behaviors.tenant && !known {
            [ascending(TENANT)].into_iter().chain(columns).collect()
        } else {
            columns
        }
    };
    let mut wanted: Vec<(Vec<IndexColumn>, bool)> = Vec::new();
    if entity.behaviors.tenant {
        let key = entity.key().map(|it| ascending(&it.name.snake));
        wanted.push((of_tenant(key.into_iter().collect(), false), false));
    }
    for field in entity.fields.iter().filter(|it| it.unique) {
        if field.origin != FieldOrigin::Key {
            wanted.push((of_tenant(vec![ascending(&field.name.snake)], true), true));
        }
    }
    for query in entity.queries.iter().filter(|it| it.via.is_none()) {
        wanted.push((of_tenant(query_columns(query), query.unique), query.unique));
    }
    for columns in looked_for_by_others(model, entity) {
        let columns = columns.iter().map(|it| ascending(it)).collect();
        wanted.push((of_tenant(columns, false), false));
    }
    for query in &entity.named_queries {
        let columns = list_order(entity, query);
        if !columns.is_empty() {
            wanted.push((of_tenant(columns, false), false));
        }
    }
    if let Some(values) = &entity.field_values {
        let columns = values.key.iter().map(|it| ascending(it));
        wanted.push((of_tenant(columns.collect(), true), true));
    }
    for name in entity.named_queries.iter().flat_map(|it| &it.filters) {
        if entity.field(name).is_some_and(is_worth_an_index) {
            wanted.push((of_tenant(vec![ascending(name)], false), false));
        }
    }
    let (vectors, indexed): (Vec<_>, Vec<_>) = entity
        .fields
        .iter()
        .filter(|it| it.index)
        .partition(|it| it.ty.is_vector());
    for field in indexed {
        wanted.push((of_tenant(vec![ascending(&field.name.snake)], false), false));
    }
    for relation in &entity.relations {
        if relation.kind == RelationKind::BelongsTo {
            wanted.push((vec![ascending(&relation.foreign_key.snake)], false));
        }
    }
    let unique: Vec<_> = wanted.iter().filter(|it| it.1).map(|it| &it.0).collect();
    let plain = wanted.iter().filter(|it| !it.1).map(|it| &it.0);
    let plain: Vec<_> = plain
        .clone()
        .filter(|columns| {
            let longer = |it: &&Vec<IndexColumn>| it.len() > columns.len();
            let covered = |it: &Vec<IndexColumn>| it.starts_with(columns);
            !unique.iter().any(|it| covered(it)) && !plain.clone().filter(longer).any(covered)
        })
        .collect();
    let mut indexes: Vec<Index> = unique
        .into_iter()
        .map(|columns| (columns, true))
        .chain(plain.into_iter().map(|columns| (columns, false)))
        .filter(|(columns, _)| !columns.is_empty())
        .map(|(columns, unique)| {
            let names: Vec<&str> = columns.iter().map(|it| it.name.as_str()).collect();
            Index {
                name: constraint(if unique { "uq" } else { "idx" }, &entity.table, &names),
                columns: columns.clone(),
                unique,
                where_null: entity.live().filter(|_| unique).map(str::to_owned),
                using: None,
            }
        })
        .collect();
    // It is asked for the nearest rows and only then filtered, so deleted ones had better not be in it.
    indexes.extend(vectors.into_iter().map(|it| Index {
        name: constraint("idx", &entity.table, &[&it.name.snake]),
        columns: vec![ascending(&it.name.snake)],
        unique: false,
        where_null: entity.live().map(str::to_owned),
        using: Some(IndexMethod::Hnsw),
    }));
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    indexes.dedup_by(|a, b| a.name == b.name);
    indexes
}

/// Whether the column holds the key of an entity that belongs to tenants.
fn refers_to_tenant(model: &Model, entity: &Entity, column: &str) -> bool {
    entity
        .relations
        .iter()
        .filter(|it| it.kind == RelationKind::BelongsTo && it.foreign_key.snake == column)
        .filter_map(|it| model.entity(&it.target))
        .any(|it| it.behaviors.tenant)
}

/// Whether an index of the column alone helps to filter, and every database can have it: the key has one, and long
/// texts have no place in one.
fn is_worth_an_index(field: &Field) -> bool {
    field.origin != FieldOrigin::Key
        && match ColumnType::of(&field.ty, field.constraints.max_length) {
            ColumnType::String(length) => length <= MAX_INDEXED_LENGTH,
            ColumnType::Text => false,
            _ => true,
        }
}

/// The columns by which queries of other entities, or of this one, find rows by way of this one's.
fn looked_for_by_others<'a>(
    model: &'a Model,
    entity: &'a Entity,
) -> impl Iterator<Item = &'a [String]> {
    let queries = model.entities.iter().flat_map(|it| &it.queries);
    queries
        .filter(|query| {
            query.via.as_ref().is_some_and(|via| {
                let through = via.relation.through.as_ref().filter(|_| via.between);
                through.map_or(&via.relation.target, |it| &it.module.snake) == &entity.name.snake
            })
        })
        .map(|query| query.by.as_slice())
        .filter(|columns| {
            let mut fields = columns.iter().filter_map(|it| entity.field(it));
            fields.all(is_worth_an_index)
        })
}

/// The order of a list that is read in parts, if an index can have it: where NULL comes, databases do not agree.
fn list_order(entity: &Entity, query: &NamedQuery) -> Vec<IndexColumn> {
    let in_order = query.pages != Pages::None
        && query.order.iter().all(|(name, _)| {
            entity
                .field(name)
                .is_some_and(|it| !it.nullable && is_worth_an_index(it))
        });
    if !in_order || query.order.is_empty() {
        return Vec::new();
    }
    let key = entity
        .key()
        .map(|it| (it.name.snake.clone(), SortOrder::Ascending));
    query
        .order
        .iter()
        .cloned()
        .chain(key)
        .map(|(name, order)| IndexColumn {
            name,
            descending: order == SortOrder::Descending,
        })
        .collect()
}

fn query_columns(query: &Query) -> Vec<IndexColumn> {
    let mut columns: Vec<IndexColumn> = query
        .by
        .iter()
        .map(|name| IndexColumn {
            name: name.clone(),
            descending: false,
        })
        .collect();
    if !query.unique {
        for (name, order) in &query.order {
            if !query.by.contains(name) {
                columns.push(IndexColumn {
                    name: name.clone(),
                    descending: *order == SortOrder::Descending,
                });
            }
        }
    }
    columns
}

fn foreign_keys(model: &Model, entity: &Entity) -> Vec<ForeignKey> {
    let mut keys: Vec<ForeignKey> = entity
        .relations
        .iter()
        .filter(|it| it.kind == RelationKind::BelongsTo)
        .filter_map(|relation| {
            let target = model.entity(&relation.target)?;
            let column = relation.foreign_key.snake.clone();
            Some(ForeignKey {
                name: constraint("fk", &entity.table, &[&column]),
                column,
                to_table: target.table.clone(),
                to_column: target.key()?.name.snake.clone(),
                on_delete: match relation.on_delete {
                    OnDelete::Restrict => OnDeleteAction::Restrict,
                    OnDelete::Cascade => OnDeleteAction::Cascade,
                    OnDelete::SetNull => OnDeleteAction::SetNull,
                },
            })
        })
        .collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    keys.dedup_by(|a, b| a.name == b.name);
    keys
}
