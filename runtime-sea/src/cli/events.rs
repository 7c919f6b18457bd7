//! `events list`, `events show`, `events failed`.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::table::table;
use super::{CliError, brief, json, moment};
use crate::Runtime;
use crate::events::{EventDetails, EventFilter, EventId, EventRecord, EventStatus};

/// Events of the outbox.
#[derive(Debug, Clone, clap::Args)]
pub struct EventsCommand {
    #[command(subcommand)]
    action: Action,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// The newest events
    List {
        /// Only events of this status
        #[arg(long, value_parser = status_parser())]
        status: Option<EventStatus>,
        /// Only events of this type
        #[arg(long = "type", value_name = "EVENT")]
        event_type: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
    /// An event, its deliveries and the runs that it caused
    Show {
        /// The event
        id: EventId,
    },
    /// Events whose delivery was given up
    Failed {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
}

fn status_parser() -> impl TypedValueParser<Value = EventStatus> {
    PossibleValuesParser::new(
        [
            EventStatus::Pending,
            EventStatus::Processed,
            EventStatus::Failed,
        ]
        .map(EventStatus::as_str),
    )
    .try_map(|name| EventStatus::from_name(&name).ok_or("unknown status"))
}

impl EventsCommand {
    /// What to print.
    ///
    /// # Errors
    /// [`CliError::NotFound`] for an unknown id, and what the database refuses.
    pub async fn run(self, runtime: &Runtime) -> Result<String, CliError> {
        let events = runtime.events().all_tenants();
        let found = match self.action {
            Action::Show { id } => {
                let details = events.show(id).await?.ok_or_else(|| CliError::NotFound {
                    what: "event",
                    id: id.to_string(),
                })?;
                return if self.json {
                    json(&details)
                } else {
                    Ok(show(&details))
                };
            }
            Action::List {
                status,
                event_type,
                limit,
            } => {
                let mut filter = EventFilter::new().limit(limit);
                if let Some(status) = status {
                    filter = filter.status(status);
                }
                if let Some(event_type) = event_type {
                    filter = filter.event_type(event_type);
                }
                events.list(filter).await?
            }
            Action::Failed { limit } => events.failed(limit).await?,
        };
        if self.json {
            json(&found)
        } else {
            Ok(list(&found))
        }
    }
}

fn list(events: &[EventRecord]) -> String {
    if events.is_empty() {
        return "no events".to_owned();
    }
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            vec![
                event.id.to_string(),
                event.event_type.clone(),
                about(event),
                event.status.to_string(),
                moment(event.occurred_at),
                event.error.as_deref().map(brief).unwrap_or_default(),
            ]
        })
        .collect();
    table(
        &[
            "EVENT",
            "TYPE",
            "ABOUT",
            "STATUS",
            "OCCURRED (UTC)",
            "ERROR",
        ],
        &rows,
    )
}

fn about(event: &EventRecord) -> String {
    match (&event.aggregate_type, &event.aggregate_id) {
        (Some(kind), Some(id)) => format!("{kind} {id}"),
        (Some(kind), None) => kind.clone(),
        _ => String::new(),
    }
}

fn show(details: &EventDetails) -> String {
    let event = &details.event;
    let mut text = format!(
        "event {} `{}`: {}\n",
        event.id, event.event_type, event.status
    );
    let mut fact = |name: &str, value: String| text.push_str(&format!("  {name:<11}{value}\n"));
    fact("about", about(event));
    fact(
        "lane",
        event
            .pool
            .clone()
            .unwrap_or_else(|| "none: an audit event".to_owned()),
    );
    fact("payload", brief(&event.payload.to_string()));
    fact("occurred", moment(event.occurred_at));
    fact("stored", moment(event.created_at));
    if let Some(at) = event.dispatched_at {
        fact("dispatched", moment(at));
    }
    if let Some(at) = event.processed_at {
        fact("processed", moment(at));
    }
    if let Some(error) = &event.error {
        fact("error", brief(error));
    }
    if !details.bridge.is_empty() {
        let rows: Vec<_> = details
            .bridge
            .iter()
            .map(|it| {
                let outcome = it
                    .run_id
                    .map(|id| format!("run {id}"))
                    .or_else(|| it.reason.clone());
                vec![
                    it.trigger_id.clone(),
                    it.status.to_string(),
                    outcome.unwrap_or_default(),
                ]
            })
            .collect();
        text.push_str(&format!(
            "\n{}\n",
            table(&["TRIGGER", "STATUS", "OUTCOME"], &rows)
        ));
    }
    if !details.deliveries.is_empty() {
        let rows: Vec<_> = details
            .deliveries
            .iter()
            .map(|it| {
                vec![
                    it.consumer.clone(),
                    it.status.to_string(),
                    it.attempts.to_string(),
                    it.error.as_deref().map(brief).unwrap_or_default(),
                ]
            })
            .collect();
        text.push_str(&format!(
            "\n{}\n",
            table(&["DELIVERY", "STATUS", "ATTEMPTS", "ERROR"], &rows)
        ));
    }
    text.trim_end().to_owned()
}
