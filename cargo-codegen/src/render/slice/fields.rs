//! `fields.rs`: an entity with its custom fields, and what its use cases do with them.

use askama::Template;

use super::key::{KeyView, key};
use super::scope::{self, Call, RouteView};
use super::{Slice, title};
use crate::model::{Entity, FieldType, FieldValues, Model};
use crate::render::field::{self, capitalized, string_literal, with_article};
use crate::render::imports::Imports;
use crate::render::scaffold;

#[derive(Template)]
#[template(path = "app/src/slice/generated/fields.rs.jinja")]
pub(super) struct FieldsView<'a> {
    source: &'a str,
    title: String,
    thing: &'a str,
    things: &'a str,
    a_thing_capital: String,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    snake: &'a str,
    plural: &'a str,
    url: &'a str,
    module: String,
    key: KeyView,
    state: &'a str,
    service: String,
    values_repository: String,
    values_service: String,
    entity_type: String,
    definition_id: String,
    rest: bool,
    writes: bool,
    of_users: bool,
    tenant: bool,
    /// What routes that read take, if there are routes.
    read: Option<RouteView>,
}

/// What the use cases of an entity do with its custom fields.
pub(super) struct FieldsSteps {
    pub(super) on_create: String,
    pub(super) on_update: String,
    pub(super) store: String,
    /// For a row that goes for good.
    pub(super) remove: String,
}

/// Where the custom fields of an entity are.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    values: &'a Entity,
    table: &'a FieldValues,
    definition: &'a Entity,
}

impl Place<'_> {
    /// The service of the values, where there is a `tenant` if they belong to tenants.
    pub(super) fn service(self, imports: &mut Imports) -> String {
        let name = imports.name(&format!(
            "crate::{}::{}Service",
            self.values.plural.ident, self.values.name.pascal
        ));
        if self.is_of_tenant() {
            format!("{name}::of(tenant)")
        } else {
            name
        }
    }

    /// Whether definitions and values belong to tenants, as the rows then do.
    pub(super) fn is_of_tenant(self) -> bool {
        self.values.behaviors.tenant
    }
}

pub(super) fn place<'a>(model: &'a Model, entity: &Entity) -> Option<Place<'a>> {
    let values = model.entity(entity.custom_fields.as_deref()?)?;
    let table = values.field_values.as_ref()?;
    Some(Place {
        values,
        table,
        definition: model.entity(&table.definition)?,
    })
}

/// Whether the custom fields of this entity belong to users.
pub(super) fn are_of_users(slice: Slice<'_>) -> bool {
    place(slice.model, slice.entity).is_some_and(|it| it.table.of_users)
}

/// How the type of an entity is written in the table of values.
pub(super) fn entity_type(slice: Slice<'_>, place: Place<'_>, imports: &mut Imports) -> String {
    let name = &slice.entity.name.snake;
    match place.values.field("entity_type").map(|it| &it.ty) {
        Some(FieldType::Enum { type_name, choices }) => {
            let choice = choices.iter().find(|it| it.snake == *name);
            let variant = choice.map_or("", |it| it.pascal.as_str());
            let entity_crate = slice.model.config.entity_crate.ident();
            let module = &place.values.name.ident;
            let ty = imports.name(&format!("{entity_crate}::{module}::{type_name}"));
            format!("{ty}::{variant}")
        }
        _ => string_literal(name),
    }
}

/// The steps of the use cases; `None` if the entity has no custom fields.
pub(super) fn steps(slice: Slice<'_>, imports: &mut Imports) -> Option<FieldsSteps> {
    let entity = slice.entity;
    let place = place(slice.model, entity)?;
    let service = place.service(imports);
    slice.import(imports, "fields");
    let entity_type = entity_type(slice, place, imports);
    let key = key(entity, imports).ident;
    let ident = &entity.name.ident;
    let of_users = place.table.of_users;
    let actor = if of_users { ", actor" } else { "" };
    let tenant = if place.is_of_tenant() { ", tenant" } else { "" };
    let check = |complete: bool| {
        format!(
            "let fields = fields::checked(tx{tenant}{actor}, &input, &input.fields, {complete}).await?;"
        )
    };
    let store = format!("{service}.store(tx{actor}, {entity_type}, {ident}.{key}, fields).await?;");
    Some(FieldsSteps {
        on_create: check(true),
        on_update: check(false),
        store: if of_users {
            format!("if let Some(actor) = actor {{ {store} }}")
        } else {
            store
        },
        remove: format!("{service}.remove(tx, {entity_type}, {ident}.{key}).await?;"),
    })
}

/// An entity with its custom fields.
pub(super) fn view<'a>(slice: Slice<'a>) -> Option<FieldsView<'a>> {
    let (model, entity) = (slice.model, slice.entity);
    let place = place(model, entity)?;
    let (rest, writes, of_users) = (entity.rest, entity.writes, place.table.of_users);
    let pascal = &entity.name.pascal;
    let mut imports = Imports::beside([format!("{pascal}WithFields")]);
    for (path, used) in [
        ("sea_orm::ConnectionTrait", true),
        ("sea_orm::DatabaseTransaction", writes),
        ("garde::Report", writes),
        ("garde::Validate", writes),
        ("serde_json::Value", writes),
        ("axum::Json", rest),
        ("axum::extract::State", rest),
        ("serde::Serialize", rest),
        ("utoipa::ToSchema", rest),
        ("utoipa_axum::router::OpenApiRouter", rest),
        ("utoipa_axum::routes", rest),
        ("crate::generated::CustomFields", true),
        ("crate::generated::Error", true),
        ("crate::generated::Invalid", rest),
        ("crate::generated::Malformed", rest),
        ("crate::generated::NotFound", rest),
        ("crate::generated::Page", true),
        ("crate::generated::PageQuery", true),
        ("crate::generated::Path", rest),
        ("crate::generated::Query", rest),
        ("crate::generated::Actor", rest && of_users),
        ("crate::generated::Tenant", writes && place.is_of_tenant()),
        ("crate::generated::Unauthenticated", rest && of_users),
        ("uuid::Uuid", of_users),
        (model.config.app_state.as_str(), rest),
    ] {
        if used {
            imports.name(path);
        }
    }
    slice.import(&mut imports, "service::*Service");
    if rest {
        slice.import(&mut imports, "dto::*Response");
    }
    let definition_id = place.definition.key().map(|it| it.ty.clone());
    let definition_id = definition_id.unwrap_or(FieldType::Uuid);
    Some(FieldsView {
        source: entity.source.as_str(),
        title: title(entity),
        thing: &entity.name.human,
        things: &entity.plural.human,
        a_thing_capital: capitalized(&with_article(&entity.name.human)),
        pascal,
        ident: &entity.name.ident,
        snake: &entity.name.snake,
        plural: &entity.plural.snake,
        url: &entity.plural.kebab,
        module: slice.row_module(&mut imports),
        key: key(entity, &mut imports),
        state: scaffold::state_type(&model.config),
        service: slice.service("&"),
        values_repository: slice.repository_of(place.values, scope::Place::Service, &mut imports),
        values_service: if writes {
            place.service(&mut imports)
        } else {
            String::new()
        },
        entity_type: entity_type(slice, place, &mut imports),
        definition_id: if writes {
            field::app_type(&definition_id, "", &mut imports)
        } else {
            String::new()
        },
        rest,
        writes,
        of_users,
        tenant: place.is_of_tenant(),
        read: rest.then(|| slice.route(Call::Read, &mut imports)),
        imports: imports.lines(),
    })
}
