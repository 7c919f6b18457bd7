//! `app/src/events/generated`: one struct per event type, and all of them together.

use askama::Template;

use super::imports::Imports;
use super::payload::{StructField, struct_fields};
use super::{Result, emission, text};
use crate::changeset::{Output, OutputKind};
use crate::model::{Backoff, Direction, Event, EventTier, Misfire, Model, Ordering, Subsystem};

#[derive(Template)]
#[template(path = "app/src/events/generated/event.rs.jinja")]
struct EventView<'a> {
    source: &'a str,
    imports: String,
    docs: String,
    event: &'a Event,
    fields: Vec<StructField>,
    event_trait: String,
    route_type: String,
    route: String,
    conversions: Vec<emission::Conversion>,
}

#[derive(Template)]
#[template(path = "app/src/events/generated/mod.rs.jinja")]
struct EventsView<'a> {
    source: String,
    events: &'a [Event],
    imports: String,
    /// The calls that make the registry.
    entries: Vec<String>,
}

/// The typed events, if the subsystem is installed.
///
/// # Errors
/// If a template fails.
pub fn events(model: &Model) -> Result<Vec<Output>> {
    let config = &model.config;
    if !config.has(Subsystem::Events) {
        return Ok(Vec::new());
    }
    let dir = config.app_crate.file("src/events/generated");
    let source = format!("{}/", config.events_dir);
    let list = EventsView {
        source: source.clone(),
        events: &model.events,
        imports: registry_imports(&model.events),
        entries: model.events.iter().map(registry_entry).collect(),
    };
    let mut outputs = vec![Output {
        path: dir.join("mod.rs"),
        kind: OutputKind::Generated { source },
        content: list.render()?,
    }];
    for event in &model.events {
        outputs.push(Output {
            path: dir.join(format!("{}.rs", module_file(event))),
            kind: OutputKind::Generated {
                source: event.source.to_string(),
            },
            content: view(model, event).render()?,
        });
    }
    Ok(outputs)
}

fn registry_imports(events: &[Event]) -> String {
    let mut names = vec!["DecodeError", "Event", "EventRecord", "EventRegistry"];
    let schedules: Vec<_> = events
        .iter()
        .filter_map(|it| it.schedule.as_ref())
        .collect();
    if schedules.iter().any(|it| it.misfire != Misfire::Last) {
        names.push("Misfire");
    }
    if !schedules.is_empty() {
        names.push("Schedule");
    }
    names.join(", ")
}

/// The call that registers an event, with its schedule if it has one.
fn registry_entry(event: &Event) -> String {
    let name = &event.name.pascal;
    let Some(schedule) = &event.schedule else {
        return format!(".register::<{name}>()");
    };
    let mut expression = format!("Schedule::cron({:?})", schedule.cron);
    if let Some(timezone) = &schedule.timezone {
        expression += &format!(".timezone({timezone:?})");
    }
    expression += match schedule.misfire {
        Misfire::Skip => ".misfire(Misfire::Skip)",
        // The runtime's own choice.
        Misfire::Last => "",
        Misfire::All => ".misfire(Misfire::All)",
    };
    // A schedule has no values to give: only fields that may be null are let through.
    let fields: Vec<_> = event
        .payload
        .iter()
        .map(|field| format!("{}: None", field.name.ident))
        .collect();
    format!(
        ".schedule({expression}, |_slot| {name} {{ {} }})",
        fields.join(", ")
    )
}

/// A module `r#type` lies in `type.rs`.
fn module_file(event: &Event) -> &str {
    event.name.ident.trim_start_matches("r#")
}

fn view<'a>(model: &Model, event: &'a Event) -> EventView<'a> {
    let mut imports = Imports::beside([event.name.pascal.clone()]);
    imports.name("serde::Serialize");
    imports.name("serde::Deserialize");
    let fields = struct_fields(&event.payload, &mut imports);
    let route = route(event, &mut imports);
    let conversions = emission::conversions(model, event);
    if conversions.iter().any(|it| it.scales) {
        imports.name("crate::generated::number");
    }
    let default_docs = format!("The event `{}`.", event.name.snake);
    EventView {
        source: event.source.as_str(),
        docs: text::doc_lines(
            Some(event.description.as_deref().unwrap_or(&default_docs)),
            "",
        ),
        event,
        fields,
        event_trait: imports.name("runtime_sea::Event"),
        route_type: imports.name("runtime_sea::EventRoute"),
        route,
        conversions,
        imports: imports.lines(),
    }
}

/// The constant expression that builds the event's route.
fn route(event: &Event, imports: &mut Imports) -> String {
    let aggregate = event.aggregate.as_deref();
    let mut route = match (event.tier, event.direction) {
        (EventTier::Domain, Some(Direction::Change)) => {
            format!("change({:?})", aggregate.unwrap_or_default())
        }
        (EventTier::Domain, Some(Direction::Inbound)) => {
            format!(
                "inbound({:?})",
                event.source_system.as_deref().unwrap_or("external")
            )
        }
        (EventTier::Domain, Some(Direction::Outbound)) => {
            format!(
                "outbound({:?})",
                event.destination.as_deref().unwrap_or("external")
            )
        }
        (EventTier::Audit, _) | (EventTier::Domain, None) => "audit()".to_owned(),
    };
    if let Some(aggregate) = aggregate
        && event.direction != Some(Direction::Change)
    {
        route += &format!(".aggregate({aggregate:?})");
    }
    if aggregate.is_some() && event.ordering == Ordering::None {
        route += ".unordered()";
    }
    if let Some(retry) = event.retry {
        let retry_type = imports.name("runtime_sea::EventRetry");
        let backoff = match retry.backoff {
            Backoff::Fixed => "fixed",
            Backoff::Exponential => "exponential",
        };
        route += &format!(".retry({retry_type}::{backoff}({}))", retry.attempts);
    }
    route
}
