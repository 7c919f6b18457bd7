//! `repository.rs`: reads and writes of one table.

use askama::Template;

use super::Slice;
use super::key::{KeyView, key};
use super::named_query::{SelectionView, selections};
use super::query::{QueryView, queries};
use super::scope::Call;
use crate::render::imports::Imports;

#[derive(Template)]
#[template(path = "app/src/slice/generated/repository.rs.jinja")]
pub(super) struct RepositoryView<'a> {
    source: &'a str,
    table: &'a str,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    module: String,
    key: KeyView,
    queries: Vec<QueryView>,
    selections: Vec<SelectionView>,
    writes: bool,
    soft_delete: bool,
    /// Other rows refer to its rows in a way that foreign keys cannot check, or links do.
    shared_locks: bool,
    /// Deletions say who did it.
    stamps: bool,
    tenant: bool,
    versioned: bool,
}

/// Whether a join table that no definition describes refers to the entity.
fn is_linked(slice: Slice<'_>) -> bool {
    let mut ends = slice.model.joins.iter().flat_map(|it| &it.ends);
    ends.any(|it| it.entity == slice.entity.name.snake)
}

/// The repository of a slice.
pub(super) fn view<'a>(slice: Slice<'a>) -> RepositoryView<'a> {
    let entity = slice.entity;
    let (writes, soft_delete) = (entity.writes, entity.behaviors.soft_delete);
    let (tenant, versioned) = (entity.behaviors.tenant, entity.behaviors.optimistic_lock);
    let guarded = tenant || versioned;
    let mut imports = Imports::beside([format!("{}Repository", entity.name.pascal)]);
    for (path, used) in [
        ("sea_orm::ActiveModelBehavior", writes && guarded),
        ("sea_orm::ActiveModelTrait", writes),
        (
            "sea_orm::ActiveValue::Set",
            writes && (soft_delete || guarded),
        ),
        ("sea_orm::ColumnTrait", true),
        ("sea_orm::ConnectionTrait", true),
        ("sea_orm::DbErr", true),
        ("sea_orm::EntityTrait", true),
        ("sea_orm::IntoActiveModel", writes && soft_delete),
        ("sea_orm::ModelTrait", writes && !soft_delete && !guarded),
        ("sea_orm::PaginatorTrait", true),
        ("sea_orm::QueryFilter", true),
        ("sea_orm::QueryOrder", true),
        ("sea_orm::QuerySelect", true),
        ("sea_orm::Select", true),
        ("chrono::Utc", writes && soft_delete),
        ("uuid::Uuid", writes && slice.stamps(Call::Delete)),
        ("crate::generated::PageQuery", true),
        ("crate::generated::Tenant", tenant),
    ] {
        if used {
            imports.name(path);
        }
    }
    let module = slice.row_module(&mut imports);
    imports.name(&format!("{}::Column", slice.row_path()));
    imports.name(&format!("{}::Entity", slice.row_path()));
    RepositoryView {
        source: entity.source.as_str(),
        table: &entity.table,
        pascal: &entity.name.pascal,
        ident: &entity.name.ident,
        key: key(entity, &mut imports),
        queries: queries(slice, &module, true, &mut imports),
        selections: selections(slice, &mut imports),
        module,
        writes,
        soft_delete,
        shared_locks: soft_delete || tenant || is_linked(slice),
        stamps: slice.stamps(Call::Delete),
        tenant,
        versioned,
        imports: imports.lines(),
    }
}
