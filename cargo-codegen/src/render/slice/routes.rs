//! `routes.rs`: the slice over HTTP.

use askama::Template;

use super::key::{KeyView, key};
use super::named_query::{NamedQueryView, named_queries};
use super::{Slice, title};
use crate::model::EmitOn;
use crate::render::field::with_article;
use crate::render::imports::Imports;
use crate::render::scaffold;

#[derive(Template)]
#[template(path = "app/src/slice/generated/routes.rs.jinja")]
pub(super) struct RoutesView<'a> {
    source: &'a str,
    title: String,
    thing: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    snake: &'a str,
    plural: &'a str,
    url: &'a str,
    ident: &'a str,
    key: KeyView,
    named: Vec<NamedQueryView>,
    state: &'a str,
    writes: bool,
    soft_delete: bool,
    user_tracking: bool,
    stamps_delete: bool,
    create_of_tenant: bool,
    update_of_tenant: bool,
    delete_of_tenant: bool,
}

/// The routes of a slice.
pub(super) fn view<'a>(slice: Slice<'a>) -> RoutesView<'a> {
    let (model, entity) = (slice.model, slice.entity);
    let writes = entity.writes;
    let user_tracking = entity.behaviors.user_tracking;
    let [create_of_tenant, update_of_tenant, delete_of_tenant] =
        [EmitOn::Create, EmitOn::Update, EmitOn::Delete].map(|it| slice.publishes_of_tenant(it));
    let of_tenant = create_of_tenant || update_of_tenant || delete_of_tenant;
    let mut imports = Imports::default();
    for (path, used) in [
        ("axum::Json", true),
        ("axum::extract::State", true),
        ("axum::http::StatusCode", writes),
        ("utoipa_axum::router::OpenApiRouter", true),
        ("utoipa_axum::routes", true),
        (
            "crate::context::RequestContext",
            writes && (user_tracking || of_tenant),
        ),
        ("crate::generated::tenant_events", writes && of_tenant),
        ("crate::generated::Body", writes),
        ("crate::generated::Conflict", writes),
        ("crate::generated::Error", true),
        ("crate::generated::Invalid", true),
        ("crate::generated::Malformed", true),
        ("crate::generated::NotFound", true),
        ("crate::generated::Page", true),
        ("crate::generated::PageQuery", true),
        ("crate::generated::Path", true),
        ("crate::generated::Query", true),
        (model.config.app_state.as_str(), true),
    ] {
        if used {
            imports.name(path);
        }
    }
    if writes {
        slice.import(&mut imports, "dto::Create*");
        slice.import(&mut imports, "dto::Update*");
        slice.import(&mut imports, "use_cases");
    }
    slice.import(&mut imports, "dto::*Response");
    slice.import(&mut imports, "service::*Service");
    RoutesView {
        source: entity.source.as_str(),
        title: title(entity),
        thing: &entity.name.human,
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        pascal: &entity.name.pascal,
        snake: &entity.name.snake,
        plural: &entity.plural.snake,
        url: &entity.plural.kebab,
        ident: &entity.name.ident,
        key: key(entity, &mut imports),
        named: named_queries(slice, &mut imports),
        state: scaffold::state_type(&model.config),
        writes,
        soft_delete: entity.behaviors.soft_delete,
        user_tracking,
        stamps_delete: slice.stamps_delete(),
        create_of_tenant,
        update_of_tenant,
        delete_of_tenant,
        imports: imports.lines(),
    }
}
