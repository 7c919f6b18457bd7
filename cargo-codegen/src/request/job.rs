//! `job new`.

use chrono::NaiveDateTime;

use super::lookup::{known_entity, known_event};
use super::{Addition, subsystem};
use crate::failure::Failure;
use crate::generate::{self, Site};
use crate::model::{Model, Name, Subsystem};
use crate::render;
use crate::survey::Step;
use crate::words::{PayloadWord, name_word, nearest, payload_words};

/// The arguments of `job new`.
#[derive(Debug, Clone)]
pub struct JobArguments {
    /// snake_case.
    pub job_type: String,
    /// Field words of its input.
    pub words: Vec<String>,
    /// The lane of work that it runs in.
    pub pool: Option<String>,
    /// The entity that its runs belong to.
    pub scope: Option<String>,
    /// The event that starts it.
    pub on: Option<String>,
}

/// What `job new <type> [words]` adds: the handler's stub and its place in the module list, and the bridge
/// where an event is to start the job; nothing where a handler of this type exists.
///
/// # Errors
/// If the words are wrong, jobs are not installed, or the pool, entity or event is unknown.
pub fn job_new(
    site: &Site,
    arguments: &JobArguments,
    now: NaiveDateTime,
) -> Result<Addition, Failure> {
    name_word("a job", &arguments.job_type, &["mod", "generated"])?;
    let fields = payload_words(&arguments.words)?;
    let files = site.files();
    let mut model = generate::load(&files)?.model;
    if !model.config.has(Subsystem::Jobs) {
        return Err(Failure::workspace(
            "the jobs subsystem is not installed",
            "cargo codegen subsystem install jobs",
        ));
    }
    check_names(&model, arguments)?;
    let handlers = generate::handlers(&files, &model)?;
    let existing = handlers
        .found
        .iter()
        .find(|it| it.job_type == arguments.job_type);
    if let Some(handler) = existing {
        return Ok(Addition {
            notes: vec![format!(
                "the job `{}` is there: {}:{}; it is yours and stays as it is",
                arguments.job_type, handler.file, handler.line
            )],
            ..Addition::default()
        });
    }
    let mut addition = Addition::default();
    if arguments.on.is_some() && !model.config.has(Subsystem::Bridge) {
        let now = subsystem::migration_time(site, &model, now)?;
        subsystem::add(&mut addition, &model, Subsystem::Bridge, now)?;
        model.config.subsystems.push(Subsystem::Bridge);
        addition
            .notes
            .push("the bridge is installed too: it starts jobs on events".to_owned());
    }
    let words = render::JobWords {
        name: Name::new(&arguments.job_type),
        fields: fields.iter().map(PayloadWord::field).collect(),
        pool: arguments.pool.clone(),
        scope: arguments.scope.clone(),
        on: arguments.on.clone(),
    };
    let (outputs, edits) = render::job_stub(&model, &words).map_err(Failure::other)?;
    let files = outputs.iter().map(|it| it.path.as_str());
    addition.next.push(Step::new(
        format!("edit {}", files.collect::<Vec<_>>().join(", ")),
        "the handler is yours",
    ));
    addition.outputs.extend(outputs);
    addition.edits.extend(edits);
    Ok(addition)
}

/// Names that are not there, before the stub's own checks: with the nearest that is.
fn check_names(model: &Model, arguments: &JobArguments) -> Result<(), Failure> {
    if let Some(scope) = &arguments.scope {
        known_entity(model, scope)?;
    }
    if let Some(on) = &arguments.on {
        known_event(model, on)?;
    }
    let Some(pool) = &arguments.pool else {
        return Ok(());
    };
    let pools = &model.config.job_pools;
    if pools.iter().any(|(name, _)| name == pool) {
        return Ok(());
    }
    let names: Vec<&str> = pools.iter().map(|(name, _)| name.as_str()).collect();
    let list = format!("the pools in codegen.yaml are {}", names.join(", "));
    let message = format!("there is no job pool `{pool}`");
    Err(match nearest(pool, names) {
        Some(meant) => Failure::workspace(message, format!("did you mean `{meant}`? {list}")),
        None => Failure::workspace(message, list),
    })
}
