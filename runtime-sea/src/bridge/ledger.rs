//! `bridge_delivery`: what every trigger did with every event, as a SeaORM entity.

use sea_orm::entity::prelude::*;

/// One trigger's answer to one event.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bridge_delivery")]
pub struct Model {
    /// The event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// The trigger's stable id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub trigger_id: String,
    /// The event's type.
    pub event_type: String,
    /// The job that the trigger is for.
    pub job_type: String,
    /// See [`BridgeStatus`](super::BridgeStatus).
    pub status: String,
    /// The run, where there is one.
    pub run_id: Option<Uuid>,
    /// Why there is no new run.
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    /// When the trigger answered.
    pub created_at: DateTimeUtc,
}

/// Events and runs may be pruned before the ledger is.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
