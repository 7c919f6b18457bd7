//! Durable events and jobs on SeaORM.
//!
//! [`Runtime`] ties a process's handles together: [`Runtime::jobs`] starts and queries runs, [`Runtime::worker`] builds
//! the worker that executes them.

pub mod bridge;
#[cfg(feature = "cli")]
pub mod cli;
pub(crate) mod database;
pub mod events;
pub mod jobs;
pub mod migration;
mod runtime;
pub mod worker;

pub use bridge::{BridgeRecord, BridgeStatus};
pub use database::{ConnectError, begin, connect};
pub use events::{
    AggregateId, ConsumerKind, DecodeError, DeliveryRecord, Direction, Event, EventDescriptor,
    EventDetails, EventEnvelope, EventFilter, EventId, EventOrdering, EventPool, EventRecord,
    EventRegistry, EventRetry, EventRoute, EventStatus, Events, NoAggregate, PublishError,
    PublishOptions, Published, SubscriptionError, Tier,
};
pub use jobs::{
    Collision, JobContext, JobError, JobHandler, JobPolicy, JobResult, Jobs, Retry, RunDetails,
    RunFilter, RunId, RunRecord, RunStatus, StartError, StartOptions, Started,
};
pub use runtime::Runtime;
pub use worker::{Worker, WorkerBuilder, WorkerError};
