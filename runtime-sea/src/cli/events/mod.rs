//! The `events` subcommands.

mod render;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use serde::Serialize;

use super::{CliError, json};
use crate::Runtime;
use crate::events::{ConsumerKind, EventFilter, EventId, EventPool, EventStatus};

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
        /// Only events of this tenant
        #[arg(long)]
        tenant: Option<String>,
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
    /// Try again what failed of an event, and nothing else of it
    Redeliver {
        /// The event
        id: EventId,
    },
    /// Deliver events that are over to all their subscriptions again; what has started a run starts no other
    Replay {
        /// The event
        #[arg(required_unless_present_any = ["status", "event_type"])]
        id: Option<EventId>,
        /// Every event of this status
        #[arg(long, value_parser = status_parser(), conflicts_with = "id")]
        status: Option<EventStatus>,
        /// Every event of this type
        #[arg(long = "type", value_name = "EVENT", conflicts_with = "id")]
        event_type: Option<String>,
        /// The newest ones, at most so many
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
    /// Who gets events, and what waits for them
    Subscriptions,
    /// Take a subscription out of the registry, and skip what waits for it
    Retire {
        /// The subscription's name, or the trigger's id
        name: String,
        /// It is a trigger
        #[arg(long)]
        trigger: bool,
    },
    /// The lanes, and the types of events that nobody gets
    Lanes,
    /// Deliver no events of a lane until it is resumed
    Pause {
        /// The lane
        #[arg(value_parser = lane_parser())]
        lane: String,
    },
    /// Deliver the events of a lane again
    Resume {
        /// The lane
        #[arg(value_parser = lane_parser())]
        lane: String,
    },
}

fn lane_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(
        EventPool::ALL
            .map(EventPool::as_str)
            .into_iter()
            .chain([EventPool::AUDIT_LANE]),
    )
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
    /// [`CliError::NotFound`] for what is not there, [`CliError::Refused`] for what cannot be done, and what the
    /// database refuses.
    pub async fn run(self, runtime: &Runtime) -> Result<String, CliError> {
        let (events, as_json) = (runtime.events().all_tenants(), self.json);
        match self.action {
            Action::Show { id } => {
                let details = events.show(id).await?.ok_or_else(|| not_found(id))?;
                print(as_json, &details, render::show)
            }
            Action::List {
                status,
                event_type,
                tenant,
                limit,
            } => {
                let filter = filter(status, event_type, tenant, limit);
                print(as_json, &events.list(filter).await?, |it| render::list(it))
            }
            Action::Failed { limit } => {
                print(as_json, &events.failed(limit).await?, |it| render::list(it))
            }
            Action::Redeliver { id } => {
                let event = events.show(id).await?.ok_or_else(|| not_found(id))?.event;
                if !events.redeliver(id).await? {
                    let status = event.status;
                    return Err(CliError::Refused(format!(
                        "nothing of event {id} failed: {status}"
                    )));
                }
                said(
                    as_json,
                    1,
                    format!("what failed of event {id} is tried again"),
                )
            }
            Action::Replay { id: Some(id), .. } => {
                let event = events.show(id).await?.ok_or_else(|| not_found(id))?.event;
                if !events.replay(id).await? {
                    let status = event.status;
                    return Err(CliError::Refused(format!(
                        "event {id} is still being delivered: {status}"
                    )));
                }
                said(as_json, 1, format!("event {id} is delivered again"))
            }
            Action::Replay {
                status,
                event_type,
                limit,
                ..
            } => {
                let filter = filter(status, event_type, None, limit);
                let replayed = events.replay_all(filter).await?;
                said(
                    as_json,
                    replayed,
                    format!("{replayed} events are delivered again"),
                )
            }
            Action::Subscriptions => print(as_json, &events.subscriptions().await?, |it| {
                render::subscriptions(it)
            }),
            Action::Retire { name, trigger } => {
                let kind = if trigger {
                    ConsumerKind::Trigger
                } else {
                    ConsumerKind::Subscription
                };
                let Some(skipped) = events.retire(kind, &name).await? else {
                    return Err(CliError::NotFound {
                        what: kind.as_str(),
                        id: name,
                    });
                };
                said(
                    as_json,
                    skipped,
                    format!(
                        "the {} {name} is retired; {skipped} deliveries were skipped",
                        kind.as_str()
                    ),
                )
            }
            Action::Lanes => {
                let (lanes, parked) = (events.lanes().await?, events.parked().await?);
                if as_json {
                    return json(&serde_json::json!({ "lanes": lanes, "parked": parked }));
                }
                Ok(render::lanes(&lanes, &parked))
            }
            Action::Pause { lane } => {
                runtime.jobs().pause_pool(&lane).await?;
                said(as_json, 1, format!("the lane {lane} is paused"))
            }
            Action::Resume { lane } => {
                runtime.jobs().resume_pool(&lane).await?;
                said(as_json, 1, format!("the lane {lane} is open"))
            }
        }
    }
}

fn print<T: Serialize>(
    as_json: bool,
    value: &T,
    render: impl FnOnce(&T) -> String,
) -> Result<String, CliError> {
    if as_json {
        json(value)
    } else {
        Ok(render(value))
    }
}

fn said(as_json: bool, count: u64, text: String) -> Result<String, CliError> {
    if as_json {
        json(&serde_json::json!({ "count": count, "result": text }))
    } else {
        Ok(text)
    }
}

fn not_found(id: EventId) -> CliError {
    CliError::NotFound {
        what: "event",
        id: id.to_string(),
    }
}

fn filter(
    status: Option<EventStatus>,
    event_type: Option<String>,
    tenant: Option<String>,
    limit: u64,
) -> EventFilter {
    let mut filter = EventFilter::new().limit(limit);
    if let Some(status) = status {
        filter = filter.status(status);
    }
    if let Some(event_type) = event_type {
        filter = filter.event_type(event_type);
    }
    if let Some(tenant) = tenant {
        filter = filter.tenant(tenant);
    }
    filter
}
