//! A vertical slice of the app crate: everything about one entity.

mod dto;
mod key;
mod named_query;
mod query;
mod repository;
mod routes;
mod service;
mod use_cases;

use askama::Template;

use super::entity::file_stem;
use super::field::capitalized;
use super::imports::Imports;
use super::{Rendered, Result};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::{EmitOn, Entity, Model, Subsystem};

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

    /// Whether a deletion says who deleted the row: only a row that stays can.
    fn stamps_delete(&self) -> bool {
        self.entity.behaviors.soft_delete && self.entity.behaviors.user_tracking
    }

    /// Whether a change publishes events, for the tenant that the caller names.
    fn publishes_of_tenant(&self, on: EmitOn) -> bool {
        let config = &self.model.config;
        let publishes = self.entity.emits.iter().any(|it| it.on == on);
        config.multi_tenant && config.has(Subsystem::Events) && publishes
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
    queries: Vec<String>,
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
                queries: named_query::types(entity),
            }
            .render()?,
        ),
        ("repository.rs", repository::view(slice).render()?),
        ("service.rs", service::view(slice).render()?),
    ];
    if !entity.named_queries.is_empty() {
        files.push(("queries.rs", named_query::view(slice).render()?));
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
