//! The runtime's own tables, as versioned steps that an app's migrations call, and what those need to change tables of
//! their own: [`OneConnection`], [`rebuild_table`] and [`now`].
//!
//! A version is never changed once released; what comes later is the next version. `jobs` needs `events`, and `bridge`
//! needs both. Each step can be run again after it was cut short, on databases whose schema changes are not
//! transactional too: what is there already is left alone.
//!
//! Processes that start together migrate one after the other: see [`exclusively`]. A program that is older than the
//! database does not migrate it: SeaORM's migrator names the applied migration that the program does not know, and
//! nothing is changed. It may run all the same, as during a rolling deployment, as long as the newer migrations have
//! only added to the tables.
//!
//! ```
//! use sea_orm_migration::prelude::*;
//!
//! #[derive(DeriveMigrationName)]
//! pub struct Migration;
//!
//! #[async_trait::async_trait]
//! impl MigrationTrait for Migration {
//!     async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
//!         runtime_sea::migration::events::v1::up(manager).await
//!     }
//!
//!     async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
//!         runtime_sea::migration::events::v1::down(manager).await
//!     }
//! }
//! ```

mod alter;
mod exclusive;
mod steps;

pub use alter::{now, rebuild_table};
pub use exclusive::exclusively;

pub use crate::database::OneConnection;

/// The outbox, its subscriptions and deliveries, and the workers' heartbeats.
pub mod events {
    pub mod v1;
}

/// Jobs, runs, steps, deduplication and pools.
pub mod jobs {
    pub mod v1;
}

/// The ledger of triggers.
pub mod bridge {
    pub mod v1;
}

/// The answers to requests that may be sent again; needs nothing else.
pub mod idempotency {
    pub mod v1;
}
