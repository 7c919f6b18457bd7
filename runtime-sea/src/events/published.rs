//! What becomes of a publish.

use sea_orm::DbErr;

use super::EventId;

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The event was stored.
    New(EventId),
    /// The event with this id, of this type and this tenant, is stored already; nothing was written.
    Duplicate(EventId),
}

impl Published {
    /// The id of the stored event.
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
        event_type: String,
        /// The aggregate's type.
        aggregate: String,
    },
    /// The payload has no JSON form.
    #[error("the payload of `{event_type}` cannot be written as JSON: {source}")]
    Serialize {
        /// The event's type.
        event_type: String,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// A text has a NUL character, which no JSON column of PostgreSQL can hold.
    #[error("`{event_type}` has a NUL character in `{path}`; remove it before publishing")]
    NulCharacter {
        /// The event's type.
        event_type: String,
        /// Where it stands, such as `payload.lines[2].note`.
        path: String,
    },
    /// A name, such as the aggregate's id or the tenant, or a value that is too large or nested too deep, cannot be stored.
    #[error("`{event_type}` cannot be published: {reason}")]
    Name {
        /// The event's type.
        event_type: String,
        /// Which, and what is wrong with it.
        reason: String,
    },
    /// Multi-tenancy is on, and no tenant was named.
    #[error(
        "`{event_type}` belongs to no tenant: publish it with `.tenant(Some(..))`, or with `.no_tenant()` where it belongs to none"
    )]
    MissingTenant {
        /// The event's type.
        event_type: String,
    },
    /// The id is that of another event: one of another type, or of another tenant.
    #[error(
        "`{event_type}` was not published: the id {event_id} is that of an event of another type or tenant; give it an \
         id of its own, such as `EventId::from_source` of a source that names the tenant"
    )]
    IdTaken {
        /// The type of the event that was to be published.
        event_type: String,
        /// The id.
        event_id: EventId,
    },
    /// The database refused.
    #[error("`{event_type}` could not be stored: {source}")]
    Database {
        /// The event's type.
        event_type: String,
        /// What the database says.
        #[source]
        source: DbErr,
    },
}
