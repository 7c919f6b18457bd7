//! `job`: one row per job type that a worker has registered.

use sea_orm::entity::prelude::*;

/// A registered job type and the policy that it was last registered with.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// The job's stable type name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub r#type: String,
    /// The pool that its runs go to.
    pub pool: String,
    /// The policy's plain settings, for people and tools to read.
    #[sea_orm(column_type = "JsonBinary")]
    pub policy: Json,
    /// The version of the code that was last registered.
    pub version: i32,
    /// When the type was first registered.
    pub registered_at: DateTimeUtc,
    /// When a worker last registered it.
    pub updated_at: DateTimeUtc,
    /// When a worker that hosts it was last seen.
    pub seen_at: DateTimeUtc,
    /// When it was found that no worker hosts it any more.
    pub gone_at: Option<DateTimeUtc>,
}

/// `job` stands alone: a run outlives the registration of its type.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
