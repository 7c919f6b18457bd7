//! Reading events.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use sea_orm_migration::SchemaManager;
use serde::Serialize;

use super::entities::{domain_event, event_delivery};
use super::{AggregateId, ConsumerKind, EventId, EventRecord, EventStatus, Events};
use crate::bridge::{self, BridgeRecord};
use crate::database::{literal, read_all, read_one};

use domain_event::Column as E;
use event_delivery::Column as D;

/// Which events a query returns.
#[derive(Debug, Clone)]
#[must_use]
pub struct EventFilter {
    status: Option<EventStatus>,
    event_type: Option<String>,
    aggregate: Option<(String, Option<String>)>,
    tenant_id: Option<String>,
    limit: u64,
}

impl EventFilter {
    /// The newest hundred events.
    pub const fn new() -> Self {
        Self {
            status: None,
            event_type: None,
            aggregate: None,
            tenant_id: None,
            limit: 100,
        }
    }

    /// Only events of this status.
    pub const fn status(mut self, status: EventStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Only events of this type.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Only events of this aggregate; with [`NoAggregate`](super::NoAggregate), those of the type that name none.
    pub fn aggregate(
        mut self,
        aggregate_type: impl Into<String>,
        id: impl Into<AggregateId>,
    ) -> Self {
        self.aggregate = Some((aggregate_type.into(), id.into().into_inner()));
        self
    }

    /// Only events of this tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant.into());
        self
    }

    /// At most so many.
    pub const fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }
}

impl Default for EventFilter {
    fn default() -> Self {
        Self::new()
    }
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is to be tried, or tried again.
    Pending,
    /// It succeeded.
    Processed,
    /// It was given up.
    Failed,
    /// Its consumer was retired before it succeeded.
    Skipped,
}

impl DeliveryStatus {
    /// The name as it stands in `event_delivery.status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Processed, Self::Failed, Self::Skipped]
            .into_iter()
            .find(|it| it.as_str() == name)
    }
}

impl std::fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A delivery that did not succeed on the spot, or was left to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeliveryRecord {
    /// What the event is delivered to.
    pub kind: ConsumerKind,
    /// The subscription's name, or the trigger's id.
    pub consumer: String,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// How often the consumer was called with the event.
    pub attempts: u32,
    /// Not tried again before this moment.
    pub available_at: DateTime<Utc>,
    /// When it ended.
    pub processed_at: Option<DateTime<Utc>>,
    /// The last error.
    pub error: Option<String>,
}

impl From<event_delivery::Model> for DeliveryRecord {
    fn from(row: event_delivery::Model) -> Self {
        Self {
            // The rows are written with these names only.
            kind: ConsumerKind::from_name(&row.kind).unwrap_or(ConsumerKind::Subscription),
            consumer: row.subscription,
            status: DeliveryStatus::from_name(&row.status).unwrap_or(DeliveryStatus::Pending),
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            available_at: row.available_at,
            processed_at: row.processed_at,
            error: row.error,
        }
    }
}

/// Everything that is known of one event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventDetails {
    /// The event.
    pub event: EventRecord,
    /// The deliveries that did not succeed on the spot.
    pub deliveries: Vec<DeliveryRecord>,
    /// What the triggers did with it.
    pub bridge: Vec<BridgeRecord>,
}

impl Events {
    /// The newest events that the filter lets through, newest first.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn list(&self, filter: EventFilter) -> Result<Vec<EventRecord>, DbErr> {
        let rows = read_all(self.runtime.db(), &self.select(filter)?).await?;
        Ok(rows.into_iter().map(EventRecord::from).collect())
    }

    /// The newest events that the filter lets through, as a query.
    pub(super) fn select(
        &self,
        filter: EventFilter,
    ) -> Result<Select<domain_event::Entity>, DbErr> {
        let mut select = domain_event::Entity::find();
        if let Some(status) = filter.status {
            select = select.filter(Expr::col(E::Status).eq(literal(status.as_str())));
        }
        if let Some(event_type) = filter.event_type {
            select = select.filter(E::EventType.eq(event_type));
        }
        if let Some((aggregate_type, id)) = filter.aggregate {
            select = select
                .filter(E::AggregateType.eq(aggregate_type))
                .filter(id.map_or_else(|| E::AggregateId.is_null(), |id| E::AggregateId.eq(id)));
        }
        let tenant = filter.tenant_id.as_deref();
        if let Some(seen) = self.scope.condition_with(E::TenantId, tenant)? {
            select = select.filter(seen);
        }
        Ok(select.order_by_desc(E::Seq).limit(filter.limit))
    }

    /// The newest events whose delivery was given up, at most `limit`.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn failed(&self, limit: u64) -> Result<Vec<EventRecord>, DbErr> {
        self.list(EventFilter::new().status(EventStatus::Failed).limit(limit))
            .await
    }

    /// An event with its deliveries and what the triggers did with it.
    ///
    /// # Errors
    ///
    /// The database's own.
    pub async fn show(&self, id: EventId) -> Result<Option<EventDetails>, DbErr> {
        let db = self.runtime.db();
        let Some(row) = self.find(id).await? else {
            return Ok(None);
        };
        let deliveries = event_delivery::Entity::find()
            .filter(D::EventSeq.eq(row.seq))
            .order_by_asc(D::Kind)
            .order_by_asc(D::Subscription);
        let deliveries = read_all(db, &deliveries).await?;
        // An app may use events without the bridge.
        let has_bridge = SchemaManager::new(db).has_table("bridge_delivery").await?;
        let bridge = if has_bridge {
            bridge::of_event(db, id).await?
        } else {
            Vec::new()
        };
        Ok(Some(EventDetails {
            event: row.into(),
            deliveries: deliveries.into_iter().map(DeliveryRecord::from).collect(),
            bridge,
        }))
    }

    async fn find(&self, id: EventId) -> Result<Option<domain_event::Model>, DbErr> {
        let mut select = domain_event::Entity::find().filter(E::Id.eq(id.as_uuid()));
        if let Some(seen) = self.scope.condition(E::TenantId)? {
            select = select.filter(seen);
        }
        read_one(self.runtime.db(), select).await
    }
}
