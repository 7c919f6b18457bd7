//! What a handler, a step and a start can fail with.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::fmt;
use std::time::Duration;

use sea_orm::DbErr;

use super::RunId;

/// What handlers return.
pub type JobResult<T> = Result<T, JobError>;

/// Why an attempt failed, and what is to happen next.
///
/// Every standard error converts into a retryable one, so that `?` works. It does not implement [`Error`] itself for
/// that reason.
pub struct JobError {
    pub(crate) kind: JobErrorKind,
    pub(crate) message: String,
    pub(crate) backtrace: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobErrorKind {
    /// Retried as the policy says.
    Retryable,
    /// The run has failed for good.
    NonRetryable,
    /// Retried after exactly this time; counts as an attempt.
    RetryAfter(Duration),
    /// Put off by this time; no attempt is counted.
    Snooze(Duration),
    /// Another worker owns the run; whatever this one does is discarded.
    LeaseLost,
}

impl JobError {
    /// The run fails at once, whatever its retry policy says.
    #[must_use]
    pub fn non_retryable(reason: impl fmt::Display) -> Self {
        Self::new(JobErrorKind::NonRetryable, reason.to_string())
    }

    /// The attempt fails, and the next one begins after `delay` (not the policy's backoff). It counts as an attempt.
    #[must_use]
    pub fn retry_after(delay: Duration, reason: impl fmt::Display) -> Self {
        Self::new(JobErrorKind::RetryAfter(delay), reason.to_string())
    }

    /// Puts the run off: it is executed again after `delay`, and this execution does not count as an attempt. For what
    /// is merely not ready yet. Bounded by [`JobPolicy::max_snoozes`](super::JobPolicy::max_snoozes).
    #[must_use]
    pub fn snooze(delay: Duration, reason: impl fmt::Display) -> Self {
        Self::new(JobErrorKind::Snooze(delay), reason.to_string())
    }

    /// The attempt fails and is retried as the policy says.
    #[must_use]
    pub fn retryable(reason: impl fmt::Display) -> Self {
        Self::new(JobErrorKind::Retryable, reason.to_string())
    }

    /// Whether the run may be tried again after this error.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(self.kind, JobErrorKind::NonRetryable)
    }

    pub(crate) fn lease_lost() -> Self {
        Self::new(
            JobErrorKind::LeaseLost,
            "another worker has taken over this run".to_owned(),
        )
    }

    pub(crate) fn new(kind: JobErrorKind, message: String) -> Self {
        let backtrace = Backtrace::capture();
        let backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        Self {
            kind,
            message,
            backtrace,
        }
    }

    pub(crate) fn context(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::new(JobErrorKind::Retryable, with_sources(&error))
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

// Many libraries repeat their source in their own message; it is told once.
fn with_sources(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

/// Why a run was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The concurrency key is taken and the policy says [`Collision::Reject`](super::Collision::Reject).
    #[error("`{job_type}` was not started: run {incumbent} holds the concurrency key `{key}`")]
    Rejected {
        /// The job's type.
        job_type: String,
        /// The key that is taken.
        key: String,
        /// The run that holds it.
        incumbent: RunId,
    },
    /// The input cannot be stored.
    #[error("the input of `{job_type}` cannot be stored: {reason}")]
    Input {
        /// The job's type.
        job_type: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No worker has ever registered the job.
    #[error(
        "`{job_type}` was not started: no worker has registered a job of that name; check it, or allow unknown jobs with `.allow_unknown(pool)`"
    )]
    UnknownJob {
        /// The job's type.
        job_type: String,
    },
    /// The policy or an option is not usable.
    #[error("`{job_type}` cannot be started: {reason}")]
    Policy {
        /// The job's type.
        job_type: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Multi-tenancy is on, and no tenant was named.
    #[error(
        "`{job_type}` belongs to no tenant: start it with `.tenant(Some(..))`, or with `.no_tenant()` where it belongs to none"
    )]
    MissingTenant {
        /// The job's type.
        job_type: String,
    },
    /// The worker that spawns a child has lost its run to another one.
    #[error("the child `{name}` was not spawned: another worker has taken over run {parent}")]
    LeaseLost {
        /// The spawning run.
        parent: RunId,
        /// The child's name.
        name: String,
    },
    /// The run that spawns a child is being cancelled.
    #[error("the child `{name}` was not spawned: run {parent} is being cancelled")]
    ParentCancelled {
        /// The spawning run.
        parent: RunId,
        /// The child's name.
        name: String,
    },
    /// The database refused.
    #[error("the run could not be started: {0}")]
    Database(#[from] DbErr),
}
