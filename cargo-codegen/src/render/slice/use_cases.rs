//! `use_cases.rs`: transactions and the events that they publish.

use askama::Template;

use super::Slice;
use super::cascade::{self, CascadeView};
use super::fields::{self, FieldsSteps};
use super::key::{KeyView, key};
use super::scope::{Call, UseCaseView};
use crate::model::{FieldType, Subsystem};
use crate::render::field::with_article;
use crate::render::imports::Imports;
use crate::render::scaffold;

#[derive(Template)]
#[template(path = "app/src/slice/generated/use_cases.rs.jinja")]
pub(super) struct UseCasesView<'a> {
    source: &'a str,
    a_thing: String,
    things: &'a str,
    imports: String,
    pascal: &'a str,
    ident: &'a str,
    module: String,
    key: KeyView,
    state: &'a str,
    emits: bool,
    aggregate: String,
    on_create: EmissionView,
    on_update: EmissionView,
    on_delete: EmissionView,
    on_restore: EmissionView,
    on_purge: EmissionView,
    soft_delete: bool,
    fields: Option<FieldsSteps>,
    cascade: Option<CascadeView>,
}

struct EmissionView {
    docs: String,
    events: Vec<String>,
    scope: UseCaseView,
}

/// The use cases of a slice.
pub(super) fn view<'a>(slice: Slice<'a>) -> UseCasesView<'a> {
    let (model, entity) = (slice.model, slice.entity);
    let mut imports = Imports::default();
    imports.name("runtime_sea::begin");
    imports.name("sea_orm::DatabaseTransaction");
    imports.name("crate::generated::Error");
    imports.name(&model.config.app_state);
    slice.import(&mut imports, "dto::Create*");
    slice.import(&mut imports, "dto::Update*");
    slice.import(&mut imports, "service::*Service");
    let module = slice.row_module(&mut imports);
    let on_create = emission(slice, Call::Create, &mut imports);
    let on_update = emission(slice, Call::Update, &mut imports);
    let on_delete = emission(slice, Call::Delete, &mut imports);
    let on_restore = emission(slice, Call::Restore, &mut imports);
    let on_purge = emission(slice, Call::Purge, &mut imports);
    let key = key(entity, &mut imports);
    let id = format!("{}.{}", entity.name.ident, key.ident);
    UseCasesView {
        source: entity.source.as_str(),
        a_thing: with_article(&entity.name.human),
        things: &entity.plural.human,
        pascal: &entity.name.pascal,
        ident: &entity.name.ident,
        state: scaffold::state_type(&model.config),
        emits: [&on_create, &on_update, &on_delete, &on_restore, &on_purge]
            .iter()
            .any(|it| !it.events.is_empty()),
        aggregate: match entity.key().map(|it| &it.ty) {
            Some(FieldType::Integer) => format!("i64::from({id})"),
            _ => id,
        },
        fields: fields::steps(slice, &mut imports),
        cascade: cascade::view(slice, &mut imports),
        module,
        key,
        on_create,
        on_update,
        on_delete,
        on_restore,
        on_purge,
        soft_delete: entity.behaviors.soft_delete,
        imports: imports.lines(),
    }
}

fn emission(slice: Slice<'_>, call: Call, imports: &mut Imports) -> EmissionView {
    let (model, entity) = (slice.model, slice.entity);
    let names: Vec<&str> = entity
        .emits
        .iter()
        .filter(|it| it.on == call.emits() && model.config.has(Subsystem::Events))
        .filter_map(|it| model.event(&it.event))
        .map(|it| it.name.pascal.as_str())
        .collect();
    let listed: Vec<String> = names.iter().map(|it| format!("[`{it}`]")).collect();
    EmissionView {
        docs: if listed.is_empty() {
            String::new()
        } else {
            format!(" and publishes {}", listed.join(" and "))
        },
        events: names
            .into_iter()
            .map(|it| imports.name(&format!("crate::events::{it}")))
            .collect(),
        scope: slice.use_case(call, imports),
    }
}
