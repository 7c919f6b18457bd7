//! `service.rs`: what can be done with one aggregate.

use askama::Template;

use super::key::{KeyView, key};
use super::named_query::{NamedQueryView, named_queries};
use super::query::{QueryView, queries};
use super::scope::{Call, MethodView, Place};
use super::{Slice, title};
use crate::model::{Entity, FieldType, OnDelete, RelationKind, TENANT};
use crate::render::field::{is_input, string_literal, with_article};
use crate::render::imports::Imports;
use crate::schema::{self, IndexColumn, Table};

#[derive(Template)]
#[template(path = "app/src/slice/generated/service.rs.jinja")]
pub(super) struct ServiceView<'a> {
    source: &'a str,
    table: &'a str,
    title: String,
    thing: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    module: String,
    key: KeyView,
    queries: Vec<QueryView>,
    named: Vec<NamedQueryView>,
    unique: Vec<UniqueView>,
    foreign_keys: Vec<ForeignKeyView>,
    /// Entities whose rows keep one of these from being deleted.
    referrers: String,
    writes: bool,
    soft_delete: bool,
    user_tracking: bool,
    tenant: bool,
    versioned: bool,
    /// Deletions say who did it.
    stamps: bool,
    /// Some of the rows that it refers to belong to tenants.
    refers_to_tenant: bool,
    repository: String,
    create: MethodView,
    update: MethodView,
    delete: MethodView,
    restore: MethodView,
    references: Vec<ReferenceView>,
}

/// A column that refers to rows which may be out of reach although they are in their table.
struct ReferenceView {
    on_create: String,
    on_update: String,
}

struct UniqueView {
    name: String,
    columns: String,
    fields: String,
}

struct ForeignKeyView {
    name: String,
    field: String,
}

/// The service of a slice.
pub(super) fn view<'a>(slice: Slice<'a>) -> ServiceView<'a> {
    let entity = slice.entity;
    let writes = entity.writes;
    let user_tracking = entity.behaviors.user_tracking;
    let mut imports = Imports::beside([format!("{}Service", entity.name.pascal)]);
    for (path, used) in [
        ("garde::Validate", true),
        ("sea_orm::ActiveValue::Set", writes && user_tracking),
        ("sea_orm::ActiveValue::Unchanged", writes),
        ("sea_orm::ConnectionTrait", true),
        ("sea_orm::DbErr", writes),
        ("sea_orm::IntoActiveModel", writes),
        ("crate::generated::Error", true),
        ("crate::generated::ForeignKey", writes),
        ("crate::generated::Page", true),
        ("crate::generated::PageQuery", true),
        ("crate::generated::Unique", writes),
    ] {
        if used {
            imports.name(path);
        }
    }
    if writes {
        slice.import(&mut imports, "dto::Create*");
        slice.import(&mut imports, "dto::Update*");
    }
    slice.import(&mut imports, "repository::*Repository");
    let module = slice.row_module(&mut imports);
    let references = references(slice, &mut imports);
    if entity.behaviors.tenant {
        imports.name("crate::generated::Tenant");
    }
    let method = |call, imports: &mut Imports| {
        if writes {
            slice.method(call, imports)
        } else {
            MethodView::default()
        }
    };
    let tables = schema::tables(slice.model);
    let table = tables.iter().find(|it| it.name == entity.table);
    ServiceView {
        source: entity.source.as_str(),
        table: &entity.table,
        title: title(entity),
        thing: &entity.name.human,
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        pascal: &entity.name.pascal,
        ident: &entity.name.ident,
        key: key(entity, &mut imports),
        queries: queries(slice, &module, false, &mut imports),
        named: named_queries(slice, &mut imports),
        unique: table.map(unique).unwrap_or_default(),
        foreign_keys: table.map(foreign_keys).unwrap_or_default(),
        referrers: referrers(slice),
        module,
        references,
        writes,
        soft_delete: entity.behaviors.soft_delete,
        user_tracking,
        tenant: entity.behaviors.tenant,
        versioned: entity.behaviors.optimistic_lock,
        stamps: slice.stamps(Call::Delete),
        refers_to_tenant: entity
            .relations
            .iter()
            .filter(|it| it.kind == RelationKind::BelongsTo)
            .filter_map(|it| slice.model.entity(&it.target))
            .any(|it| it.behaviors.tenant),
        repository: slice.repository(),
        create: method(Call::Create, &mut imports),
        update: method(Call::Update, &mut imports),
        delete: method(Call::Delete, &mut imports),
        restore: method(Call::Restore, &mut imports),
        imports: imports.lines(),
    }
}

