//! Publishing events.

use sea_orm::{DatabaseTransaction, DbErr};

use super::outbox::Draft;
use super::{AggregateId, Event, PublishError, PublishOptions, Published, RawEvent};
use crate::Runtime;
use crate::database::{News, begin_patient};
use crate::failpoint;
use crate::tenancy::TenantScope;

/// Publishes and queries events; from [`Runtime::events`].
#[derive(Debug, Clone)]
pub struct Events {
    pub(crate) runtime: Runtime,
    pub(crate) scope: TenantScope,
}

impl Events {
    pub(crate) fn new(runtime: Runtime) -> Self {
        let scope = TenantScope::open(runtime.is_multi_tenant());
        Self { runtime, scope }
    }

    pub(crate) fn with_scope(runtime: Runtime, scope: TenantScope) -> Self {
        Self { runtime, scope }
    }

    /// A handle that publishes for this tenant, where the options do not say otherwise, and sees its events alone.
    ///
    /// What is the whole fleet's, such as its pools and lanes, is not for such a handle: it asks
    /// [`all_tenants`](Self::all_tenants).
    #[must_use]
    pub fn for_tenant(&self, tenant: impl Into<String>) -> Self {
        Self::with_scope(self.runtime.clone(), TenantScope::One(tenant.into()))
    }

    /// A handle that publishes events that belong to no tenant, and sees those alone.
    #[must_use]
    pub fn for_no_tenant(&self) -> Self {
        Self::with_scope(self.runtime.clone(), TenantScope::Nobody)
    }

    /// A handle that sees every tenant's events; for operators.
    #[must_use]
    pub fn all_tenants(&self) -> Self {
        let scope = TenantScope::all(self.runtime.is_multi_tenant());
        Self::with_scope(self.runtime.clone(), scope)
    }

    /// Stores an event in the transaction, so that it exists if and only if the transaction commits.
    ///
    /// Only a transaction will do:
    ///
    /// ```compile_fail,E0308
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
        self.store(tx, Draft::of(aggregate_id.into(), &event, options)?)
            .await
    }

    /// Stores many events of one type, each with its aggregate's id, in as few statements as the database takes. They
    /// are delivered in this order within an aggregate. Returns what became of each, in this order too.
    ///
    /// Where this future is dropped before its end, drop the transaction too, as with [`Jobs::start`](crate::Jobs::start).
    ///
    /// # Errors
    ///
    /// [`PublishError`] for the first that cannot be stored; nothing was written then.
    pub async fn publish_many<E: Event, A: Into<AggregateId>>(
        &self,
        tx: &DatabaseTransaction,
        events: impl IntoIterator<Item = (A, E)>,
    ) -> Result<Vec<Published>, PublishError> {
        let events = events
            .into_iter()
            .map(|(aggregate_id, event)| (aggregate_id, event, PublishOptions::new()));
        self.publish_many_with(tx, events).await
    }

    /// As [`publish_many`](Self::publish_many), each with an id, a tenant and the like of the caller's. The second of
    /// two with the same id is a [`Published::Duplicate`].
    ///
    /// # Errors
    ///
    /// [`PublishError`] for the first that cannot be stored; nothing was written then.
    pub async fn publish_many_with<E: Event, A: Into<AggregateId>>(
        &self,
        tx: &DatabaseTransaction,
        events: impl IntoIterator<Item = (A, E, PublishOptions)>,
    ) -> Result<Vec<Published>, PublishError> {
        let drafts: Result<Vec<_>, _> = events
            .into_iter()
            .map(|(aggregate_id, event, options)| Draft::of(aggregate_id.into(), &event, options))
            .collect();
        self.store_all(tx, drafts?).await
    }

    /// Stores an event whose type this program need not know; for forwarders. Workers that know the type, or host a
    /// subscription to it, deliver it.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was written then.
    pub async fn publish_raw(
        &self,
        tx: &DatabaseTransaction,
        event: RawEvent,
    ) -> Result<Published, PublishError> {
        self.store(tx, event.into_draft()?).await
    }

    /// As [`publish_raw`](Self::publish_raw), in a transaction of its own; see
    /// [`publish_detached`](Self::publish_detached).
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was written then.
    pub async fn publish_raw_detached(&self, event: RawEvent) -> Result<Published, PublishError> {
        self.store_detached(event.into_draft()?).await
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
        self.store_detached(Draft::of(aggregate_id.into(), &event, options)?)
            .await
    }

    async fn store_detached(&self, draft: Draft) -> Result<Published, PublishError> {
        let event_type = draft.event_type.clone();
        let refused = |source: DbErr| PublishError::Database {
            event_type: event_type.clone().into_owned(),
            source,
        };
        let tx = begin_patient(self.runtime.db()).await.map_err(refused)?;
        let published = self.store(&tx, draft).await?;
        failpoint::before("events.publish_detached");
        tx.commit().await.map_err(refused)?;
        failpoint::after("events.publish_detached");
        self.runtime.wake_up().announce(News::EVENTS);
        Ok(published)
    }
}
