//! `links.rs` and `link_routes.rs`: what rows are linked to by way of another table.

use askama::Template;

use super::Slice;
use super::key::{KeyView, key};
use super::scope::{Call, Place, RouteView};
use crate::model::{Entity, Model, Onward, Relation, Through};
use crate::render::field::{capitalized, with_article};
use crate::render::imports::Imports;
use crate::render::scaffold;

#[derive(Template)]
#[template(path = "app/src/slice/generated/links.rs.jinja")]
pub(super) struct LinksView<'a> {
    source: &'a str,
    thing: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    repository: String,
    key: KeyView,
    /// Links are of one tenant, which only the service looks at.
    tenant: bool,
    links: Vec<LinkView<'a>>,
}

#[derive(Template)]
#[template(path = "app/src/slice/generated/link_routes.rs.jinja")]
pub(super) struct LinkRoutesView<'a> {
    source: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    snake: &'a str,
    url: &'a str,
    state: &'a str,
    service: String,
    read: RouteView,
    key: KeyView,
    links: Vec<LinkRouteView<'a>>,
}

/// A relation that goes through another table, as repository and service have it.
struct LinkView<'a> {
    ident: &'a str,
    title: String,
    human: &'a str,
    singular: String,
    target: &'a str,
    a_target: String,
    row: String,
    /// The target's repository, in a method of this entity's.
    repository: String,
    /// The same, in a method of the service.
    of_service: String,
    /// The rows of the table between.
    between: String,
    /// Its column that refers to this entity.
    here: String,
    here_ident: &'a str,
    /// Its column with what is compared with `there`.
    linked: String,
    there: String,
    order: String,
    /// Nothing but this slice writes the links.
    writes: bool,
    module: String,
    column: String,
    key: String,
    ids: String,
}

struct LinkRouteView<'a> {
    ident: &'a str,
    snake: &'a str,
    url: &'a str,
    human: &'a str,
    singular: String,
    a_target: String,
    response: String,
    /// How links are added and taken away, where they are.
    write: Option<RouteView>,
    parameter: String,
    column: String,
    key: String,
    /// How the API document describes it in a path.
    key_parameter: String,
}

/// The relations of an entity that go through another table.
pub(crate) fn linked<'a>(
    model: &'a Model,
    entity: &'a Entity,
) -> impl Iterator<Item = (&'a Relation, &'a Through, &'a Entity)> {
    let relations = entity.relations.iter();
    relations.filter_map(|it| Some((it, it.through.as_ref()?, model.entity(&it.target)?)))
}

/// Those of them that have routes.
pub(super) fn routed<'a>(
    model: &'a Model,
    entity: &'a Entity,
) -> impl Iterator<Item = (&'a Relation, &'a Through, &'a Entity)> {
    linked(model, entity).filter(|(_, _, target)| entity.rest && target.rest)
}

/// The links of a slice on a connection.
pub(super) fn view<'a>(slice: Slice<'a>) -> LinksView<'a> {
    let entity = slice.entity;
    let mut imports = Imports::default();
    for path in [
        "garde::Validate",
        "sea_orm::ColumnTrait",
        "sea_orm::ConnectionTrait",
        "sea_orm::DbErr",
        "sea_orm::PaginatorTrait",
        "sea_orm::QueryFilter",
        "sea_orm::QueryOrder",
        "sea_orm::QuerySelect",
        "sea_orm::QueryTrait",
        "crate::generated::Error",
        "crate::generated::Page",
        "crate::generated::PageQuery",
    ] {
        imports.name(path);
    }
    slice.import(&mut imports, "repository::*Repository");
    slice.import(&mut imports, "service::*Service");
    let links = linked(slice.model, entity)
        .map(|(relation, through, target)| link(slice, relation, through, target, &mut imports))
        .collect();
    LinksView {
        source: entity.source.as_str(),
        thing: &entity.name.human,
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        pascal: &entity.name.pascal,
        repository: slice.repository(),
        key: key(entity, &mut imports),
        tenant: slice.is_of_tenant(),
        links,
        imports: imports.lines(),
    }
}

