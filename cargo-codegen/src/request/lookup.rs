//! Names on the command line, looked up in the model.

use crate::failure::Failure;
use crate::model::{Entity, Event, Model};
use crate::words::nearest;

/// The entity of this name.
///
/// # Errors
/// If there is none; names the nearest.
pub fn known_entity<'a>(model: &'a Model, name: &str) -> Result<&'a Entity, Failure> {
    let names = model.entities.iter().map(|it| it.name.snake.as_str());
    model
        .entity(name)
        .ok_or_else(|| unknown("entity", name, names, "cargo codegen entity list"))
}

/// The event of this type.
///
/// # Errors
/// If there is none; names the nearest.
pub fn known_event<'a>(model: &'a Model, event_type: &str) -> Result<&'a Event, Failure> {
    let names = model.events.iter().map(|it| it.name.snake.as_str());
    model
        .event(event_type)
        .ok_or_else(|| unknown("event", event_type, names, "cargo codegen event list"))
}

/// An event of the definitions, or one that the code implements by hand.
///
/// # Errors
/// If there is none; names the nearest.
pub fn known_event_type(
    model: &Model,
    implemented: &[String],
    event_type: &str,
) -> Result<(), Failure> {
    if implemented.iter().any(|it| it == event_type) || model.event(event_type).is_some() {
        return Ok(());
    }
    let defined = model.events.iter().map(|it| it.name.snake.as_str());
    let names = defined.chain(implemented.iter().map(String::as_str));
    Err(unknown(
        "event",
        event_type,
        names,
        "cargo codegen event list",
    ))
}

fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    list: &str,
) -> Failure {
    let message = format!("there is no {what} `{name}`");
    match nearest(name, known) {
        Some(meant) => Failure::workspace(
            message,
            format!("did you mean `{meant}`? `{list}` shows all"),
        ),
        None => Failure::workspace(message, format!("`{list}` shows all")),
    }
}
