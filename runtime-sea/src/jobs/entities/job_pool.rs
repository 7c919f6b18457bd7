//! `job_pool`: settings of a pool that hold for every worker. A pool without a row has the defaults.

use sea_orm::entity::prelude::*;

/// One pool's settings.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_pool")]
pub struct Model {
    /// The pool's name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Nothing is claimed from a paused pool; what runs already finishes.
    pub paused: bool,
    /// The most runs of the pool that execute at a time, over all workers.
    pub run_limit: Option<i32>,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
}

/// Pools are named by text, not referenced.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