fn link<'a>(
    slice: Slice<'a>,
    relation: &'a Relation,
    through: &'a Through,
    target: &'a Entity,
    imports: &mut Imports,
) -> LinkView<'a> {
    let module = &through.module.ident;
    let between = slice.between(through, Place::Repository, imports);
    let order = slice.key_column(target, imports);
    let (linked, there, column) = match &through.onward {
        Onward::Refers(it) => (
            slice.reference_column(module, &it.column, imports),
            order.clone(),
            &it.column,
        ),
        Onward::Referred(it) => (
            match slice.model.entity(&through.module.snake) {
                Some(between) => slice.key_column(between, imports),
                None => slice.row_item(module, "Column::Id", imports),
            },
            slice.reference_column(&target.name.ident, &it.column, imports),
            &it.column,
        ),
    };
    let writes = writes(slice, through);
    if writes {
        imports.name("sea_orm::ActiveValue::Set");
    }
    let column = column.ident.clone();
    let is_first = slice
        .model
        .joins
        .iter()
        .any(|it| it.name == through.module && it.ends[0].column == through.here.column);
    LinkView {
        ident: &relation.name.ident,
        title: capitalized(&relation.name.human),
        human: &relation.name.human,
        singular: singular(relation),
        target: &target.name.human,
        a_target: with_article(&target.name.human),
        row: slice.row_item(&target.name.ident, "Model", imports),
        repository: slice.repository_of(target, Place::Repository, imports),
        of_service: slice.repository_of(target, Place::Service, imports),
        between,
        here: slice.reference_column(module, &through.here.column, imports),
        here_ident: &through.here.column.ident,
        linked,
        there,
        order,
        writes,
        module: module.clone(),
        key: key(target, imports).ty,
        ids: if is_first {
            format!("(id, {column})")
        } else {
            format!("({column}, id)")
        },
        column,
    }
}

/// Whether links are added and taken away here: those of a join entity are rows of their own.
fn writes(slice: Slice<'_>, through: &Through) -> bool {
    through.generated && slice.entity.writes
}

fn singular(relation: &Relation) -> String {
    pluralizer::pluralize(&relation.name.snake, 1, false)
}

/// The links of a slice over HTTP.
pub(super) fn routes<'a>(slice: Slice<'a>) -> LinkRoutesView<'a> {
    let entity = slice.entity;
    let config = &slice.model.config;
    let mut imports = Imports::default();
    let writes_any = routed(slice.model, entity).any(|(_, it, _)| writes(slice, it));
    for (path, used) in [
        ("axum::Json", true),
        ("axum::extract::State", true),
        ("axum::http::StatusCode", writes_any),
        ("runtime_sea::begin", writes_any),
        ("utoipa_axum::router::OpenApiRouter", true),
        ("utoipa_axum::routes", true),
        ("crate::generated::Error", true),
        ("crate::generated::Invalid", true),
        ("crate::generated::Malformed", true),
        ("crate::generated::NotFound", true),
        ("crate::generated::Page", true),
        ("crate::generated::PageQuery", true),
        ("crate::generated::Path", true),
        ("crate::generated::Query", true),
        (config.app_state.as_str(), true),
    ] {
        if used {
            imports.name(path);
        }
    }
    slice.import(&mut imports, "service::*Service");
    let mut links = Vec::new();
    for (relation, through, target) in routed(slice.model, entity) {
        let response = format!("{}Response", target.name.pascal);
        let response = if relation.self_reference {
            imports.name(&format!("super::dto::{response}"))
        } else {
            imports.name(&format!("crate::{}::{response}", target.plural.ident))
        };
        let (Onward::Refers(onward) | Onward::Referred(onward)) = &through.onward;
        let writes = writes(slice, through);
        let mut unused = Imports::default();
        let target_key = key(target, if writes { &mut imports } else { &mut unused });
        links.push(LinkRouteView {
            ident: &relation.name.ident,
            snake: &relation.name.snake,
            url: &relation.name.kebab,
            human: &relation.name.human,
            singular: singular(relation),
            a_target: with_article(&target.name.human),
            response,
            write: writes.then(|| slice.link_route(target, &mut imports)),
            parameter: onward.column.snake.clone(),
            column: onward.column.ident.clone(),
            key_parameter: target_key.parameter,
            key: target_key.ty,
        });
    }
    LinkRoutesView {
        source: entity.source.as_str(),
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        snake: &entity.name.snake,
        url: &entity.plural.kebab,
        state: scaffold::state_type(config),
        service: slice.service("&"),
        read: slice.route(Call::Read, &mut imports),
        key: key(entity, &mut imports),
        links,
        imports: imports.lines(),
    }
}
