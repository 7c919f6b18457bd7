//! Durable waits: a run that waits for a moment, for its children or for an event holds no worker.
//!
//! A wait is a row of `job_step` with the status `waiting`. Whoever ends one, or changes a run from or to `waiting`,
//! holds the lock of the run's row. The handler writes the wait, commits, and only then looks whether there is anything
//! left to wait for; who ends a child or finds an event looks for waits after the one has committed. Whichever is later
//! sees the other: no order of commits loses a wake-up. What a crash loses is found by the [`sweep`](sweep::sweep).

mod children;
mod event;
mod sleep;
pub(crate) mod sweep;
mod wake;

use std::cell::Cell;

use chrono::{DateTime, Utc};
use sea_orm::EntityTrait;
use serde_json::Value;

pub(super) use children::step_of;
pub use children::{ChildOutcome, EndedChild};
pub(crate) use wake::{wake, wake_parents};

use crate::database::read_one;

use super::calls::Call;
use super::entities::job_step;
use super::step::StepResult;
use super::{JobContext, JobError};

tokio::task_local! {
    /// Set while a step's work is polled.
    static IN_STEP: Cell<()>;
}

/// Runs a step's work, in which nothing may wait: the run cannot be suspended in the middle of it.
pub(super) async fn without_waits<F: Future>(work: F) -> F::Output {
    IN_STEP.scope(Cell::new(()), work).await
}

/// What a wait is for, besides the kind of its step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wait {
    /// When it ends at the latest.
    pub(crate) until: Option<Until>,
    /// For an event: its type.
    pub(crate) event_type: Option<&'static str>,
    /// For an event: its key; for one child: the name of the step that spawned it.
    pub(crate) key: Option<String>,
}

/// A moment, by the database's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    At(DateTime<Utc>),
    After(std::time::Duration),
}

impl JobContext {
    /// Returns the wait's output once it is over; until then the handler's future is dropped here and the run waits
    /// without a worker.
    pub(super) async fn wait(
        &self,
        call: Result<Call, JobError>,
        wait: Wait,
    ) -> Result<Value, JobError> {
        let call = call?;
        if IN_STEP.try_with(Cell::get).is_ok() {
            return Err(JobError::non_retryable(format!(
                "`{}` waits inside of a step; a run can wait only between its steps",
                call.name
            )));
        }
        let under_way = self.calls.begin();
        match self.recorded(&call).await? {
            Some(row) if row.status == "completed" => {
                return Ok(row.output.clone().unwrap_or_default());
            }
            Some(_) => {}
            None => {
                let started_at = self.claim.now();
                self.store_step(&call, StepResult::Waiting(wait), started_at)
                    .await?;
            }
        }
        match self.look(&call).await {
            Ok(Some(output)) => return Ok(output),
            Ok(None) => {}
            // The wait is recorded: the sweep ends it.
            Err(error) => {
                tracing::debug!(run = %self.claim.run_id, wait = call.name, error = %error, "a wait was not looked at");
            }
        }
        let _parked = self.calls.park(&call.name, under_way);
        std::future::pending().await
    }

    async fn look(&self, call: &Call) -> Result<Option<Value>, JobError> {
        wake(self.db(), self.claim.run_id.0).await?;
        let key = (self.claim.run_id.0, call.name.clone());
        let row = read_one(self.db(), job_step::Entity::find_by_id(key)).await?;
        Ok(row
            .filter(|row| row.status == "completed")
            .map(|row| row.output.unwrap_or_default()))
    }
}