/// What foreign keys cannot check: that the row referred to is not marked as deleted, and of the same tenant.
fn references(slice: Slice<'_>, imports: &mut Imports) -> Vec<ReferenceView> {
    let entity = slice.entity;
    let mut views = Vec::new();
    for relation in &entity.relations {
        let (Some(target), Some(field)) = (
            slice.model.entity(&relation.target),
            entity.field(&relation.foreign_key.snake),
        ) else {
            continue;
        };
        if !entity.writes
            || !is_input(field)
            || relation.kind != RelationKind::BelongsTo
            || !(target.behaviors.soft_delete || target.behaviors.tenant)
        {
            continue;
        }
        let repository = slice.repository_of(target, Place::Service, imports);
        let ident = &field.name.ident;
        let name = string_literal(&field.name.snake);
        let is_text = matches!(field.ty, FieldType::String | FieldType::Text);
        let (borrow, id) = if is_text {
            ("&", "id.clone()")
        } else {
            ("", "id")
        };
        let check = |pattern: &str| {
            format!(
                "if let {pattern} = {borrow}input.{ident} {{ known({name}, {repository}.find_for_share(db, {id}).await?)?; }}"
            )
        };
        views.push(ReferenceView {
            on_create: if field.required {
                format!(
                    "known({name}, {repository}.find_for_share(db, input.{ident}{}).await?)?;",
                    if is_text { ".clone()" } else { "" }
                )
            } else {
                check("Some(id)")
            },
            on_update: check(if field.nullable {
                "Some(Some(id))"
            } else {
                "Some(id)"
            }),
        });
    }
    views
}

/// The entities that refer to this one with `on_delete: restrict`, in words.
fn referrers(slice: Slice<'_>) -> String {
    let keeps = |it: &&Entity| {
        it.relations.iter().any(|it| {
            it.kind == RelationKind::BelongsTo
                && it.on_delete == OnDelete::Restrict
                && it.target == slice.entity.name.snake
        })
    };
    let found = slice.model.entities.iter().filter(keeps);
    let words: Vec<String> = found
        .map(|it| string_literal(&with_article(&it.name.human)))
        .collect();
    words.join(", ")
}

/// What databases say about the unique indexes of the entity's table.
fn unique(table: &Table) -> Vec<UniqueView> {
    table
        .indexes
        .iter()
        .filter(|it| it.unique)
        .map(|index| {
            let list = |format: &dyn Fn(&str) -> String| {
                let items: Vec<String> = index.columns.iter().map(|it| format(&it.name)).collect();
                items.join(", ")
            };
            let of_client = |column: &&IndexColumn| column.name != TENANT;
            let fields: Vec<String> = index
                .columns
                .iter()
                .filter(of_client)
                .map(|it| string_literal(&it.name))
                .collect();
            UniqueView {
                name: string_literal(&index.name),
                columns: string_literal(&list(&|column| format!("{}.{column}", table.name))),
                fields: fields.join(", "),
            }
        })
        .collect()
}

/// What databases say about the foreign keys of the entity's table.
fn foreign_keys(table: &Table) -> Vec<ForeignKeyView> {
    let keys = table.foreign_keys.iter();
    keys.map(|it| ForeignKeyView {
        name: string_literal(&it.name),
        field: string_literal(&it.column),
    })
    .collect()
}
