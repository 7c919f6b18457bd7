//! Events of types that the program need not know.

use std::borrow::Cow;

use serde_json::Value;

use super::outbox::Draft;
use super::{AggregateId, EventRoute, NoAggregate, PublishError, PublishOptions};

/// An event as a forwarder hands it on: its type is a name, its payload is JSON.
///
/// ```
/// use runtime_sea::{EventRoute, PublishOptions, RawEvent};
/// use runtime_sea::EventId;
///
/// let event = RawEvent::new("invoice_paid", EventRoute::inbound("stripe"), serde_json::json!({"cents": 1200}))
///     .aggregate("invoice", "in_42")
///     .options(PublishOptions::new().id(EventId::from_source("stripe", "evt_1")));
/// # drop(event);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RawEvent {
    event_type: String,
    version: u32,
    route: EventRoute,
    aggregate_type: Option<String>,
    aggregate_id: AggregateId,
    payload: Value,
    options: PublishOptions,
}

impl RawEvent {
    /// An event of version 1 that belongs to no aggregate.
    pub fn new(event_type: impl Into<String>, route: EventRoute, payload: Value) -> Self {
        Self {
            event_type: event_type.into(),
            version: 1,
            route,
            aggregate_type: None,
            aggregate_id: NoAggregate.into(),
            payload,
            options: PublishOptions::new(),
        }
    }

    /// The aggregate that it belongs to; goes before the type that the route names.
    pub fn aggregate(
        mut self,
        aggregate_type: impl Into<String>,
        id: impl Into<AggregateId>,
    ) -> Self {
        self.aggregate_type = Some(aggregate_type.into());
        self.aggregate_id = id.into();
        self
    }

    /// The version of the payload's shape.
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// An id, a tenant and the like.
    pub fn options(mut self, options: PublishOptions) -> Self {
        self.options = options;
        self
    }

    pub(super) fn into_draft(self) -> Result<Draft, PublishError> {
        if self.event_type.is_empty() {
            return Err(PublishError::Name {
                event_type: self.event_type,
                reason: "its type is empty".to_owned(),
            });
        }
        Ok(Draft {
            event_type: Cow::Owned(self.event_type),
            version: self.version,
            route: self.route,
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id,
            payload: self.payload,
            options: self.options,
        })
    }
}
