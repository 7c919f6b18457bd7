//! `event_subscription`: who gets events, whichever process hosts it.

use sea_orm::entity::prelude::*;

/// One registered subscription or trigger.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_subscription")]
pub struct Model {
    /// See [`ConsumerKind`](crate::events::ConsumerKind).
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The stable name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The type of event that it gets. Two versions of a program may disagree about it: each has its row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_type: String,
    /// When it was first registered.
    pub registered_at: DateTimeUtc,
    /// When a worker that hosts it was last seen.
    pub seen_at: DateTimeUtc,
    /// When it was retired: it gets no further events.
    pub retired_at: Option<DateTimeUtc>,
}

/// Subscriptions are named by text, not referenced.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
