//! A handler as a worker holds it: its types erased.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::schedule::Scheduled;
use crate::storable::storable_json;

use super::policy::Retry;
use super::pool::is_reserved;
use super::{JobContext, JobError, JobHandler, JobPolicy, Trigger};

/// A hosted job.
#[derive(Clone)]
pub(crate) struct Registration {
    pub(crate) job_type: &'static str,
    pub(crate) pool: String,
    /// See [`JobHandler::VERSION`].
    pub(crate) version: i32,
    pub(crate) retry: Retry,
    /// How often a run may be put off.
    pub(crate) max_snoozes: i32,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) schedules: Vec<Scheduled>,
    /// The policy's plain settings.
    pub(crate) description: Value,
    handler: Arc<dyn ErasedHandler>,
}

impl Registration {
    pub(crate) fn new<J: JobHandler>(handler: J) -> Self {
        let policy = J::policy();
        let description = policy.describe();
        let stood_for: Vec<_> = policy
            .triggers
            .iter()
            .map(|it| policy.stands_for(it.event_type) == Some(&it.name))
            .collect();
        let JobPolicy {
            pool,
            retry,
            max_snoozes,
            triggers,
            schedules,
            ..
        } = policy;
        Self {
            job_type: J::TYPE,
            pool,
            version: version_of::<J>(),
            retry,
            max_snoozes: i32::try_from(max_snoozes).unwrap_or(i32::MAX),
            triggers: triggers
                .into_iter()
                .zip(stood_for)
                .map(|(trigger, is_stood_for)| Trigger::of::<J>(trigger, is_stood_for))
                .collect(),
            schedules: schedules
                .into_iter()
                .map(|(schedule, input)| Scheduled::job::<J>(schedule, move |slot| input(slot)))
                .collect(),
            description,
            handler: Arc::new(Erased(handler)),
        }
    }

    /// The job's pool, if it is one that no job may use.
    pub(crate) fn reserved_pool(&self) -> Option<&str> {
        is_reserved(&self.pool).then_some(self.pool.as_str())
    }

    /// Executes one attempt.
    pub(crate) async fn run(&self, ctx: &JobContext, input: Value) -> Result<Value, JobError> {
        self.handler.run(ctx, input).await
    }
}

/// A job's version as it is stored.
pub(crate) fn version_of<J: JobHandler>() -> i32 {
    i32::try_from(J::VERSION).unwrap_or(i32::MAX)
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("job_type", &self.job_type)
            .finish_non_exhaustive()
    }
}

trait ErasedHandler: Send + Sync {
    fn run<'a>(
        &'a self,
        ctx: &'a JobContext,
        input: Value,
    ) -> BoxFuture<'a, Result<Value, JobError>>;
}

struct Erased<J>(J);

impl<J: JobHandler> ErasedHandler for Erased<J> {
    fn run<'a>(
        &'a self,
        ctx: &'a JobContext,
        input: Value,
    ) -> BoxFuture<'a, Result<Value, JobError>> {
        Box::pin(async move {
            let input = serde_path_to_error::deserialize(input).map_err(|error| {
                JobError::retryable(format!("the input does not fit its type: {error}"))
            })?;
            let output = self.0.run(ctx, input).await?;
            storable_json(&output).map_err(|reason| {
                JobError::non_retryable(format!("the output cannot be stored: {reason}"))
            })
        })
    }
}
