//! A vertical slice of the app crate: everything about one entity.

mod bulk;
mod cascade;
mod dto;
mod family;
mod fields;
pub(super) mod include;
mod key;
pub(super) mod links;
mod named_query;
mod query;
mod related;
mod repository;
mod routes;
mod scope;
mod service;
pub(super) mod upsert;
mod use_cases;
mod values;
mod via;

use askama::Template;

use super::entity::file_stem;
use super::field::capitalized;
use super::imports::Imports;
use super::{Rendered, Result};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::{Entity, Model};

/// One entity, in the model that it belongs to.
#[derive(Clone, Copy)]
struct Slice<'a> {
    model: &'a Model,
    entity: &'a Entity,
}

impl Slice<'_> {
    /// Path of the entity's module in the entity crate.
    fn row_path(&self) -> String {
        let config = &self.model.config;
        format!(
            "{}::{}",
            config.entity_crate.ident(),
            self.entity.name.ident
        )
    }

    /// The same, as a file that imports it spells it.
    fn row_module(&self, imports: &mut Imports) -> String {
        imports.name(&self.row_path())
    }

    /// Imports an item of the slice; `item` holds a `*` where the entity's name goes.
    fn import(&self, imports: &mut Imports, item: &str) {
        imports.name(&format!(
            "super::{}",
            item.replace('*', &self.entity.name.pascal)
        ));
    }
}

#[derive(Template)]
#[template(path = "app/src/slice/mod.rs.jinja")]
struct OwnedModuleView<'a> {
    title: String,
    pascal: &'a str,
}

#[derive(Template)]
#[template(path = "app/src/slice/generated/mod.rs.jinja")]
struct ModuleView<'a> {
    source: &'a str,
    title: String,
    pascal: &'a str,
    has_dto: bool,
    rest: bool,
    writes: bool,
    has_family: bool,
    has_fields: bool,
    has_values: bool,
    queries: Vec<String>,
    includes: Vec<String>,
    links: bool,
    link_routes: bool,
}

/// Everything about one entity in the app crate.
///
/// # Errors
/// If a template fails.
pub fn slice(model: &Model, entity: &Entity) -> Result<Rendered> {
    let slice = Slice { model, entity };
    let app = &model.config.app_crate;
    let directory = format!("src/{}", file_stem(&entity.plural));
    let owned = OwnedModuleView {
        title: title(entity),
        pascal: &entity.name.pascal,
    };
    let has_includes = !include::items(slice).is_empty();
    let has_links = links::linked(model, entity).next().is_some();
    let has_link_routes = links::routed(model, entity).next().is_some();
    let has_dto = entity.rest || entity.writes;
    let mut files = vec![
        (
            "mod.rs",
            ModuleView {
                source: entity.source.as_str(),
                title: title(entity),
                pascal: &entity.name.pascal,
                has_dto,
                rest: entity.rest,
                writes: entity.writes,
                has_family: family::has_methods(entity),
                has_fields: entity.custom_fields.is_some(),
                has_values: entity.field_values.is_some(),
                queries: named_query::types(entity),
                includes: include::items(slice),
                links: has_links,
                link_routes: has_link_routes,
            }
            .render()?,
        ),
        ("repository.rs", repository::view(slice).render()?),
        ("service.rs", service::view(slice).render()?),
        ("bulk.rs", bulk::view(slice).render()?),
    ];
    if family::has_methods(entity) {
        files.push(("family.rs", family::view(slice).render()?));
    }
    if let Some(view) = fields::view(slice) {
        files.push(("fields.rs", view.render()?));
    }
    if let Some(view) = values::view(slice) {
        files.push(("values.rs", view.render()?));
    }
    if !entity.named_queries.is_empty() {
        files.push(("queries.rs", named_query::view(slice).render()?));
    }
    if has_includes {
        files.push(("include.rs", include::view(slice).render()?));
    }
    if has_links {
        files.push(("links.rs", links::view(slice).render()?));
    }
    if has_link_routes {
        files.push(("link_routes.rs", links::routes(slice).render()?));
    }
    if has_dto {
        files.push(("dto.rs", dto::view(slice).render()?));
    }
    if entity.writes {
        files.push(("use_cases.rs", use_cases::view(slice).render()?));
    }
    if entity.rest {
        files.push(("routes.rs", routes::view(slice).render()?));
    }
    let mut outputs = vec![Output {
        path: app.file(&format!("{directory}/mod.rs")),
        kind: OutputKind::Owned,
        content: owned.render()?,
    }];
    outputs.extend(files.into_iter().map(|(name, content)| Output {
        path: app.file(&format!("{directory}/generated/{name}")),
        kind: OutputKind::Generated {
            source: entity.source.to_string(),
        },
        content,
    }));
    Ok(Rendered {
        outputs,
        edits: vec![Edit::Module {
            file: app.file("src/lib.rs"),
            ident: entity.plural.ident.clone(),
            public: true,
        }],
        notes: Vec::new(),
    })
}

fn title(entity: &Entity) -> String {
    capitalized(&entity.plural.human)
}
