//! The handle that application code holds.

use sea_orm::{ConnectionTrait, DbErr, TransactionTrait};

use crate::Runtime;
use crate::failpoint;

use super::start::PreparedRun;

use super::{
    Cancelled, JobHandler, RunDetails, RunFilter, RunId, RunRecord, StartError, StartOptions,
    Started, cancel, pools, query,
};

/// Starts, cancels and queries runs. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Jobs {
    runtime: Runtime,
}

impl Jobs {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self { runtime }
    }

    /// Starts a run on a transaction, with which it commits or vanishes, or on a connection.
    ///
    /// # Errors
    /// [`StartError::Rejected`] if the policy says so, [`StartError::Input`] where the input cannot be stored, and what
    /// the database refuses.
    pub async fn start<J: JobHandler>(
        &self,
        conn: &(impl ConnectionTrait + TransactionTrait),
        input: J::Input,
    ) -> Result<Started, StartError> {
        self.start_with::<J>(conn, input, StartOptions::new()).await
    }

    /// As [`start`](Self::start), with a time, a priority, labels or a tenant.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with<J: JobHandler>(
        &self,
        conn: &(impl ConnectionTrait + TransactionTrait),
        input: J::Input,
        options: StartOptions,
    ) -> Result<Started, StartError> {
        let run = PreparedRun::new::<J>(&input, options)?.traced(self.runtime.traces());
        failpoint::before("jobs.start");
        let started = run.insert(conn).await?;
        failpoint::after("jobs.start");
        self.runtime.wake_up().announce();
        Ok(started)
    }

    /// Cancels a run: one that waits is over at once, one that runs is told to stop. Cancelling twice is harmless.
    ///
    /// # Errors
    /// The database's own.
    pub async fn cancel(&self, id: RunId) -> Result<Cancelled, DbErr> {
        let cancelled = cancel::cancel(self.runtime.db(), id).await?;
        self.runtime.wake_up().announce();
        Ok(cancelled)
    }

    /// Stops every worker from claiming runs of this pool. What runs already goes on.
    ///
    /// # Errors
    /// The database's own.
    pub async fn pause_pool(&self, pool: &str) -> Result<(), DbErr> {
        pools::set_paused(self.runtime.db(), pool, true).await
    }

    /// Lets the workers claim from this pool again.
    ///
    /// # Errors
    /// The database's own.
    pub async fn resume_pool(&self, pool: &str) -> Result<(), DbErr> {
        pools::set_paused(self.runtime.db(), pool, false).await?;
        self.runtime.wake_up().announce();
        Ok(())
    }

    /// The newest runs that the filter lets through.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list(&self, filter: RunFilter) -> Result<Vec<RunRecord>, DbErr> {
        query::list(self.runtime.db(), &filter).await
    }

    /// A run with its steps, children and cause; `None` if there is no such run.
    ///
    /// # Errors
    /// The database's own.
    pub async fn show(&self, id: RunId) -> Result<Option<RunDetails>, DbErr> {
        query::show(self.runtime.db(), id).await
    }
}
