//! Durable jobs: [`JobHandler`] is what the user writes, [`Jobs`] starts and queries runs.

pub mod entities;

pub(crate) mod admit;
pub(crate) mod bulk;
mod calls;
mod cancel;
pub(crate) mod claim;
mod close;
pub(crate) mod complete;
mod context;
mod error;
mod handler;
mod history;
pub(crate) mod hosted;
pub(crate) mod hosting;
mod id;
mod key;
pub(crate) mod lease;
mod operate;
mod orchestrator;
mod policy;
mod pool;
mod pools;
mod prepared;
pub(crate) mod prune;
mod query;
mod raw;
mod record;
mod register;
mod registration;
pub(crate) mod release;
mod replay;
pub(crate) mod rescue;
mod scope;
mod spawn;
mod start;
mod start_options;
mod stats;
mod step;
mod step_options;
mod trigger;
pub(crate) mod types;
mod unreadable;
pub(crate) mod wait;

pub use cancel::Cancelled;
pub use close::ParentClose;
pub(crate) use context::Claim;
pub use context::JobContext;
pub(crate) use error::JobErrorKind;
pub use error::{JobError, JobResult, StartError};
pub use handler::JobHandler;
pub use id::RunId;
pub use orchestrator::Jobs;
pub use policy::{Collision, JobPolicy, Retry};
pub use pool::Pool;
pub use pools::PoolRecord;
pub use raw::RawRun;
pub use record::{
    AttemptError, CausingEvent, RunDetails, RunFilter, RunRecord, RunStatus, StepRecord,
};
pub use replay::{Replay, Replayed};
pub use scope::{Rescheduled, ScopeCancelled};
pub use start::Started;
pub use start_options::StartOptions;
pub use stats::{JobStats, Stats};
pub use step_options::StepOptions;
pub use trigger::TriggerError;
pub use types::JobTypeRecord;
pub use wait::{ChildOutcome, EndedChild};

pub(crate) use operate::no_limit;
pub(crate) use pool::is_reserved;
pub(crate) use prepared::{Cause, PreparedRun};
pub(crate) use register::register_types;
pub(crate) use registration::Registration;
pub(crate) use trigger::Trigger;
