//! What the slices of all entities share, in `app/src/generated`.

use askama::Template;

use super::Result;
use super::field::is_input;
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::{Field, FieldType, Model, Subsystem};

#[derive(Template)]
#[template(path = "app/src/generated/error.rs.jinja")]
struct ErrorView {
    events: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/problem.rs.jinja")]
struct ProblemView {
    events: bool,
    multi_tenant: bool,
}

#[derive(Template)]
#[template(path = "app/src/generated/extract.rs.jinja")]
struct ExtractView;

#[derive(Template)]
#[template(path = "app/src/generated/page.rs.jinja")]
struct PageView;

#[derive(Template)]
#[template(path = "app/src/generated/pattern.rs.jinja")]
struct PatternView;

#[derive(Template)]
#[template(path = "app/src/generated/moment.rs.jinja")]
struct MomentView;

#[derive(Template)]
#[template(path = "app/src/generated/schema.rs.jinja")]
struct SchemaView;

#[derive(Template)]
#[template(path = "app/src/generated/search.rs.jinja")]
struct SearchView;

#[derive(Template)]
#[template(path = "app/src/generated/base64.rs.jinja")]
struct Base64View;

/// A shared module: its name, whether it is public, and what `app/src/generated/mod.rs` re-exports of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedModule {
    /// `pub mod` or `mod` and its name.
    pub(super) declaration: &'static str,
    /// The items to re-export.
    pub(super) exports: &'static [&'static str],
}

impl SharedModule {
    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.declaration.rsplit(' ').next().unwrap_or_default()
    }
}

/// The modules that [`http_support`] writes for a model, sorted by name.
pub(super) fn shared_modules(model: &Model) -> Vec<SharedModule> {
    let module = |declaration, exports| SharedModule {
        declaration,
        exports,
    };
    let mut modules = Vec::new();
    if has_bytes(model) {
        modules.push(module("pub mod base64", &[]));
    }
    modules.push(module("mod error", &["Error", "Unique"]));
    modules.push(module(
        "mod extract",
        &["Body", "Input", "Path", "Query", "present"],
    ));
    if has_bounded_moments(model) {
        modules.push(module("mod moment", &["storable"]));
    }
    modules.push(module("mod page", &["Page", "PageQuery"]));
    if has_patterns(model) {
        modules.push(module("mod pattern", &["Pattern"]));
    }
    modules.push(module(
        "mod problem",
        &[
            "Conflict",
            "FieldProblem",
            "Invalid",
            "Malformed",
            "NotFound",
            "Problem",
        ],
    ));
    if has_enums(model) {
        modules.push(module("pub mod schema", &[]));
    }
    if searches(model) {
        modules.push(module("mod search", &["contains"]));
    }
    modules
}

/// Errors, problem details, extractors, pages and what else the slices share.
///
/// # Errors
/// If a template fails.
pub fn http_support(model: &Model) -> Result<Vec<Output>> {
    let events = model.config.has(Subsystem::Events);
    let mut files = vec![
        ("error.rs", ErrorView { events }.render()?),
        ("extract.rs", ExtractView.render()?),
        ("page.rs", PageView.render()?),
        (
            "problem.rs",
            ProblemView {
                events,
                multi_tenant: model.config.multi_tenant,
            }
            .render()?,
        ),
    ];
    if has_patterns(model) {
        files.push(("pattern.rs", PatternView.render()?));
    }
    if has_bounded_moments(model) {
        files.push(("moment.rs", MomentView.render()?));
    }
    if has_enums(model) {
        files.push(("schema.rs", SchemaView.render()?));
    }
    if searches(model) {
        files.push(("search.rs", SearchView.render()?));
    }
    if has_bytes(model) {
        files.push(("base64.rs", Base64View.render()?));
    }
    Ok(files
        .into_iter()
        .map(|(name, content)| Output {
            path: model
                .config
                .app_crate
                .file(&format!("src/generated/{name}")),
            kind: OutputKind::Generated {
                source: "codegen.yaml".to_owned(),
            },
            content,
        })
        .collect())
}

/// Dependencies that the files of this model need beyond those that every workspace has.
pub fn dependencies(model: &Model) -> Vec<Edit> {
    let dependency = |name: &str, spec: &str| Edit::Dependency {
        file: model.config.app_crate.file("Cargo.toml"),
        name: name.to_owned(),
        spec: spec.to_owned(),
        dev: false,
    };
    let mut edits = Vec::new();
    if has_bytes(model) {
        edits.push(dependency("base64", "\"0.22\""));
    }
    if has_patterns(model) {
        edits.push(dependency("regex", "\"1\""));
    }
    edits
}

fn has_patterns(model: &Model) -> bool {
    model
        .entities
        .iter()
        .filter(|it| it.writes)
        .flat_map(|it| &it.fields)
        .any(|it| is_input(it) && it.constraints.pattern.is_some())
}

/// Whether clients give points in time, and one of the databases does not take all of them.
fn has_bounded_moments(model: &Model) -> bool {
    let writes = model.entities.iter().filter(|it| it.writes);
    let mut inputs = writes.flat_map(|it| &it.fields).filter(|it| is_input(it));
    model.config.bounds_moments() && inputs.any(|it| it.ty == FieldType::DateTime)
}

fn has_bytes(model: &Model) -> bool {
    exposed_fields(model).any(|it| it.ty == FieldType::Bytes)
}

fn has_enums(model: &Model) -> bool {
    exposed_fields(model).any(|it| matches!(it.ty, FieldType::Enum { .. }))
}

fn searches(model: &Model) -> bool {
    let mut queries = model.entities.iter().flat_map(|it| &it.named_queries);
    queries.any(|it| !it.search.is_empty())
}

fn exposed_fields(model: &Model) -> impl Iterator<Item = &Field> {
    model
        .entities
        .iter()
        .filter(|it| it.rest || it.writes)
        .flat_map(|it| &it.fields)
}
