//! The runtime's own tables, as versioned steps that an app's migrations call.
//!
//! A version is never changed once released; what comes later is the next version. `jobs` needs `events`, and `bridge`
//! needs both. Each step can be run again after it was cut short, on databases whose schema changes are not
//! transactional too: what is there already is left alone.
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

mod steps;

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
