//! `service.rs`: what can be done with one aggregate.

use askama::Template;

use super::key::{KeyView, key};
use super::named_query::{NamedQueryView, named_queries};
use super::query::{QueryView, queries};
use super::{Slice, title};
use crate::model::{FieldType, RelationKind};
use crate::render::field::{is_input, string_literal, with_article};
use crate::render::imports::Imports;
use crate::schema;

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
    writes: bool,
    soft_delete: bool,
    user_tracking: bool,
    stamps_delete: bool,
    references: Vec<ReferenceView>,
}

/// A column that refers to rows which may be deleted although they are still in their table.
struct ReferenceView {
    on_create: String,
    on_update: String,
}

struct UniqueView {
    name: String,
    columns: String,
    fields: String,
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
        ("uuid::Uuid", writes && user_tracking),
        ("crate::generated::Error", true),
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
        queries: queries(slice, &module, &mut imports),
        named: named_queries(slice, &mut imports),
        unique: unique(slice),
        module,
        references,
        writes,
        soft_delete: entity.behaviors.soft_delete,
        user_tracking,
        stamps_delete: slice.stamps_delete(),
        imports: imports.lines(),
    }
}

/// What foreign keys cannot check: that the row referred to is not marked as deleted.
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
            || !target.behaviors.soft_delete
        {
            continue;
        }
        let repository = format!("{}Repository", target.name.pascal);
        let repository = if relation.self_reference {
            repository
        } else {
            imports.name(&format!("crate::{}::{repository}", target.plural.ident))
        };
        let ident = &field.name.ident;
        let is_text = matches!(field.ty, FieldType::String | FieldType::Text);
        let (borrow, id) = if is_text {
            ("&", "id.clone()")
        } else {
            ("", "id")
        };
        let check = |pattern: &str| {
            format!(
                "if let {pattern} = {borrow}input.{ident} {{ known({repository}.find_for_share(db, {id}).await?)?; }}"
            )
        };
        views.push(ReferenceView {
            on_create: if field.required {
                format!(
                    "known({repository}.find_for_share(db, input.{ident}{}).await?)?;",
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

/// What databases say about the unique indexes of the entity's table.
fn unique(slice: Slice<'_>) -> Vec<UniqueView> {
    let tables = schema::tables(slice.model);
    let table = tables.iter().find(|it| it.name == slice.entity.table);
    table
        .into_iter()
        .flat_map(|it| &it.indexes)
        .filter(|it| it.unique)
        .map(|index| {
            let list = |format: &dyn Fn(&str) -> String| {
                let items: Vec<String> = index.columns.iter().map(|it| format(&it.name)).collect();
                items.join(", ")
            };
            UniqueView {
                name: string_literal(&index.name),
                columns: string_literal(&list(&|column| {
                    format!("{}.{column}", slice.entity.table)
                })),
                fields: list(&|column| string_literal(column)),
            }
        })
        .collect()
}
