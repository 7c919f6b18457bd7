//! `event_delivery`: the deliveries that did not succeed on the spot.

use sea_orm::entity::prelude::*;

/// One event for one subscription that failed, waits behind one that failed, or is hosted by another process.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_delivery")]
pub struct Model {
    /// The event's position in the outbox.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_seq: i64,
    /// See [`ConsumerKind`](crate::events::ConsumerKind).
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The name of the subscription, or the id of the trigger.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subscription: String,
    /// The event's type: only who gets it under the consumer's name takes the delivery.
    pub event_type: String,
    /// The event.
    pub event_id: Uuid,
    /// The lane that the event travels in.
    pub pool: String,
    /// The type of the event's aggregate.
    pub aggregate_type: Option<String>,
    /// The id of the event's aggregate.
    pub aggregate_id: Option<String>,
    /// Whether it waits for earlier ones of its aggregate.
    pub ordering: String,
    /// See [`DeliveryStatus`](crate::events::DeliveryStatus).
    pub status: String,
    /// How often the subscription was called with the event.
    pub attempts: i32,
    /// How often a drainer died while it held the delivery.
    pub recoveries: i32,
    /// Not claimed before this moment.
    pub available_at: DateTimeUtc,
    /// The worker that has it in hand.
    pub claimed_by: Option<Uuid>,
    /// The claim itself: the fence of every write about the delivery.
    pub claim_token: Option<Uuid>,
    /// When it was written.
    pub created_at: DateTimeUtc,
    /// When it ended.
    pub processed_at: Option<DateTimeUtc>,
    /// The last error.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
}

/// A delivery belongs to its event.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The event.
    #[sea_orm(
        belongs_to = "super::domain_event::Entity",
        from = "Column::EventSeq",
        to = "super::domain_event::Column::Seq",
        on_delete = "Cascade"
    )]
    Event,
}

impl Related<super::domain_event::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Event.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
