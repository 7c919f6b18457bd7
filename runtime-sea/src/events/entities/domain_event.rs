//! `domain_events`: the outbox.

use sea_orm::entity::prelude::*;

use crate::events::{Direction, EventId, EventRecord, EventStatus, Tier};

/// One event.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "domain_events")]
pub struct Model {
    /// The position in the outbox.
    #[sea_orm(primary_key)]
    pub seq: i64,
    /// The id, which deduplicates.
    #[sea_orm(unique)]
    pub id: Uuid,
    /// The type's stable name.
    #[sea_orm(column_name = "type")]
    pub event_type: String,
    /// The type of the aggregate.
    pub aggregate_type: Option<String>,
    /// The id of the aggregate.
    pub aggregate_id: Option<String>,
    /// The payload.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// What the publisher added beside the payload.
    #[sea_orm(column_type = "JsonBinary")]
    pub metadata: Json,
    /// See [`Direction`]; none for an audit event.
    pub direction: Option<String>,
    /// See [`EventPool`](crate::events::EventPool); none for an audit event.
    pub pool: Option<String>,
    /// See [`Tier`].
    pub tier: String,
    /// The version of the payload's shape.
    pub version: i32,
    /// See [`EventOrdering`](crate::events::EventOrdering).
    pub ordering: String,
    /// The tenant.
    pub tenant_id: Option<String>,
    /// What a run that waits for the event knows it by.
    pub wait_key: Option<String>,
    /// The trace that it was published in, as W3C `traceparent`.
    pub traceparent: Option<String>,
    /// When it happened.
    pub occurred_at: DateTimeUtc,
    /// When it was stored.
    pub created_at: DateTimeUtc,
    /// See [`EventStatus`].
    pub status: String,
    /// How often it was claimed.
    pub attempts: i32,
    /// How often a drainer died while it held the event.
    pub recoveries: i32,
    /// Not claimed before this moment.
    pub available_at: DateTimeUtc,
    /// The worker that has it in hand.
    pub claimed_by: Option<Uuid>,
    /// The claim itself: the fence of every write about the event.
    pub claim_token: Option<Uuid>,
    /// When it was handed to the subscriptions.
    pub dispatched_at: Option<DateTimeUtc>,
    /// When its delivery ended.
    pub processed_at: Option<DateTimeUtc>,
    /// Why it failed.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
}

/// Events name nothing by key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for EventRecord {
    fn from(row: Model) -> Self {
        Self {
            id: EventId(row.id),
            seq: row.seq,
            event_type: row.event_type,
            aggregate_type: row.aggregate_type,
            aggregate_id: row.aggregate_id,
            payload: row.payload,
            metadata: row.metadata,
            direction: row.direction.as_deref().and_then(Direction::from_name),
            pool: row.pool,
            // The table's check constraints allow no other names.
            tier: Tier::from_name(&row.tier).unwrap_or(Tier::Domain),
            version: u32::try_from(row.version).unwrap_or_default(),
            tenant_id: row.tenant_id,
            traceparent: row.traceparent,
            wait_key: row.wait_key,
            occurred_at: row.occurred_at,
            created_at: row.created_at,
            status: EventStatus::from_name(&row.status).unwrap_or(EventStatus::Pending),
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            recoveries: u32::try_from(row.recoveries).unwrap_or_default(),
            dispatched_at: row.dispatched_at,
            processed_at: row.processed_at,
            error: row.error,
            claimed_by: row.claimed_by,
        }
    }
}
