//! `bulk.rs`: several rows of one table at a time.

use askama::Template;

use super::key::{KeyView, key};
use super::{Slice, title, upsert};
use crate::render::imports::Imports;

#[derive(Template)]
#[template(path = "app/src/slice/generated/bulk.rs.jinja")]
pub(super) struct BulkView<'a> {
    source: &'a str,
    title: String,
    imports: String,
    pascal: &'a str,
    module: String,
    key: KeyView,
    tenant: bool,
    upsert: Option<String>,
    /// The columns of its key, in words.
    upsert_by: Option<String>,
}

/// What a slice does with several rows.
pub(super) fn view<'a>(slice: Slice<'a>) -> BulkView<'a> {
    let entity = slice.entity;
    let mut imports = Imports::default();
    for path in [
        "sea_orm::ColumnTrait",
        "sea_orm::ConnectionTrait",
        "sea_orm::DbErr",
        "sea_orm::PaginatorTrait",
        "sea_orm::QueryFilter",
        "sea_orm::QueryOrder",
        "sea_orm::SelectExt",
        "crate::generated::MAX_IDS",
    ] {
        imports.name(path);
    }
    let tenant = entity.behaviors.tenant && entity.upsert.is_some();
    if tenant {
        imports.name("sea_orm::ActiveValue::Set");
    }
    if entity.upsert.is_some() {
        imports.name("crate::generated::UpsertKey");
        imports.name("crate::generated::upsert");
    }
    slice.import(&mut imports, "repository::*Repository");
    let module = slice.row_module(&mut imports);
    imports.name(&format!("{}::Column", slice.row_path()));
    let columns = entity.upsert.as_deref();
    BulkView {
        source: entity.source.as_str(),
        title: title(entity),
        pascal: &entity.name.pascal,
        module,
        key: key(entity, &mut imports),
        tenant,
        upsert: columns.map(|it| {
            let columns: Vec<&str> = it.iter().map(String::as_str).collect();
            upsert::key(entity, &columns)
        }),
        upsert_by: columns.map(|it| {
            let names: Vec<String> = it.iter().map(|it| format!("`{it}`")).collect();
            names.join(" and ")
        }),
        imports: imports.lines(),
    }
}
