//! Every part of the output, in one place.

use camino::Utf8Path;
use chrono::NaiveDateTime;

use crate::changeset::LOCK_FILE;
use crate::failure::Failure;
use crate::model::Model;
use crate::render::{self, Changed, Rendered};
use crate::schema::{self, Change};
use crate::workspace::Files;
use crate::workspace::handlers::FoundHandler;
use crate::workspace::merge::has_conflict_markers;

/// Everything that the definitions and handlers ask for.
pub(super) fn render(
    model: &Model,
    handlers: &[FoundHandler],
    files: &dyn Files,
    now: NaiveDateTime,
    changed: Changed,
) -> Result<Rendered, Failure> {
    let mut all = render::entity_crate(model).map_err(Failure::other)?;
    for entity in &model.entities {
        all.extend(render::slice(model, entity).map_err(Failure::other)?);
    }
    all.extend(render::slice_tests(model).map_err(Failure::other)?);
    all.extend(migrations(model, files, now, changed)?);
    all.edits.extend(render::dependencies(model));
    for outputs in [
        render::app_shared(model),
        render::events(model),
        render::jobs(model, handlers),
        render::runtime(model),
        render::http_files(model),
    ] {
        all.outputs.extend(outputs.map_err(Failure::other)?);
    }
    Ok(all)
}

/// What migrations would have to do to the schema that the written ones make.
pub(super) fn pending(model: &Model, files: &dyn Files) -> Result<Vec<Change>, Failure> {
    render::pending(model, snapshot(model, files)?.as_deref()).map_err(Failure::other)
}

/// Migrations, dated after those that are there or that the command adds.
fn migrations(
    model: &Model,
    files: &dyn Files,
    now: NaiveDateTime,
    changed: Changed,
) -> Result<Rendered, Failure> {
    let snapshot = snapshot(model, files)?;
    let dir = model.config.migration_crate.file("src");
    let existing = files.list(&dir).map_err(Failure::other)?;
    render::migrations(model, snapshot.as_deref(), &existing, now, changed).map_err(Failure::other)
}

fn snapshot(model: &Model, files: &dyn Files) -> Result<Option<String>, Failure> {
    let snapshot = files
        .read(&render::snapshot_path(model))
        .map_err(Failure::other)?;
    let path = render::snapshot_path(model);
    let lock = files
        .read(Utf8Path::new(LOCK_FILE))
        .map_err(Failure::other)?;
    let recorded = lock.is_some_and(|it| it.contains(&format!("\"{path}\"")));
    if snapshot.is_none() && recorded {
        return Err(Failure::workspace(
            format!("{path} is gone: without it every table would get a second migration"),
            "take it back from version control",
        ));
    }
    let Some(text) = snapshot.as_deref().filter(|it| has_conflict_markers(it)) else {
        return Ok(snapshot);
    };
    let merged = schema::merged(text, &schema::tables(model)).map_err(Failure::other)?;
    Ok(Some(merged))
}
