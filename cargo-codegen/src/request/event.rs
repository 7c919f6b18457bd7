//! `event new`.

use super::Addition;
use super::lookup::known_entity;
use crate::changeset::{Output, OutputKind};
use crate::failure::Failure;
use crate::generate::{self, Site};
use crate::model::{Direction, Event, EventTier, Model, PayloadType, Subsystem};
use crate::survey::{Step, direction_name, payload_type_name, tier_name};
use crate::words::{EventWords, PayloadWord, event_yaml, name_word, payload_words};
use crate::workspace::Files as _;

/// The arguments of `event new`.
#[derive(Debug, Clone)]
pub struct EventArguments {
    /// snake_case.
    pub event_type: String,
    /// Field words.
    pub words: Vec<String>,
    /// Its lane.
    pub direction: Option<Direction>,
    /// Domain unless given.
    pub tier: Option<EventTier>,
    /// The entity or other aggregate.
    pub aggregate: Option<String>,
    /// Where an inbound event comes from.
    pub source: Option<String>,
    /// Where an outbound event goes.
    pub destination: Option<String>,
}

/// What `event new <type> [words]` adds: a definition, or nothing where there is one already.
///
/// # Errors
/// If the arguments do not fit together, or say something else than the definition does.
pub fn event_new(site: &Site, arguments: EventArguments) -> Result<Addition, Failure> {
    name_word("an event", &arguments.event_type, &[])?;
    let payload = payload_words(&arguments.words)?;
    let files = site.files();
    let model = generate::load(&files)?.model;
    if !model.config.has(Subsystem::Events) {
        return Err(Failure::workspace(
            "the events subsystem is not installed",
            "cargo codegen subsystem install events",
        ));
    }
    let name = &arguments.event_type;
    if let Some(event) = model.event(name) {
        return same_as(event, &arguments, &payload);
    }
    let tier = arguments.tier.unwrap_or(EventTier::Domain);
    check_route(&arguments, tier)?;
    if arguments.direction == Some(Direction::Change)
        && let Some(aggregate) = &arguments.aggregate
    {
        known_entity(&model, aggregate)?;
    }
    let next = emits_step(&model, &arguments);
    let path = model.config.events_dir.join(format!("{name}.yaml"));
    if files.read(&path).map_err(Failure::other)?.is_some() {
        return Err(Failure::workspace(
            format!("{path} is there, but describes another event"),
            "rename the file, or the event in it",
        ));
    }
    let content = event_yaml(&EventWords {
        event_type: arguments.event_type,
        tier,
        direction: arguments.direction,
        aggregate: arguments.aggregate,
        source: arguments.source,
        destination: arguments.destination,
        payload,
    });
    Ok(Addition {
        outputs: vec![Output {
            path,
            kind: OutputKind::Owned,
            content,
        }],
        next: next.into_iter().collect(),
        ..Addition::default()
    })
}

/// A use case publishes what its entity lists.
fn emits_step(model: &Model, arguments: &EventArguments) -> Option<Step> {
    let name = arguments.event_type.as_str();
    let entity = model.entity(arguments.aggregate.as_deref()?)?;
    let change = match name.strip_prefix(entity.name.snake.as_str())? {
        "_created" => "creation",
        "_updated" => "update",
        "_deleted" => "deletion",
        _ => return None,
    };
    let listed = entity.emits.iter().any(|it| it.event == name);
    if !entity.writes || listed || arguments.direction != Some(Direction::Change) {
        return None;
    }
    let emits = entity.emits.iter().map(|it| it.event.as_str());
    let emits: Vec<&str> = emits.chain([name]).collect();
    Some(Step::new(
        format!(
            "write `emits: [{}]` into {} and run `cargo codegen entity new --all`",
            emits.join(", "),
            entity.source
        ),
        format!("publishes it with every {change}"),
    ))
}

fn check_route(arguments: &EventArguments, tier: EventTier) -> Result<(), Failure> {
    match (tier, arguments.direction) {
        (EventTier::Audit, Some(_)) => {
            return Err(Failure::usage(
                "an audit event has no direction",
                "leave `--direction` out, or `--tier audit`",
            ));
        }
        (EventTier::Domain, None) => {
            return Err(Failure::usage(
                "a new event needs a direction",
                "--direction change for a change of our own data, inbound for what comes from outside, \
                 outbound for what goes there, or --tier audit for what is only observed",
            ));
        }
        _ => {}
    }
    let direction = arguments.direction;
    if direction == Some(Direction::Change) && arguments.aggregate.is_none() {
        return Err(Failure::usage(
            "a change event needs the entity that changed",
            "--aggregate <entity>",
        ));
    }
    if arguments.source.is_some() && direction != Some(Direction::Inbound) {
        return Err(Failure::usage(
            "only an inbound event has a source",
            "leave `--source` out, or give `--direction inbound`",
        ));
    }
    if arguments.destination.is_some() && direction != Some(Direction::Outbound) {
        return Err(Failure::usage(
            "only an outbound event has a destination",
            "leave `--destination` out, or give `--direction outbound`",
        ));
    }
    Ok(())
}

/// Nothing, if the definition has all that the arguments say.
fn same_as(
    event: &Event,
    arguments: &EventArguments,
    payload: &[PayloadWord],
) -> Result<Addition, Failure> {
    let direction = event.direction.map_or("none", direction_name);
    let mut differences = Vec::new();
    if arguments.direction.is_some() && arguments.direction != event.direction {
        differences.push(format!("its direction is {direction}"));
    }
    if arguments.tier.is_some_and(|it| it != event.tier) {
        differences.push(format!("its tier is {}", tier_name(event.tier)));
    }
    for (what, asked, found) in [
        ("aggregate", &arguments.aggregate, &event.aggregate),
        ("source", &arguments.source, &event.source_system),
        ("destination", &arguments.destination, &event.destination),
    ] {
        if asked.is_some() && asked != found {
            differences.push(match found {
                Some(found) => format!("its {what} is {found}"),
                None => format!("it has no {what}"),
            });
        }
    }
    differences.extend(payload.iter().filter_map(|it| field_difference(event, it)));
    if differences.is_empty() {
        return Ok(Addition::default());
    }
    Err(Failure::workspace(
        format!(
            "{} describes `{}` differently: {}",
            event.source,
            event.name.snake,
            differences.join("; ")
        ),
        format!(
            "edit {}, then run `cargo codegen event new {}`",
            event.source, event.name.snake
        ),
    ))
}

fn field_difference(event: &Event, word: &PayloadWord) -> Option<String> {
    let name = &word.name;
    let found = event.payload.iter().find(|it| it.name.snake == *name);
    let Some(field) = found else {
        return Some(format!("the payload has no `{name}`"));
    };
    if field.ty != word.ty {
        let ty = match &field.ty {
            PayloadType::Array(items) => format!("array of {}", payload_type_name(items)),
            other => payload_type_name(other).to_owned(),
        };
        return Some(format!("`{name}` is {ty}"));
    }
    (field.nullable != word.nullable).then(|| {
        let not = if field.nullable { "" } else { " not" };
        format!("`{name}` is{not} nullable")
    })
}
