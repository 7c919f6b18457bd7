//! `repository.rs`: reads and writes of one table.

use askama::Template;

use super::Slice;
use super::key::{KeyView, key};
use super::named_query::{SelectionView, selections};
use super::query::{QueryView, queries};
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
    stamps_delete: bool,
}

/// The repository of a slice.
pub(super) fn view<'a>(slice: Slice<'a>) -> RepositoryView<'a> {
    let entity = slice.entity;
    let (writes, soft_delete) = (entity.writes, entity.behaviors.soft_delete);
    let mut imports = Imports::beside([format!("{}Repository", entity.name.pascal)]);
    for (path, used) in [
        ("sea_orm::ActiveModelTrait", writes),
        ("sea_orm::ActiveValue::Set", writes && soft_delete),
        ("sea_orm::ColumnTrait", true),
        ("sea_orm::ConnectionTrait", true),
        ("sea_orm::DbErr", true),
        ("sea_orm::EntityTrait", true),
        ("sea_orm::IntoActiveModel", writes && soft_delete),
        ("sea_orm::ModelTrait", writes && !soft_delete),
        ("sea_orm::PaginatorTrait", true),
        ("sea_orm::QueryFilter", true),
        ("sea_orm::QueryOrder", true),
        ("sea_orm::QuerySelect", true),
        ("sea_orm::Select", true),
        ("chrono::Utc", writes && soft_delete),
        ("uuid::Uuid", writes && slice.stamps_delete()),
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
        queries: queries(slice, &module, &mut imports),
        selections: selections(slice, &mut imports),
        module,
        writes,
        soft_delete,
        stamps_delete: slice.stamps_delete(),
        imports: imports.lines(),
    }
}
