//! The starting file of a job: `app/src/jobs/<type>.rs`.

use std::collections::BTreeSet;

use askama::Template;

use super::imports::Imports;
use super::payload::{StructField, struct_fields};
use super::{RenderError, Result, scaffold};
use crate::changeset::{Edit, Output, OutputKind};
use crate::model::{Event, EventTier, Model, Name, PayloadField, Subsystem};

#[derive(Template)]
#[template(path = "app/src/jobs/job.rs.jinja")]
struct JobView<'a> {
    name: &'a Name,
    imports: String,
    fields: Vec<StructField>,
    pool: Option<&'a str>,
    scope: Option<(&'a str, &'a str)>,
    trigger: Option<Trigger>,
    state_type: &'a str,
}

struct Trigger {
    event: String,
    assignments: Vec<(String, String)>,
}

/// What the command line says of a new job.
#[derive(Debug, Clone)]
pub struct JobWords {
    /// The job's type.
    pub name: Name,
    /// Fields of the input; with `on` and none given, those of the event.
    pub fields: Vec<PayloadField>,
    /// A pool of `codegen.yaml`.
    pub pool: Option<String>,
    /// The entity that its runs are about.
    pub scope: Option<String>,
    /// The type of the event that starts it.
    pub on: Option<String>,
}

/// Why a job stub cannot be written as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum JobStubError {
    /// The subsystem is missing.
    #[error("the jobs subsystem is not installed; run `cargo codegen subsystem install jobs`")]
    NotInstalled,
    /// The file would be a generated one.
    #[error("a job cannot be named `generated`: that is the module of the registrations")]
    ReservedName,
    /// No such pool.
    #[error("codegen.yaml has no job pool `{pool}`; it has {known}")]
    UnknownPool {
        /// What was asked for.
        pool: String,
        /// What there is.
        known: String,
    },
    /// No such entity.
    #[error("there is no entity `{0}`; `cargo codegen entity list` shows those that there are")]
    UnknownEntity(String),
    /// The input does not say which entity a run is about.
    #[error("a job of scope `{scope}` needs the field `{scope}_id` in its input")]
    NoScopeField {
        /// The entity.
        scope: String,
    },
    /// No such event.
    #[error("there is no event `{0}`; `cargo codegen event list` shows those that there are")]
    UnknownEvent(String),
    /// The event is only observed.
    #[error("`{0}` is an audit event, and an audit event starts no job; use a domain event")]
    AuditEvent(String),
    /// The event does not fill the input.
    #[error("the event `{event}` cannot fill the field `{field}`: {reason}")]
    Unfilled {
        /// The event's type.
        event: String,
        /// The field of the input.
        field: String,
        /// What is missing.
        reason: String,
    },
    /// A template failed.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// The starting file of a job, and its entry in the list of modules.
///
/// # Errors
/// If the words do not fit the model.
pub fn job_stub(model: &Model, words: &JobWords) -> Result<(Vec<Output>, Vec<Edit>), JobStubError> {
    let config = &model.config;
    if !config.has(Subsystem::Jobs) {
        return Err(JobStubError::NotInstalled);
    }
    if words.name.snake == "generated" {
        return Err(JobStubError::ReservedName);
    }
    if let Some(pool) = &words.pool {
        check_pool(model, pool)?;
    }
    let event = words
        .on
        .as_deref()
        .map(|name| triggering_event(model, name))
        .transpose()?;
    let fields = match event {
        Some(event) if words.fields.is_empty() => &event.payload,
        _ => &words.fields,
    };
    let scope_field = match &words.scope {
        Some(scope) => Some(scope_field(model, scope, fields)?),
        None => None,
    };

    let (name, input) = (&words.name, format!("{}Input", words.name.pascal));
    let mut imports = Imports::beside([name.pascal.clone(), input]);
    for path in ["JobContext", "JobHandler", "JobPolicy", "JobResult"] {
        imports.name(&format!("runtime_sea::{path}"));
    }
    if words.pool.is_some() {
        imports.name("runtime_sea::Pool");
    }
    imports.name("serde::Serialize");
    imports.name("serde::Deserialize");
    imports.name(&config.app_state);
    let trigger = match event {
        Some(event) => Some(Trigger {
            assignments: assignments(event, fields)?,
            event: imports.name(&format!("crate::events::{}", event.name.pascal)),
        }),
        None => None,
    };
    let view = JobView {
        name,
        fields: struct_fields(fields, &mut imports),
        pool: words.pool.as_deref(),
        scope: words.scope.as_deref().zip(scope_field),
        trigger,
        state_type: scaffold::state_type(config),
        imports: imports.lines(),
    };
    let content = view.render().map_err(RenderError::from)?;
    let file = name.ident.trim_start_matches("r#");
    let output = Output {
        path: config.app_crate.file(&format!("src/jobs/{file}.rs")),
        kind: OutputKind::Owned,
        content,
    };
    let entry = Edit::Module {
        file: config.app_crate.file("src/jobs/mod.rs"),
        ident: name.ident.clone(),
        public: true,
    };
    Ok((vec![output], vec![entry]))
}

