//! `job_schedule`: what is started or published at regular times.

use sea_orm::entity::prelude::*;

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_schedule")]
pub struct Model {
    /// Its stable name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// What a slot makes: `job`, a run, or `event`.
    pub kind: String,
    /// The type of the job or event.
    pub target: String,
    /// The cron expression.
    pub cron: String,
    /// The IANA time zone that the expression is read in.
    pub timezone: String,
    /// What becomes of missed slots: `skip`, `last` or `all`.
    pub misfire: String,
    /// Nothing is made while it is paused.
    pub paused: bool,
    /// The next slot.
    pub next_slot_at: Option<DateTimeUtc>,
    /// The last slot that something was made for, or that was skipped.
    pub last_slot_at: Option<DateTimeUtc>,
    /// When it was first registered.
    pub registered_at: DateTimeUtc,
    /// When its settings last changed.
    pub updated_at: DateTimeUtc,
    /// When a worker that hosts it was last seen.
    pub seen_at: DateTimeUtc,
}

/// Targets are named by text, not referenced.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
