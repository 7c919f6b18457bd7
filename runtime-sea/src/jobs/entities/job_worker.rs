//! `job_worker`: the heartbeat of every worker process.

use sea_orm::entity::prelude::*;

/// One started worker. A restarted process is a new worker, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_worker")]
pub struct Model {
    /// Made anew at every start.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// For people; not unique.
    pub name: String,
    /// When it started.
    pub started_at: DateTimeUtc,
    /// Its last heartbeat.
    pub heartbeat_at: DateTimeUtc,
    /// After this moment its claims are up for take-over.
    pub expires_at: DateTimeUtc,
}

/// Claims name their worker without a foreign key, so that they outlive its row.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
