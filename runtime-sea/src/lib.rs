//! Durable events and jobs on SeaORM, in the application's own database.
//!
//! [`Runtime`] ties a process's handles together: [`Runtime::events`] publishes and queries events,
//! [`Runtime::jobs`] starts and queries runs, [`Runtime::worker`] builds the worker that delivers the ones and
//! executes the others.
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use runtime_sea::{
//!     Event, EventRoute, JobContext, JobHandler, JobPolicy, JobResult, Retry, Runtime, begin, connect,
//! };
//! use serde::{Deserialize, Serialize};
//! use tokio_util::sync::CancellationToken;
//! use uuid::Uuid;
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct ContactCreated {
//!     contact_id: Uuid,
//! }
//!
//! impl Event for ContactCreated {
//!     const TYPE: &'static str = "contact_created";
//!     const ROUTE: EventRoute = EventRoute::change("contact");
//! }
//!
//! struct Welcome;
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct WelcomeInput {
//!     contact_id: Uuid,
//! }
//!
//! impl JobHandler for Welcome {
//!     const TYPE: &'static str = "welcome";
//!     type Input = WelcomeInput;
//!     type Output = ();
//!
//!     fn policy() -> JobPolicy<WelcomeInput> {
//!         JobPolicy::<WelcomeInput>::new()
//!             .retry(Retry::exponential(5, Duration::from_secs(1)))
//!             .on::<ContactCreated>(|event| {
//!                 Some(WelcomeInput { contact_id: event.payload.contact_id })
//!             })
//!     }
//!
//!     async fn run(&self, ctx: &JobContext, input: WelcomeInput) -> JobResult<()> {
//!         // Not executed again once it has succeeded, whatever happens to this attempt.
//!         ctx.step("send", async || Ok::<_, Infallible>(input.contact_id)).await?;
//!         Ok(())
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let db = connect("sqlite://crm.db?mode=rwc").await?;
//! let runtime = Runtime::new(db.clone());
//!
//! let contact_id = Uuid::now_v7();
//! let tx = begin(&db).await?;
//! runtime.events().publish(&tx, contact_id, ContactCreated { contact_id }).await?;
//! tx.commit().await?;
//!
//! let worker = runtime.worker().job(Welcome).build()?;
//! worker.run(CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The tables come from [`migration`], which an application's own migrations call.

pub mod bridge;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
pub(crate) mod database;
pub mod events;
#[cfg(feature = "failpoints")]
#[doc(hidden)]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
mod hook;
pub mod idempotency;
pub mod jobs;
mod memory;
pub mod metrics;
pub mod migration;
mod retention;
mod runtime;
pub mod schedule;
mod storable;
mod tenancy;
pub mod trace;
mod watched;
pub mod worker;

pub use bridge::{BridgeRecord, BridgeStatus, PublishAndStartError, PublishedAndStarted};
pub use clock::TestClock;
pub use database::{ConnectError, Connection, begin, connect, is_contention};
pub use events::{
    AggregateId, ConsumerKind, DecodeError, DeliveryRecord, DeliveryStatus, Direction, Event,
    EventDescriptor, EventDetails, EventEnvelope, EventFilter, EventId, EventOrdering, EventPool,
    EventRecord, EventRegistry, EventRetry, EventRoute, EventStatus, Events, LaneRecord,
    NoAggregate, ParkedType, PublishError, PublishOptions, Published, RawEvent, SubscriptionError,
    SubscriptionRecord, Tier,
};
pub use jobs::{
    ChildOutcome, Collision, EndedChild, JobContext, JobError, JobHandler, JobPolicy, JobResult,
    JobStats, JobTypeRecord, Jobs, ParentClose, Pool, PoolRecord, RawRun, Replay, Replayed,
    Rescheduled, Retry, RunDetails, RunFilter, RunId, RunRecord, RunStatus, ScopeCancelled,
    StartError, StartOptions, Started, Stats, StepOptions,
};
pub use memory::MemoryRuntime;
pub use retention::{Pruned, Retention};
pub use runtime::{Runtime, RuntimeBuilder};
pub use schedule::{Misfire, Schedule, ScheduleRecord, Slot};
pub use worker::{Worker, WorkerBuilder, WorkerError};
