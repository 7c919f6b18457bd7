//! What a publish may say beyond the event.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::EventId;
use crate::tenancy::TenantChoice;

/// What a publish may say beyond the event itself.
#[derive(Debug, Clone, Default)]
pub struct PublishOptions {
    pub(super) id: Option<EventId>,
    pub(super) tenant: TenantChoice,
    pub(super) wait_key: Option<String>,
    pub(super) occurred_at: Option<DateTime<Utc>>,
    pub(super) metadata: Map<String, Value>,
    pub(super) traceparent: Option<String>,
}

impl PublishOptions {
    /// No options: a new id, no tenant, now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The event's id; publishing the same id again is a [`Published::Duplicate`](super::Published::Duplicate).
    #[must_use]
    pub const fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// The tenant that the event belongs to; `None` and a blank name none.
    #[must_use]
    pub fn tenant(mut self, tenant: Option<impl Into<String>>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Says that the event belongs to no tenant, where multi-tenancy is on and it has to be said.
    #[must_use]
    pub fn no_tenant(mut self) -> Self {
        self.tenant = TenantChoice::Nobody;
        self
    }

    /// What a run that waits for the event knows it by; the aggregate's id unless set.
    #[must_use]
    pub fn wait_key(mut self, key: impl Into<String>) -> Self {
        self.wait_key = Some(key.into());
        self
    }

    /// The W3C `traceparent` of the trace that the event belongs to, where it is not the [current](crate::trace) one. One
    /// that is not well-formed is passed over.
    #[must_use]
    pub fn traceparent(mut self, traceparent: Option<impl Into<String>>) -> Self {
        self.traceparent = traceparent.map(Into::into);
        self
    }

    /// When it happened, where that is not now.
    #[must_use]
    pub const fn occurred_at(mut self, moment: DateTime<Utc>) -> Self {
        self.occurred_at = Some(moment);
        self
    }

    /// Something to keep beside the payload, such as a request id.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}
