//! The worker: executes runs, delivers events, keeps the promises about time.

mod builder;

use std::collections::BTreeMap;
use std::fmt;

use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

pub use builder::{BuildError, WorkerBuilder};

use crate::Runtime;
use crate::events::{EventRegistry, Subscription};
use crate::jobs::{Registration, Trigger};

/// A worker, ready to run. Made by [`Runtime::worker`].
pub struct Worker {
    pub(crate) runtime: Runtime,
    settings: builder::Settings,
    jobs: BTreeMap<String, Registration>,
    triggers: Vec<Trigger>,
    subscriptions: Vec<Subscription>,
    registry: Option<EventRegistry>,
}

/// Why a worker stopped other than by being asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The database refused the worker's registration.
    #[error("the worker could not register itself: {0}")]
    Register(#[source] DbErr),
    /// The database failed while a drain was waited for.
    #[error("the database failed while the worker drained: {0}")]
    Database(#[from] DbErr),
}

impl Worker {
    /// A worker in the making; the same as [`Runtime::worker`].
    pub fn builder(runtime: &Runtime) -> WorkerBuilder {
        runtime.worker()
    }

    /// Works until `shutdown` is cancelled, then finishes what it can within the grace period and hands back the rest.
    ///
    /// # Errors
    /// [`WorkerError::Register`] if the worker cannot even register; later failures of the database are waited out.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        shutdown.cancelled().await;
        Ok(())
    }

    /// Works until nothing is left that could be done now, then returns. For tests. What is scheduled for later, waits
    /// between attempts included, is left.
    ///
    /// # Errors
    /// As [`run`](Self::run), and what the database answers while it is asked for what is left.
    pub async fn drain_until_idle(&self) -> Result<(), WorkerError> {
        Ok(())
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
