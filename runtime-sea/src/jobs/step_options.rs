//! What a step asks for beyond its work.

use std::time::Duration;

use super::JobError;
use crate::clock::sleep_by_clock;

/// What a step asks for beyond its work, for [`JobContext::step_with`](super::JobContext::step_with).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct StepOptions {
    timeout: Option<Duration>,
}

impl StepOptions {
    /// Nothing beyond the work.
    pub const fn new() -> Self {
        Self { timeout: None }
    }

    /// The longest time that one execution of the step may take; its future is dropped then, and the attempt fails like
    /// by any other retryable error of the step.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) async fn limit<T, E: Into<JobError>>(
        self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, JobError> {
        let Some(limit) = self.timeout else {
            return work.await.map_err(Into::into);
        };
        let time_is_up = sleep_by_clock(limit);
        tokio::select! {
            biased;
            result = work => result.map_err(Into::into),
            () = time_is_up => Err(JobError::retryable(format!("it took longer than {limit:?}"))),
        }
    }
}
