//! Stored events as queries and the registry see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Direction, Event, EventEnvelope, EventId, Tier};

/// How far the delivery of an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Not delivered to everyone yet.
    Pending,
    /// Delivered to everyone.
    Processed,
    /// At least one delivery was given up; others may still wait.
    Failed,
}

impl EventStatus {
    /// The name as it stands in `domain_events.status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Processed, Self::Failed]
            .into_iter()
            .find(|it| it.as_str() == name)
    }
}

impl std::fmt::Display for EventStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored event whose payload is still plain JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventRecord {
    /// The id.
    pub id: EventId,
    /// The position in the outbox; events of one aggregate are delivered in this order.
    pub seq: i64,
    /// The type's stable name.
    pub event_type: String,
    /// The type of the aggregate.
    pub aggregate_type: Option<String>,
    /// The id of the aggregate.
    pub aggregate_id: Option<String>,
    /// The payload.
    pub payload: Value,
    /// What the publisher added beside the payload.
    pub metadata: Value,
    /// The direction; none for an audit event.
    pub direction: Option<Direction>,
    /// The pool's name; none for an audit event.
    pub pool: Option<String>,
    /// The tier.
    pub tier: Tier,
    /// The version of the payload's shape.
    pub version: u32,
    /// The tenant.
    pub tenant_id: Option<String>,
    /// The trace that it was published in, as W3C `traceparent`.
    pub traceparent: Option<String>,
    /// What a run that waits for the event knows it by.
    pub wait_key: Option<String>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// How far its delivery has come.
    pub status: EventStatus,
    /// How often it was taken up for dispatch.
    pub attempts: u32,
    /// How often a drainer died while it held the event.
    pub recoveries: u32,
    /// When it was handed to the subscriptions; some of them may still have to be retried.
    pub dispatched_at: Option<DateTime<Utc>>,
    /// When its delivery ended, well or not.
    pub processed_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<String>,
    /// The worker that has it in hand.
    pub claimed_by: Option<Uuid>,
}

/// A stored payload does not fit its type any more.
#[derive(Debug, thiserror::Error)]
#[error("the payload of `{event_type}` (event {id}) does not fit its type: {path}: {source}")]
pub struct DecodeError {
    /// The event's type.
    pub event_type: String,
    /// The event.
    pub id: EventId,
    /// The field that does not fit, such as `lines[2].price`.
    pub path: String,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

impl EventRecord {
    /// The event as its type.
    ///
    /// # Errors
    ///
    /// Where the stored payload does not fit `E`; the error names the field.
    pub fn decode<E: Event>(&self, attempt: u32) -> Result<EventEnvelope<E>, DecodeError> {
        let payload = serde_path_to_error::deserialize(&self.payload).map_err(|error| {
            let path = error.path().to_string();
            DecodeError {
                event_type: self.event_type.clone(),
                id: self.id,
                path: if path == "." {
                    "payload".to_owned()
                } else {
                    path
                },
                source: error.into_inner(),
            }
        })?;
        Ok(EventEnvelope {
            id: self.id,
            payload,
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
            occurred_at: self.occurred_at,
            version: self.version,
            tenant_id: self.tenant_id.clone(),
            traceparent: self.traceparent.clone(),
            metadata: self.metadata.clone(),
            attempt,
        })
    }
}