fn check_pool(model: &Model, pool: &str) -> Result<(), JobStubError> {
    let pools = model.config.job_pools.iter().map(|(name, _)| name.as_str());
    // The runtime's default pool needs no entry.
    let known: BTreeSet<&str> = pools.chain(["batch"]).collect();
    if known.contains(pool) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
    Err(JobStubError::UnknownPool {
        pool: pool.to_owned(),
        known: known.join(", "),
    })
}

fn triggering_event<'a>(model: &'a Model, name: &str) -> Result<&'a Event, JobStubError> {
    let event = model
        .event(name)
        .ok_or_else(|| JobStubError::UnknownEvent(name.to_owned()))?;
    if event.tier == EventTier::Audit {
        return Err(JobStubError::AuditEvent(name.to_owned()));
    }
    Ok(event)
}

/// The Rust name of the input's field that holds the scope's id.
fn scope_field<'a>(
    model: &Model,
    scope: &str,
    fields: &'a [PayloadField],
) -> Result<&'a str, JobStubError> {
    if model.entity(scope).is_none() {
        return Err(JobStubError::UnknownEntity(scope.to_owned()));
    }
    let id = format!("{scope}_id");
    fields
        .iter()
        .find(|it| it.name.snake == id && !it.nullable)
        .map(|it| it.name.ident.as_str())
        .ok_or_else(|| JobStubError::NoScopeField {
            scope: scope.to_owned(),
        })
}

/// How the event's payload fills the input; an event that lacks a value that the input needs starts no run.
fn assignments(
    event: &Event,
    fields: &[PayloadField],
) -> Result<Vec<(String, String)>, JobStubError> {
    fields
        .iter()
        .map(|field| {
            let unfilled = |reason: String| JobStubError::Unfilled {
                event: event.name.snake.clone(),
                field: field.name.snake.clone(),
                reason,
            };
            let from = event
                .payload
                .iter()
                .find(|it| it.name == field.name)
                .ok_or_else(|| {
                    let names: Vec<String> = event
                        .payload
                        .iter()
                        .map(|it| format!("`{}`", it.name.snake))
                        .collect();
                    unfilled(format!("its payload has {}", names.join(", ")))
                })?;
            if from.ty != field.ty {
                return Err(unfilled("its payload has another type for it".to_owned()));
            }
            Ok((field.name.ident.clone(), value(from, field)))
        })
        .collect()
}

fn value(from: &PayloadField, to: &PayloadField) -> String {
    let path = format!("event.payload.{}", from.name.ident);
    let value = if super::payload::is_copy(&from.ty) {
        path
    } else {
        format!("{path}.clone()")
    };
    match (from.nullable, to.nullable) {
        (true, false) => format!("{value}?"),
        (false, true) => format!("Some({value})"),
        _ => value,
    }
}
