//! `routes.rs`: the slice over HTTP.

use askama::Template;

use super::key::{KeyView, key};
use super::named_query::{NamedQueryView, named_queries};
use super::scope::{Call, RouteView};
use super::{Slice, include, links, title};
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
    /// What the list is asked with, and one row.
    list_query: String,
    show_query: String,
    /// What reads answer with.
    shown: String,
    includes: bool,
    /// What the loading of related rows takes behind the connection.
    lent: &'static str,
    link_routes: bool,
    state: &'a str,
    writes: bool,
    soft_delete: bool,
    versioned: bool,
    has_fields: bool,
    service: String,
    read: RouteView,
    create: Option<RouteView>,
    update: Option<RouteView>,
    delete: Option<RouteView>,
    restore: Option<RouteView>,
}

/// The routes of a slice.
pub(super) fn view<'a>(slice: Slice<'a>) -> RoutesView<'a> {
    let (model, entity) = (slice.model, slice.entity);
    let writes = entity.writes;
    let (soft_delete, versioned) = (
        entity.behaviors.soft_delete,
        entity.behaviors.optimistic_lock,
    );
    let has_fields = entity.custom_fields.is_some();
    let mut imports = Imports::default();
    for (path, used) in [
        ("axum::Json", true),
        ("axum::extract::OriginalUri", writes),
        ("axum::extract::State", true),
        ("axum::http::StatusCode", writes || versioned),
        ("axum::response::IntoResponse", versioned),
        ("axum::response::Response", writes || versioned),
        ("utoipa_axum::router::OpenApiRouter", true),
        ("utoipa_axum::routes", true),
        ("crate::generated::Body", writes),
        ("crate::generated::Conflict", writes),
        ("crate::generated::ETag", versioned),
        ("crate::generated::Error", true),
        ("crate::generated::IdempotencyKey", writes),
        ("crate::generated::Idempotent", writes),
        ("crate::generated::Invalid", true),
        ("crate::generated::Known", versioned),
        ("crate::generated::Location", writes),
        ("crate::generated::Malformed", true),
        ("crate::generated::NotFound", true),
        ("crate::generated::Page", true),
        ("crate::generated::Path", true),
        ("crate::generated::Problem", writes),
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
    let write = |call, has: bool, imports: &mut Imports| has.then(|| slice.route(call, imports));
    let includes = !include::items(slice).is_empty();
    if includes {
        imports.name("std::slice");
        slice.import(&mut imports, "include::*Related");
        slice.import(&mut imports, "include::*WithRelated");
    }
    let of = |query: &str, imports: &mut Imports| {
        imports.name(&format!("crate::generated::{query}"));
        imports.name(&format!("super::include::{}Include", entity.name.pascal));
        format!("{query}<{}Include>", entity.name.pascal)
    };
    let link_routes = links::routed(model, entity).next().is_some();
    if link_routes {
        slice.import(&mut imports, "link_routes");
    }
    if writes || !includes {
        slice.import(&mut imports, "dto::*Response");
    }
    if has_fields {
        slice.import(&mut imports, "fields");
    }
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
        list_query: if includes {
            of("ListQuery", &mut imports)
        } else {
            imports.name("crate::generated::PageQuery")
        },
        show_query: if includes {
            of("ShowQuery", &mut imports)
        } else {
            String::new()
        },
        shown: if includes {
            format!("{}WithRelated", entity.name.pascal)
        } else {
            format!("{}Response", entity.name.pascal)
        },
        lent: if include::loads_of_tenant(slice) {
            ", &tenant"
        } else {
            ""
        },
        includes,
        link_routes,
        named: named_queries(slice, &mut imports),
        state: scaffold::state_type(&model.config),
        writes,
        soft_delete,
        versioned,
        has_fields,
        service: slice.service("&"),
        read: slice.route(Call::Read, &mut imports),
        create: write(Call::Create, writes, &mut imports),
        update: write(Call::Update, writes, &mut imports),
        delete: write(Call::Delete, writes, &mut imports),
        restore: write(Call::Restore, writes && soft_delete, &mut imports),
        imports: imports.lines(),
    }
}
