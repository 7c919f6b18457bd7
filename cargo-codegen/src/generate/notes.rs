//! What the user should know about a plan, beside what it changes.

use std::collections::HashMap;

use crate::changeset::{Change, ChangeSet};
use crate::failure::Failure;
use crate::model::{Model, Subsystem};
use crate::render;
use crate::workspace::Files;
use crate::workspace::merge::has_conflict_markers;

/// What the code does not do that the definitions make one expect.
pub(super) fn notes(
    model: &Model,
    files: &dyn Files,
    set: &ChangeSet,
) -> Result<Vec<String>, Failure> {
    let mut notes = unsent(model, set);
    if !model.events.is_empty() && !model.config.has(Subsystem::Events) {
        notes.push(
            "events are described, but nothing publishes them: cargo codegen subsystem install events"
                .to_owned(),
        );
    }
    notes.extend(unsettled_runtime(model, files)?);
    notes.extend(unmerged_migrator(model, files)?);
    Ok(notes)
}

/// The list of migrations is the user's, who has to decide a merge in it.
fn unmerged_migrator(model: &Model, files: &dyn Files) -> Result<Option<String>, Failure> {
    let path = model.config.migration_crate.file("src/lib.rs");
    let text = files.read(&path).map_err(Failure::other)?;
    Ok(text.filter(|it| has_conflict_markers(it)).map(|_| {
        format!("{path} holds an unresolved merge: keep the migrations of both sides, in the order of their names")
    }))
}

/// Tests that are the user's by now, and that a changed definition makes fail.
fn unsent(model: &Model, set: &ChangeSet) -> Vec<String> {
    let files = set.changes.iter().map(|it| (it.path.as_str(), it));
    let files: HashMap<&str, &Change> = files.collect();
    let entities = model.entities.iter();
    let unsent = entities.filter_map(|it| render::unsent(model, it, &files));
    unsent
        .map(|(test, fields)| {
            format!(
                "{test} is yours, and does not send {fields}, without which no row is created now: add what is missing"
            )
        })
        .collect()
}

/// Multi-tenancy is enforced by the runtime, which the user's state makes.
fn unsettled_runtime(model: &Model, files: &dyn Files) -> Result<Option<String>, Failure> {
    let config = &model.config;
    let path = config.app_state.split("::").skip(1).collect::<Vec<_>>();
    let Some((_, module)) = path.split_last().filter(|_| config.multi_tenant) else {
        return Ok(None);
    };
    let module = module.join("/");
    for path in [format!("src/{module}.rs"), format!("src/{module}/mod.rs")] {
        let path = config.app_crate.file(&path);
        let text = files.read(&path).map_err(Failure::other)?;
        if text.is_some_and(|it| !it.contains("generated::runtime")) {
            return Ok(Some(format!(
                "{path} makes a runtime that does not know of `multi_tenant`: let it be `crate::generated::runtime(db).build()`"
            )));
        }
    }
    Ok(None)
}
