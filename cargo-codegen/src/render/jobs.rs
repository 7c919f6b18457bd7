//! `app/src/jobs/generated.rs`: the registration of the handlers that were found.

use askama::Template;

use super::{Result, scaffold};
use crate::changeset::{Output, OutputKind};
use crate::model::{Model, Subsystem};
use crate::workspace::handlers::FoundHandler;

#[derive(Template)]
#[template(path = "app/src/jobs/generated.rs.jinja")]
struct HandlersView<'a> {
    source: &'a str,
    handlers: Vec<String>,
    pools: &'a [(String, u32)],
    state: &'a str,
    state_type: &'a str,
}

/// The registration of the handlers, if the subsystem is installed.
///
/// # Errors
/// If a template fails.
pub fn jobs(model: &Model, handlers: &[FoundHandler]) -> Result<Vec<Output>> {
    let config = &model.config;
    if !config.has(Subsystem::Jobs) {
        return Ok(Vec::new());
    }
    let source = config.app_crate.file("src/jobs/").to_string();
    let mut paths: Vec<String> = handlers
        .iter()
        .map(|it| match it.module.as_str() {
            "" => format!("super::{}", it.type_name),
            module => format!("super::{module}::{}", it.type_name),
        })
        .collect();
    paths.sort();
    let view = HandlersView {
        source: &source,
        handlers: paths,
        pools: &config.job_pools,
        state: &config.app_state,
        state_type: scaffold::state_type(config),
    };
    let content = view.render()?;
    Ok(vec![Output {
        path: config.app_crate.file("src/jobs/generated.rs"),
        kind: OutputKind::Generated { source },
        content,
    }])
}
