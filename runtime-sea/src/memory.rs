//! A runtime in memory, for an application's own tests.

use std::ops::Deref;

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::SchemaManager;

use crate::events::{EventFilter, EventPool, EventRecord};
use crate::{ConnectError, Runtime, TestClock, connect, migration};

/// A [`Runtime`] on a database of its own in memory, with the runtime's tables made and a clock to move. It is SQLite
/// with the same code as everywhere, so that it does what a deployed database does; it is gone when this is dropped.
///
/// The database has one connection: what waits for it while a transaction is open waits for that transaction.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_sea::{Event, EventRoute, MemoryRuntime, NoAggregate};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Told {}
///
/// impl Event for Told {
///     const TYPE: &'static str = "told";
///     const ROUTE: EventRoute = EventRoute::outbound("crm");
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = MemoryRuntime::new().await?;
/// memory.events().publish_detached(NoAggregate, Told {}).await?;
/// assert_eq!(memory.published().await?[0].event_type, "told");
/// memory.clock().advance(Duration::from_secs(60));
/// memory.worker().build()?.drain_until_idle().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryRuntime {
    runtime: Runtime,
    clock: TestClock,
}

impl MemoryRuntime {
    /// A runtime whose tables are empty. Its clock is that of the current Tokio runtime, as each test has one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn new() -> Result<Self, ConnectError> {
        let db = connect("sqlite::memory:").await?;
        let manager = SchemaManager::new(&db);
        migration::events::v1::up(&manager).await?;
        migration::jobs::v1::up(&manager).await?;
        migration::bridge::v1::up(&manager).await?;
        let clock = TestClock::start();
        Ok(Self {
            runtime: Runtime::new(db),
            clock,
        })
    }

    /// The runtime.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What moves the time that everything goes by.
    #[must_use]
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// Everything that was published since the last [`clear`](Self::clear), in this order, whosever it is.
    ///
    /// # Errors
    /// The database's own.
    pub async fn published(&self) -> Result<Vec<EventRecord>, DbErr> {
        let everything = EventFilter::new().limit(u64::from(u32::MAX));
        let events = self.runtime.events().all_tenants();
        let mut published = events.list(everything).await?;
        published.sort_by_key(|event| event.seq);
        Ok(published)
    }

    /// What was published into one lane.
    ///
    /// # Errors
    /// The database's own.
    pub async fn published_in(&self, pool: EventPool) -> Result<Vec<EventRecord>, DbErr> {
        let mut published = self.published().await?;
        published.retain(|event| event.pool.as_deref() == Some(pool.as_str()));
        Ok(published)
    }

    /// Forgets every event and every run, between two parts of a test and while no worker runs.
    ///
    /// # Errors
    /// The database's own.
    pub async fn clear(&self) -> Result<(), DbErr> {
        for table in [
            "bridge_delivery",
            "event_delivery",
            "domain_events",
            "job_step",
            "job_dedupe",
            "job_run",
        ] {
            let delete = format!("DELETE FROM {table}");
            self.runtime.db().execute_unprepared(&delete).await?;
        }
        Ok(())
    }
}

impl Deref for MemoryRuntime {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.runtime
    }
}
