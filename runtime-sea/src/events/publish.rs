//! Writing events to the outbox.

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use serde_json::{Map, Value};

use super::EventId;

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Published {
    /// The event was stored.
    New(EventId),
    /// An event with this id is stored already; nothing was written.
    Duplicate(EventId),
}

impl Published {
    /// The id of the stored event.
    #[must_use]
    pub const fn id(self) -> EventId {
        match self {
            Self::New(id) | Self::Duplicate(id) => id,
        }
    }

    /// Whether this publish stored it.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Self::New(_))
    }
}

/// Why an event was not published. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event is about an aggregate, and no id was given.
    #[error(
        "`{event_type}` is a change of `{aggregate}`: publish it with the id of the `{aggregate}`"
    )]
    MissingAggregate {
        /// The event's type.
        event_type: &'static str,
        /// The aggregate's type.
        aggregate: &'static str,
    },
    /// The payload has no JSON form.
    #[error("the payload of `{event_type}` cannot be written as JSON: {source}")]
    Serialize {
        /// The event's type.
        event_type: &'static str,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// A text has a NUL character, which no JSON column of PostgreSQL can hold.
    #[error("`{event_type}` has a NUL character in `{path}`; remove it before publishing")]
    NulCharacter {
        /// The event's type.
        event_type: &'static str,
        /// Where it stands, such as `payload.lines[2].note`.
        path: String,
    },
    /// The database refused.
    #[error("`{event_type}` could not be stored: {source}")]
    Database {
        /// The event's type.
        event_type: &'static str,
        /// What the database says.
        #[source]
        source: DbErr,
    },
}

/// What a publish may say beyond the event itself.
#[derive(Debug, Clone, Default)]
pub struct PublishOptions {
    pub(super) id: Option<EventId>,
    pub(super) tenant_id: Option<String>,
    pub(super) occurred_at: Option<DateTime<Utc>>,
    pub(super) metadata: Map<String, Value>,
}

impl PublishOptions {
    /// No options: a new id, no tenant, now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The event's id; publishing the same id again is a [`Published::Duplicate`].
    #[must_use]
    pub const fn id(mut self, id: EventId) -> Self {
        self.id = Some(id);
        self
    }

    /// The tenant that the event belongs to.
    #[must_use]
    pub fn tenant(mut self, tenant: Option<impl Into<String>>) -> Self {
        self.tenant_id = tenant.map(Into::into);
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
