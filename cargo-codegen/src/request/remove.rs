//! `entity remove` and `event remove`.

use camino::Utf8PathBuf;

use super::{Addition, known_entity, known_event};
use crate::changeset::{Formatter as _, Output, OutputKind, Unformatted, same_text};
use crate::failure::Failure;
use crate::generate::{self, Site};
use crate::model::{Entity, Model};
use crate::render;
use crate::survey::{Consumers, Step};
use crate::workspace::Files as _;

/// The definition goes, and with it all that is generated from it; so do the files that were written as a start, where
/// nothing was made of them. What else speaks of the entity is an error of the plan.
///
/// # Errors
/// If there is no such entity.
pub fn entity_remove(site: &Site, name: &str) -> Result<Addition, Failure> {
    let files = site.files();
    let model = generate::load(&files)?.model;
    let entity = known_entity(&model, name)?;
    let mut removed = vec![entity.source.clone()];
    let mut kept = Vec::new();
    for (path, start) in starts(site, &model, entity)? {
        match files.read(&path).map_err(Failure::other)? {
            Some(text) if same_text(&text, &start) => removed.push(path),
            Some(_) => kept.push(path),
            None => {}
        }
    }
    let module_goes = removed.iter().any(|it| it.file_name() == Some("mod.rs"));
    // With the module, the run itself names what is left.
    let notes = kept.iter().filter(|_| module_goes).map(|path| {
        format!("{path} is kept, for it was edited, and tests what is gone: delete it once you need nothing in there")
    });
    Ok(Addition {
        notes: notes.collect(),
        next: vec![Step::new(
            "cargo codegen migrate --write --allow-destructive",
            format!("drops the table `{}` with its rows", entity.table),
        )],
        removed,
        ..Addition::default()
    })
}

/// What an entity's own files are when they are written first.
pub(super) fn starts(
    site: &Site,
    model: &Model,
    entity: &Entity,
) -> Result<Vec<(Utf8PathBuf, String)>, Failure> {
    let mut outputs = render::slice(model, entity)
        .map_err(Failure::other)?
        .outputs;
    outputs.extend(render::slice_test(model, entity).map_err(Failure::other)?);
    let owned = |it: &Output| it.kind == OutputKind::Owned;
    let owned: Vec<Unformatted> = outputs
        .into_iter()
        .filter(owned)
        .map(|it| Unformatted {
            path: it.path,
            text: it.content,
        })
        .collect();
    let texts = site.formatter().format(&owned).map_err(Failure::other)?;
    Ok(owned.into_iter().map(|it| it.path).zip(texts).collect())
}

/// The definition goes, and with it all that is generated from it. What else speaks of the event in definitions is an
/// error of the plan.
///
/// # Errors
/// If there is no such event, it stands in an entity's definition, or the code uses it.
pub fn event_remove(site: &Site, event_type: &str) -> Result<Addition, Failure> {
    let model = generate::load(&site.files())?.model;
    let event = known_event(&model, event_type)?;
    if let Some(entity) = model.entities.iter().find(|it| it.source == event.source) {
        return Err(Failure::workspace(
            format!(
                "`{event_type}` is described in {}, with `{}`",
                event.source, entity.name.snake
            ),
            "take it out of `events` there, then: cargo codegen entity new --all",
        ));
    }
    let uses = Consumers::new(event_type, &generate::event_uses(site, &model)?);
    let of_it = uses.consumers.iter().filter(|it| !it.every_event);
    let places = of_it.map(|it| &it.place).chain(&uses.publishers);
    // What is generated follows from definitions, which the plan asks.
    let by_hand = places.filter(|it| !it.file.contains("/generated/"));
    let places: Vec<String> = by_hand.map(ToString::to_string).collect();
    if !places.is_empty() {
        return Err(Failure::workspace(
            format!("`{event_type}` is used in {}", places.join(", ")),
            format!("take that out first; `cargo codegen event consumers {event_type}` shows it"),
        ));
    }
    Ok(Addition {
        removed: vec![event.source.clone()],
        ..Addition::default()
    })
}
