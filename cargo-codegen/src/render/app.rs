//! `app/src/generated`: the command line, the server and the router.

use askama::Template;

use super::http::{self, SharedModule};
use super::{Result, scaffold};
use crate::changeset::{Output, OutputKind};
use crate::model::{Model, Subsystem};

#[derive(Template)]
#[template(path = "app/src/generated/mod.rs.jinja")]
struct ModuleView {
    events: bool,
    multi_tenant: bool,
    shared: Vec<SharedModule>,
}

#[derive(Template)]
#[template(path = "app/src/generated/command.rs.jinja")]
struct CommandView<'a> {
    events: bool,
    jobs: bool,
    migration: &'a str,
    state: &'a str,
    state_type: &'a str,
}

#[derive(Template)]
#[template(path = "app/src/generated/document.rs.jinja")]
struct DocumentView;

#[derive(Template)]
#[template(path = "app/src/generated/health.rs.jinja")]
struct HealthView<'a> {
    migration: &'a str,
}

#[derive(Template)]
#[template(path = "app/src/generated/layers.rs.jinja")]
struct LayersView {
    creates: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/settings.rs.jinja")]
struct SettingsView {
    creates: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/server.rs.jinja")]
struct ServerView<'a> {
    events: bool,
    jobs: bool,
    state: &'a str,
    state_type: &'a str,
}

#[derive(Template)]
#[template(path = "app/src/generated/router.rs.jinja")]
struct RouterView<'a> {
    slices: Vec<RoutesView<'a>>,
    state: &'a str,
    state_type: &'a str,
}

#[derive(Template)]
#[template(path = "app/src/generated/runtime.rs.jinja")]
struct RuntimeView {
    multi_tenant: bool,
}

/// The routes of one entity.
struct RoutesView<'a> {
    module: &'a str,
    /// They are part of the OpenAPI document.
    documented: bool,
}

/// What belongs to no single entity, in `app/src/generated`.
///
/// # Errors
/// If a template fails.
pub fn app_shared(model: &Model) -> Result<Vec<Output>> {
    let config = &model.config;
    let events = config.has(Subsystem::Events);
    let jobs = config.has(Subsystem::Jobs);
    let creates = model.creates_over_http();
    let state = config.app_state.as_str();
    let state_type = scaffold::state_type(config);
    let migration = config.migration_crate.ident();
    let slices = model
        .entities
        .iter()
        .filter(|it| it.rest)
        .map(|it| RoutesView {
            module: &it.plural.ident,
            documented: it.openapi,
        })
        .collect();
    let files = [
        (
            "mod.rs",
            ModuleView {
                events,
                multi_tenant: config.multi_tenant,
                shared: http::shared_modules(model),
            }
            .render()?,
        ),
        (
            "command.rs",
            CommandView {
                events,
                jobs,
                migration: &migration,
                state,
                state_type,
            }
            .render()?,
        ),
        ("document.rs", DocumentView.render()?),
        (
            "health.rs",
            HealthView {
                migration: &migration,
            }
            .render()?,
        ),
        ("layers.rs", LayersView { creates }.render()?),
        ("settings.rs", SettingsView { creates }.render()?),
        (
            "router.rs",
            RouterView {
                slices,
                state,
                state_type,
            }
            .render()?,
        ),
        (
            "runtime.rs",
            RuntimeView {
                multi_tenant: config.multi_tenant,
            }
            .render()?,
        ),
        (
            "server.rs",
            ServerView {
                events,
                jobs,
                state,
                state_type,
            }
            .render()?,
        ),
    ];
    let mut outputs = http::http_support(model)?;
    outputs.extend(files.into_iter().map(|(name, content)| Output {
        path: config.app_crate.file(&format!("src/generated/{name}")),
        kind: OutputKind::Generated {
            source: "codegen.yaml".to_owned(),
        },
        content,
    }));
    Ok(outputs)
}
