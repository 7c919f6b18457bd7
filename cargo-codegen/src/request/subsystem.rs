//! `subsystem install`.

use chrono::NaiveDateTime;

use super::Addition;
use crate::failure::Failure;
use crate::generate::{self, Site};
use crate::model::{Model, Subsystem};
use crate::render;
use crate::workspace::Files as _;

/// What installing a subsystem adds: its configuration, migration and starting files, and those of what it
/// needs if `agree` says yes; nothing where it is installed.
///
/// # Errors
/// If it needs others and the answer is no.
pub fn subsystem_install(
    site: &Site,
    wanted: Subsystem,
    agree: impl FnOnce(&str) -> bool,
    now: NaiveDateTime,
) -> Result<Addition, Failure> {
    let mut model = generate::load(&site.files())?.model;
    let mut addition = Addition::default();
    if model.config.has(wanted) {
        return Ok(addition);
    }
    let missing: Vec<Subsystem> = wanted
        .needs()
        .iter()
        .copied()
        .filter(|it| !model.config.has(*it))
        .collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|it| it.name()).collect();
        let names = names.join(" and ");
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let question = format!(
            "{} needs {names}, which {verb} not installed. Install {names} too?",
            wanted.name()
        );
        if !agree(&question) {
            return Err(Failure::workspace(
                format!(
                    "{} needs {names}, which {verb} not installed",
                    wanted.name()
                ),
                format!(
                    "cargo codegen subsystem install {} --with-dependencies",
                    wanted.name()
                ),
            ));
        }
    }
    let now = migration_time(site, &model, now)?;
    let installs_events = !model.config.has(Subsystem::Events);
    for subsystem in missing.into_iter().chain([wanted]) {
        add(&mut addition, &model, subsystem, now)?;
        model.config.subsystems.push(subsystem);
    }
    if installs_events && !starts_worker(site, &model)? {
        addition.notes.push(format!(
            "nothing is delivered before your `main` runs the worker, such as beside its server; it ends on Ctrl-C and SIGTERM:\n\
             \x20     tokio::select! {{\n\
             \x20         served = axum::serve(listener, app) => served?,\n\
             \x20         worked = {}::generated::work(state, Vec::new()) => worked?,\n\
             \x20     }}",
            model.config.app_crate.ident()
        ));
    }
    Ok(addition)
}

/// Whether the app's `main`, where it has one, names what starts the worker.
fn starts_worker(site: &Site, model: &Model) -> Result<bool, Failure> {
    let main = model.config.app_crate.file("src/main.rs");
    let text = site.files().read(&main).map_err(Failure::other)?;
    let names = ["{", "Command", "serve", "work"].map(|it| format!("generated::{it}"));
    Ok(text.is_none_or(|text| names.iter().any(|it| text.contains(it))))
}

/// When the next migration of the workspace is dated.
pub(super) fn migration_time(
    site: &Site,
    model: &Model,
    now: NaiveDateTime,
) -> Result<NaiveDateTime, Failure> {
    let dir = model.config.migration_crate.file("src");
    let existing = site.files().list(&dir).map_err(Failure::other)?;
    Ok(render::migration_time(&existing, now))
}

/// Adds one subsystem, without what it needs.
pub(super) fn add(
    addition: &mut Addition,
    model: &Model,
    subsystem: Subsystem,
    now: NaiveDateTime,
) -> Result<(), Failure> {
    let (outputs, edits) =
        render::scaffold::subsystem(model, subsystem, now).map_err(Failure::other)?;
    addition.outputs.extend(outputs);
    addition.edits.extend(edits);
    Ok(())
}
