//! What the user writes: a job.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{JobContext, JobPolicy, JobResult};

/// A kind of durable work.
///
/// ```
/// use runtime_sea::{JobContext, JobHandler, JobPolicy, JobResult};
///
/// struct Greet;
///
/// impl JobHandler for Greet {
///     const TYPE: &'static str = "greet";
///     type Input = String;
///     type Output = usize;
///
///     fn policy() -> JobPolicy<Self::Input> {
///         JobPolicy::new().pool("interactive")
///     }
///
///     async fn run(&self, ctx: &JobContext, name: String) -> JobResult<usize> {
///         let greeting = ctx.step("compose", || async { Ok::<_, std::io::Error>(format!("Hello {name}")) }).await?;
///         Ok(greeting.len())
///     }
/// }
/// ```
///
/// A run may be executed more than once: after an error, and after the process that executed it died. What must not
/// happen twice goes into a [step](JobContext::step).
pub trait JobHandler: Send + Sync + 'static {
    /// The stable name that runs are stored under. Renaming it orphans the runs that wait.
    const TYPE: &'static str;
    /// The version of the code; runs keep the one that they were started with. A worker executes runs of its own
    /// version and of earlier ones, and leaves runs of later versions to newer workers. Raise it with every change of
    /// the steps that runs which are under way could come upon, and ask [`JobContext::version`] where they differ.
    const VERSION: u32 = 1;
    /// What a run is given. Stored as JSON.
    type Input: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What a run returns. Stored as JSON.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// How runs are queued, retried and bounded.
    #[must_use]
    fn policy() -> JobPolicy<Self::Input> {
        JobPolicy::new()
    }

    /// Executes one attempt of a run.
    ///
    /// # Errors
    /// Whatever the work fails with; the policy decides what follows, unless the error does
    /// ([`JobError::non_retryable`](super::JobError::non_retryable),
    /// [`JobError::retry_after`](super::JobError::retry_after), [`JobError::snooze`](super::JobError::snooze)).
    fn run(
        &self,
        ctx: &JobContext,
        input: Self::Input,
    ) -> impl Future<Output = JobResult<Self::Output>> + Send;
}
