//! The event trait and the envelope in which handlers get events.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{AggregateId, EventId, EventRoute};

/// An immutable fact that can be published.
///
/// ```
/// use runtime_sea::{Event, EventRoute};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct ContactCreated {
///     contact_id: uuid::Uuid,
/// }
///
/// impl Event for ContactCreated {
///     const TYPE: &'static str = "contact_created";
///     const ROUTE: EventRoute = EventRoute::change("contact");
/// }
/// ```
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stable name, unique in the system.
    const TYPE: &'static str;
    /// The version of the payload's shape.
    const VERSION: u32 = 1;
    /// Where events of this type go.
    const ROUTE: EventRoute;
}

/// An event as it reaches a subscription or a trigger.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EventEnvelope<E> {
    /// The id; the same on every delivery of the same event.
    pub id: EventId,
    /// The event itself.
    pub payload: E,
    /// The type of the aggregate that it belongs to.
    pub aggregate_type: Option<String>,
    /// The id of that aggregate.
    pub aggregate_id: Option<String>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// The version of the payload's shape when it was published.
    pub version: u32,
    /// The tenant that it belongs to.
    pub tenant_id: Option<String>,
    /// The trace that it was published in, as W3C `traceparent`.
    pub traceparent: Option<String>,
    /// What the publisher added beside the payload; an object.
    pub metadata: Value,
    /// The number of this delivery, counting from 1.
    pub attempt: u32,
}

impl<E: Event> EventEnvelope<E> {
    /// An envelope as a fresh publish of `payload` would give; for tests of handlers and triggers.
    #[must_use]
    pub fn new(aggregate_id: impl Into<AggregateId>, payload: E) -> Self {
        Self {
            id: EventId::generate(),
            payload,
            aggregate_type: E::ROUTE.aggregate_type().map(str::to_owned),
            aggregate_id: aggregate_id.into().into_inner(),
            occurred_at: Utc::now(),
            version: E::VERSION,
            tenant_id: None,
            traceparent: None,
            metadata: Value::Object(serde_json::Map::new()),
            attempt: 1,
        }
    }
}
