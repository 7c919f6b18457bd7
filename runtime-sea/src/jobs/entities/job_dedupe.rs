//! `job_dedupe`: which run a deduplication key stands for, and until when.

use sea_orm::entity::prelude::*;

/// One deduplication window.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_dedupe")]
pub struct Model {
    /// The key, as the policy computed it, with the run's tenant if it has one: see `jobs::key`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// The run that a start with this key returns.
    pub run_id: Uuid,
    /// The end of the window.
    pub expires_at: DateTimeUtc,
}

/// No foreign key: a pruned run must not keep its window from being reused.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
