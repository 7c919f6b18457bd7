//! Writing events to the outbox.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue, DatabaseTransaction, DbErr, EntityTrait, QueryTrait, Set};
use serde_json::{Map, Value};

use super::entities::domain_event;
use super::{AggregateId, Direction, Event, EventId};
use crate::Runtime;
use crate::database::insert_if_new;
use crate::failpoint;
use crate::storable::{check_name, find_nul};

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The event was stored.
    New(EventId),
    /// An event with this id is stored already; nothing was written.
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
    /// The aggregate's id or the tenant cannot be stored.
    #[error("`{event_type}` cannot be published: {reason}")]
    Name {
        /// The event's type.
        event_type: &'static str,
        /// Which, and what is wrong with it.
        reason: String,
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
    pub(super) traceparent: Option<String>,
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

    /// The W3C `traceparent` of the trace that the event belongs to, where it is not the [current](crate::trace) one. One
    /// that is not well-formed is passed over.
    #[must_use]
    pub fn traceparent(mut self, traceparent: Option<impl Into<String>>) -> Self {
        self.traceparent = traceparent.map(Into::into);
        self
    }

    /// Something to keep beside the payload, such as a request id.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

/// Publishes and queries events; from [`Runtime::events`].
#[derive(Debug, Clone)]
pub struct Events {
    pub(super) runtime: Runtime,
}

impl Events {
    pub(crate) const fn new(runtime: Runtime) -> Self {
        Self { runtime }
    }

    /// Stores an event in the transaction, so that it exists if and only if the transaction commits.
    ///
    /// Only a transaction will do:
    ///
    /// ```compile_fail
    /// # use runtime_sea::{Event, Events, PublishError};
    /// async fn on_a_connection<E: Event>(
    ///     events: &Events, db: &sea_orm::DatabaseConnection, event: E,
    /// ) -> Result<(), PublishError> {
    ///     events.publish(db, "1", event).await.map(drop)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was written then.
    pub async fn publish<E: Event>(
        &self,
        tx: &DatabaseTransaction,
        aggregate_id: impl Into<AggregateId>,
        event: E,
    ) -> Result<Published, PublishError> {
        self.publish_with(tx, aggregate_id, event, PublishOptions::new())
            .await
    }

    /// As [`publish`](Self::publish), with an id, a tenant and the like of the caller's.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was written then.
    pub async fn publish_with<E: Event>(
        &self,
        tx: &DatabaseTransaction,
        aggregate_id: impl Into<AggregateId>,
        event: E,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        let id = options.id.unwrap_or_else(EventId::generate);
        let trace = self
            .runtime
            .traces()
            .current(options.traceparent.as_deref());
        let mut row = row_of(id, aggregate_id.into(), &event, options)?;
        row.traceparent = Set(trace.map(|it| it.to_string()));
        let insert = domain_event::Entity::insert(row).into_query();
        let inserted =
            insert_if_new(tx, &insert)
                .await
                .map_err(|source| PublishError::Database {
                    event_type: E::TYPE,
                    source,
                })?;
        if inserted {
            self.runtime.wake_up().announce();
            Ok(Published::New(id))
        } else {
            Ok(Published::Duplicate(id))
        }
    }

    /// Stores an event in a transaction of its own: the event exists whatever becomes of the caller's other writes.
    /// For forwarders that have no transaction; give such an event the id that its source gave it.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was written then.
    pub async fn publish_detached<E: Event>(
        &self,
        aggregate_id: impl Into<AggregateId>,
        event: E,
    ) -> Result<Published, PublishError> {
        self.publish_detached_with(aggregate_id, event, PublishOptions::new())
            .await
    }

    /// As [`publish_detached`](Self::publish_detached), with an id, a tenant and the like of the caller's.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was written then.
    pub async fn publish_detached_with<E: Event>(
        &self,
        aggregate_id: impl Into<AggregateId>,
        event: E,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        let database = |source| PublishError::Database {
            event_type: E::TYPE,
            source,
        };
        let tx = crate::begin(self.runtime.db()).await.map_err(database)?;
        let published = self.publish_with(&tx, aggregate_id, event, options).await?;
        failpoint::before("events.publish_detached");
        tx.commit().await.map_err(database)?;
        failpoint::after("events.publish_detached");
        self.runtime.wake_up().announce();
        Ok(published)
    }
}

fn row_of<E: Event>(
    id: EventId,
    aggregate_id: AggregateId,
    event: &E,
    options: PublishOptions,
) -> Result<domain_event::ActiveModel, PublishError> {
    let route = E::ROUTE;
    if let (Some(Direction::Change), Some(aggregate), None) = (
        route.direction(),
        route.aggregate_type(),
        aggregate_id.as_str(),
    ) {
        return Err(PublishError::MissingAggregate {
            event_type: E::TYPE,
            aggregate,
        });
    }
    for (what, name) in [
        ("the aggregate's id", aggregate_id.as_str()),
        ("the tenant", options.tenant_id.as_deref()),
    ] {
        check_name(what, name.unwrap_or_default()).map_err(|reason| PublishError::Name {
            event_type: E::TYPE,
            reason,
        })?;
    }
    let payload = serde_json::to_value(event).map_err(|source| PublishError::Serialize {
        event_type: E::TYPE,
        source,
    })?;
    let metadata = Value::Object(options.metadata);
    for (name, value) in [("payload", &payload), ("metadata", &metadata)] {
        if let Some(path) = find_nul(value, name) {
            return Err(PublishError::NulCharacter {
                event_type: E::TYPE,
                path,
            });
        }
    }
    Ok(domain_event::ActiveModel {
        id: Set(id.as_uuid()),
        event_type: Set(E::TYPE.to_owned()),
        aggregate_type: Set(route.aggregate_type().map(str::to_owned)),
        aggregate_id: Set(aggregate_id.into_inner()),
        payload: Set(payload),
        metadata: Set(metadata),
        direction: Set(route.direction().map(|it| it.as_str().to_owned())),
        pool: Set(route.event_pool().map(|it| it.as_str().to_owned())),
        tier: Set(route.tier().as_str().to_owned()),
        version: Set(i32::try_from(E::VERSION).unwrap_or(i32::MAX)),
        ordering: Set(route.ordering().as_str().to_owned()),
        tenant_id: Set(options.tenant_id),
        occurred_at: options.occurred_at.map_or(ActiveValue::NotSet, Set),
        // Everything else is the table's defaults: moments come from the database's clock.
        ..Default::default()
    })
}
