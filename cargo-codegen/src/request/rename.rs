//! `entity rename`.

use camino::Utf8PathBuf;

use super::remove::starts;
use super::{Addition, known_entity};
use crate::changeset::{Edit, Output, OutputKind, same_text};
use crate::definition::{Renaming, Sources, renamed};
use crate::failure::Failure;
use crate::generate::{self, Site};
use crate::model::{self, Entity, Model};
use crate::words::name_word;
use crate::workspace::{Files as _, Overlay};

/// The definition and what others say of the entity get the new name, and the table with it, by a rename. The entity's own
/// files move along: what was made of them stays in them.
///
/// # Errors
/// If there is no such entity, or the new name is wrong or taken.
pub fn entity_rename(site: &Site, from: &str, to: &str) -> Result<Addition, Failure> {
    name_word("an entity", to, &[])?;
    let files = site.files();
    let model = generate::load(&files)?.model;
    let entity = known_entity(&model, from)?;
    if let Some(taken) = model.entity(to) {
        return Err(Failure::workspace(
            format!("there is an entity `{to}` already, in {}", taken.source),
            "choose another name, or take that one out first",
        ));
    }
    let renaming = renaming(entity, to);
    let mut addition = Addition::default();
    for (path, text) in definitions(site, &model)? {
        let source = Sources::default().add(path.clone(), text.as_str());
        // What is no YAML was an error of the model.
        let Ok(Some(text)) = renamed(source, &text, &renaming) else {
            continue;
        };
        let own_name = path.file_stem() == Some(from);
        if path == entity.source && own_name {
            let extension = path.extension().unwrap_or("yaml");
            let moved = path.with_file_name(format!("{to}.{extension}"));
            addition.outputs.push(owned(moved, text));
            addition.removed.push(path);
        } else {
            addition.edits.push(Edit::Rewrite { file: path, text });
        }
    }
    move_own_files(site, &model, entity, to, &mut addition)?;
    addition.notes.push(format!(
        "code of yours that says `{}` or `{}` still does; the compiler and your tests find it",
        entity.name.pascal, entity.plural.snake
    ));
    Ok(addition)
}

fn renaming(entity: &Entity, to: &str) -> Renaming {
    let plural = model::plural(to);
    // A table that the definition names keeps its name.
    let follows = entity.table == entity.plural.snake;
    Renaming {
        from: entity.name.snake.clone(),
        to: to.to_owned(),
        table_from: entity.table.clone(),
        table_to: if follows {
            plural.clone()
        } else {
            entity.table.clone()
        },
        plural,
    }
}

fn definitions(site: &Site, model: &Model) -> Result<Vec<(Utf8PathBuf, String)>, Failure> {
    let files = site.files();
    let config = &model.config;
    let mut found = Vec::new();
    for dir in [&config.entities_dir, &config.events_dir] {
        for path in files.list(dir).map_err(Failure::other)? {
            if matches!(path.extension(), Some("yaml" | "yml"))
                && let Some(text) = files.read(&path).map_err(Failure::other)?
            {
                found.push((path, text));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn owned(path: Utf8PathBuf, content: String) -> Output {
    Output {
        path,
        kind: OutputKind::Owned,
        content,
    }
}

/// Files of other entities that were written as a start, not touched since, and would be written differently now: their
/// tests ask the routes of the renamed one.
fn refresh_others(
    site: &Site,
    before: &Model,
    after: &Model,
    addition: &mut Addition,
) -> Result<(), Failure> {
    for entity in &before.entities {
        let Some(now) = after.entity(&entity.name.snake) else {
            continue;
        };
        let starts_now = starts(site, after, now)?;
        for ((path, start), (path_now, start_now)) in
            starts(site, before, entity)?.into_iter().zip(starts_now)
        {
            let text = site.files().read(&path).map_err(Failure::other)?;
            let untouched = text.is_some_and(|it| same_text(&it, &start));
            if untouched && path == path_now && start != start_now {
                addition.edits.push(Edit::Rewrite {
                    file: path,
                    text: start_now,
                });
            }
        }
    }
    Ok(())
}

/// Those that were not touched are written anew; the others keep what is in them.
fn move_own_files(
    site: &Site,
    model: &Model,
    entity: &Entity,
    to: &str,
    addition: &mut Addition,
) -> Result<(), Failure> {
    let files = site.files();
    let mut renamed = Overlay::new(&files);
    for output in &addition.outputs {
        renamed.insert(output.path.clone(), output.content.clone());
    }
    for path in &addition.removed {
        renamed.remove(path.clone());
    }
    for edit in &addition.edits {
        if let Edit::Rewrite { file, text } = edit {
            renamed.insert(file.clone(), text.clone());
        }
    }
    let after = generate::load(&renamed)?.model;
    refresh_others(site, model, &after, addition)?;
    let starts_after = starts(site, &after, known_entity(&after, to)?)?;
    for ((path, start), (path_after, _)) in
        starts(site, model, entity)?.into_iter().zip(starts_after)
    {
        let Some(text) = files.read(&path).map_err(Failure::other)? else {
            continue;
        };
        if path == path_after {
            continue;
        }
        if !same_text(&text, &start) {
            addition.notes.push(format!(
                "{path} is {path_after} now, with what you have made of it: its names are still the old ones"
            ));
            addition.outputs.push(owned(path_after, text));
        }
        addition.removed.push(path);
    }
    Ok(())
}
