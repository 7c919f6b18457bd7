//! Events as rows.

use serde::Serialize;

use crate::model::{
    Backoff, Direction, Entity, Event, EventTier, Misfire, Model, Ordering, PayloadField,
    PayloadType, Schedule,
};
use crate::workspace::consumers::EventUses;

/// One line of `event list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// snake_case.
    pub r#type: String,
    /// `inbound`, `change`, `outbound`; `None` for audit events.
    pub direction: Option<&'static str>,
    /// `domain` or `audit`.
    pub tier: &'static str,
    /// The entity or other aggregate.
    pub aggregate: Option<String>,
    /// At least 1.
    pub version: u32,
    /// Number of payload fields.
    pub fields: usize,
    /// The definition, relative to the workspace root.
    pub source: String,
}

impl EventRow {
    /// The row of an event.
    pub fn new(event: &Event) -> Self {
        Self {
            r#type: event.name.snake.clone(),
            direction: event.direction.map(direction_name),
            tier: tier_name(event.tier),
            aggregate: event.aggregate.clone(),
            version: event.version,
            fields: event.payload.len(),
            source: event.source.to_string(),
        }
    }
}

/// `event show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventDetails {
    /// snake_case.
    pub r#type: String,
    /// `inbound`, `change`, `outbound`; `None` for audit events.
    pub direction: Option<&'static str>,
    /// `domain` or `audit`.
    pub tier: &'static str,
    /// The entity or other aggregate.
    pub aggregate: Option<String>,
    /// Logical origin of an inbound event.
    pub source_system: Option<String>,
    /// Logical target of an outbound event.
    pub destination: Option<String>,
    /// At least 1.
    pub version: u32,
    /// One line about it.
    pub description: Option<String>,
    /// `none` or `aggregate`.
    pub ordering: &'static str,
    /// Delivery attempts and backoff; `None` is the runtime's default.
    pub retry: Option<String>,
    /// When it is published by itself.
    pub schedule: Option<ScheduleRow>,
    /// In the order of the definition.
    pub payload: Vec<PayloadRow>,
    /// Entities whose `emits` name it.
    pub emitted_by: Vec<String>,
    /// How many subscriptions, triggers, starts and waits name it in the code; `event consumers` lists them.
    pub consumers: usize,
    /// The definition, relative to the workspace root.
    pub source: String,
}

/// When an event is published by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleRow {
    /// Cron expression.
    pub cron: String,
    /// Name in the time zone database.
    pub timezone: String,
    /// What becomes of missed slots: `skip`, `last` or `all`.
    pub misfire: &'static str,
}

/// One payload field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayloadRow {
    /// Also the JSON key.
    pub name: String,
    /// As in a definition, `array(string)`.
    pub r#type: String,
    /// May be null.
    pub nullable: bool,
}

impl EventDetails {
    /// Everything about an event.
    pub fn new(event: &Event, model: &Model, uses: &EventUses) -> Self {
        let emits = |it: &&Entity| it.emits.iter().any(|it| it.event == event.name.snake);
        Self {
            r#type: event.name.snake.clone(),
            direction: event.direction.map(direction_name),
            tier: tier_name(event.tier),
            aggregate: event.aggregate.clone(),
            source_system: event.source_system.clone(),
            destination: event.destination.clone(),
            version: event.version,
            description: event.description.clone(),
            ordering: match event.ordering {
                Ordering::None => "none",
                Ordering::Aggregate => "aggregate",
            },
            retry: event.retry.map(|it| {
                let backoff = match it.backoff {
                    Backoff::Fixed => "fixed",
                    Backoff::Exponential => "exponential",
                };
                format!("{} attempts, {backoff}", it.attempts)
            }),
            schedule: event.schedule.as_ref().map(ScheduleRow::new),
            payload: event.payload.iter().map(PayloadRow::new).collect(),
            emitted_by: model
                .entities
                .iter()
                .filter(emits)
                .map(|it| it.name.snake.clone())
                .collect(),
            consumers: uses.consumers(&event.name.snake).count(),
            source: event.source.to_string(),
        }
    }
}

impl ScheduleRow {
    fn new(schedule: &Schedule) -> Self {
        Self {
            cron: schedule.cron.clone(),
            timezone: schedule
                .timezone
                .clone()
                .unwrap_or_else(|| "UTC".to_owned()),
            misfire: match schedule.misfire {
                Misfire::Skip => "skip",
                Misfire::Last => "last",
                Misfire::All => "all",
            },
        }
    }
}

impl PayloadRow {
    fn new(field: &PayloadField) -> Self {
        let ty = match &field.ty {
            PayloadType::Array(items) => format!("array({})", payload_type_name(items)),
            other => payload_type_name(other).to_owned(),
        };
        Self {
            name: field.name.snake.clone(),
            r#type: ty,
            nullable: field.nullable,
        }
    }
}

/// The type's name in a definition.
pub fn payload_type_name(ty: &PayloadType) -> &'static str {
    match ty {
        PayloadType::Uuid => "uuid",
        PayloadType::String => "string",
        PayloadType::Number => "number",
        PayloadType::Integer => "integer",
        PayloadType::Decimal => "decimal",
        PayloadType::Boolean => "boolean",
        PayloadType::DateTime => "datetime",
        PayloadType::Day => "day",
        PayloadType::Json => "json",
        PayloadType::Array(_) => "array",
    }
}

/// The direction's name in a definition.
pub fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Change => "change",
        Direction::Outbound => "outbound",
    }
}

/// The tier's name in a definition.
pub fn tier_name(tier: EventTier) -> &'static str {
    match tier {
        EventTier::Domain => "domain",
        EventTier::Audit => "audit",
    }
}
