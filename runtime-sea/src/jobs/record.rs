//! Runs as queries see them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::entities::{job_run, job_step};
use super::{RunId, key};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for its time, its key or a worker.
    Pending,
    /// A worker executes it.
    Running,
    /// Its handler waits: for a moment, for children or for an event. No worker has it.
    Waiting,
    /// Done.
    Completed,
    /// Given up after its attempts, a non-retryable error, or too many dead workers.
    Failed,
    /// Its time was up.
    TimedOut,
    /// Somebody cancelled it, or a newer run replaced it.
    Canceled,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Completed,
        Self::Failed,
        Self::TimedOut,
        Self::Canceled,
    ];

    /// The name as it stands in `job_run.status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Canceled => "canceled",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Waiting)
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptError {
    /// Which attempt, from 1.
    pub attempt: i32,
    /// `failed`, `panicked`, `timed_out`, `canceled` or `lost` (its worker died).
    pub outcome: String,
    /// What went wrong.
    pub error: String,
    /// Where, if that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
    /// The worker.
    pub worker_id: Option<Uuid>,
    /// When the attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, or was found lost.
    pub ended_at: Option<DateTime<Utc>>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// The job's type.
    pub job_type: String,
    /// The version of the job that it was started with.
    pub version: i32,
    /// The pool that it waits or waited in.
    pub pool: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Why a pending run is not claimed yet: `ready`, `scheduled` or `blocked`.
    pub readiness: String,
    /// Higher goes first.
    pub priority: i16,
    /// Not before this moment.
    pub run_at: DateTime<Utc>,
    /// What it was given.
    pub input: Value,
    /// What it returned.
    pub output: Option<Value>,
    /// The last error.
    pub error: Option<String>,
    /// The attempts that did not succeed, oldest first; of more than a hundred the last hundred.
    pub errors: Vec<AttemptError>,
    /// Attempts begun.
    pub attempt: i32,
    /// How many failed attempts end it.
    pub max_attempts: i32,
    /// How often it was taken over from a dead worker.
    pub recoveries: i32,
    /// How often its handler put it off.
    pub snoozes: i32,
    /// The worker that executes it.
    pub worker_id: Option<Uuid>,
    /// What must not run twice at a time.
    pub concurrency_key: Option<String>,
    /// The deduplication key.
    pub dedupe_key: Option<String>,
    /// What it is about: a kind.
    pub scope_type: Option<String>,
    /// And the id of it.
    pub scope_id: Option<String>,
    /// The run that spawned it.
    pub parent_run_id: Option<RunId>,
    /// The top of its tree.
    pub root_run_id: RunId,
    /// Its name among the parent's children.
    pub child_name: Option<String>,
    /// The event that caused it.
    pub event_id: Option<Uuid>,
    /// The trigger that turned the event into it.
    pub trigger_id: Option<String>,
    /// The schedule that started it.
    pub schedule: Option<String>,
    /// The schedule's slot that it was started for.
    pub slot: Option<DateTime<Utc>>,
    /// Free labels.
    pub tags: Vec<String>,
    /// The tenant.
    pub tenant_id: Option<String>,
    /// The trace that it was started in, as W3C `traceparent`.
    pub traceparent: Option<String>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last attempt began.
    pub claimed_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When its cancellation was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
}

impl From<job_run::Model> for RunRecord {
    fn from(row: job_run::Model) -> Self {
        let given = |stored: String| key::given(&stored).to_owned();
        Self {
            id: RunId(row.id),
            job_type: row.job_type,
            version: row.version,
            pool: row.pool,
            // A status of a newer runtime than this one reads as what it is least wrong to treat it as.
            status: RunStatus::from_name(&row.status).unwrap_or(RunStatus::Pending),
            readiness: row.readiness,
            priority: row.priority,
            run_at: row.run_at,
            input: row.input,
            output: row.output,
            error: row.error,
            errors: serde_json::from_value(row.errors).unwrap_or_default(),
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            recoveries: row.recoveries,
            snoozes: row.snoozes,
            worker_id: row.worker_id,
            concurrency_key: row.concurrency_key.map(given),
            dedupe_key: row.dedupe_key.map(given),
            scope_type: row.scope_type,
            scope_id: row.scope_id,
            parent_run_id: row.parent_run_id.map(RunId),
            root_run_id: RunId(row.root_run_id),
            child_name: row.child_name,
            event_id: row.event_id,
            trigger_id: row.trigger_id,
            schedule: row.schedule,
            slot: row.slot,
            tags: serde_json::from_value(row.tags).unwrap_or_default(),
            tenant_id: row.tenant_id,
            traceparent: row.traceparent,
            created_at: row.created_at,
            started_at: row.started_at,
            claimed_at: row.claimed_at,
            finished_at: row.finished_at,
            cancel_requested_at: row.cancel_requested_at,
        }
    }
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepRecord {
    /// Its name.
    pub name: String,
    /// `completed`, `failed`, `waiting`, or `abandoned`: a wait whose run ended without it.
    pub status: String,
    /// What it returned.
    pub output: Option<Value>,
    /// Its last error.
    pub error: Option<String>,
    /// How often it was executed.
    pub executions: i32,
    /// The attempt of the run that executed it last.
    pub attempt: i32,
    /// When its last execution began.
    pub started_at: DateTime<Utc>,
    /// When it ended; none while it waits.
    pub finished_at: Option<DateTime<Utc>>,
    /// `step`, `child`, `sleep`, `children` or `event`.
    pub kind: String,
    /// Its place among the steps of its run, from 0.
    pub position: i32,
    /// When its wait ends at the latest.
    pub wake_at: Option<DateTime<Utc>>,
    /// The type of event that it waits for.
    pub event_type: Option<String>,
    /// The key of the event that it waits for.
    pub event_key: Option<String>,
    /// The child that it spawned.
    pub child_run_id: Option<RunId>,
}

impl From<job_step::Model> for StepRecord {
    fn from(row: job_step::Model) -> Self {
        Self {
            name: row.name,
            status: row.status,
            output: row.output,
            error: row.error,
            executions: row.executions,
            attempt: row.attempt,
            started_at: row.started_at,
            finished_at: row.finished_at,
            kind: row.kind,
            position: row.position,
            wake_at: row.wake_at,
            event_type: row.event_type,
            event_key: row.event_key,
            child_run_id: row.child_run_id.map(RunId),
        }
    }
}

/// A run with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunDetails {
    /// The run.
    pub run: RunRecord,
    /// Its steps, in the order of their last execution.
    pub steps: Vec<StepRecord>,
    /// The runs that it spawned, oldest first.
    pub children: Vec<RunRecord>,
    /// The event that caused it, if its row is still there.
    pub caused_by_event: Option<CausingEvent>,
}

/// The event that caused a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CausingEvent {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub event_type: String,
    /// The trigger that turned it into the run.
    pub trigger_id: Option<String>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// Which runs to list; everything that is set must hold.
#[derive(Debug, Clone)]
#[must_use]
pub struct RunFilter {
    pub(crate) status: Option<RunStatus>,
    pub(crate) job_type: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) scope: Option<(String, String)>,
    pub(crate) parent: Option<RunId>,
    pub(crate) event_id: Option<Uuid>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) limit: u64,
}

impl RunFilter {
    /// The newest hundred runs.
    pub const fn new() -> Self {
        Self {
            status: None,
            job_type: None,
            pool: None,
            scope: None,
            parent: None,
            event_id: None,
            tenant_id: None,
            limit: 100,
        }
    }

    /// Only runs of this status.
    pub fn status(mut self, status: RunStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Only runs of this job.
    pub fn job_type(mut self, job_type: impl Into<String>) -> Self {
        self.job_type = Some(job_type.into());
        self
    }

    /// Only runs of this pool.
    pub fn pool(mut self, pool: impl Into<String>) -> Self {
        self.pool = Some(pool.into());
        self
    }

    /// Only runs about this.
    #[expect(clippy::needless_pass_by_value, reason = "ids are passed as they are")]
    pub fn scope(mut self, kind: impl Into<String>, id: impl ToString) -> Self {
        self.scope = Some((kind.into(), id.to_string()));
        self
    }

    /// Only the children of this run.
    pub fn parent(mut self, parent: RunId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Only runs that this event caused.
    pub fn event(mut self, event_id: impl Into<Uuid>) -> Self {
        self.event_id = Some(event_id.into());
        self
    }

    /// Only runs of this tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant.into());
        self
    }

    /// At most so many.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }
}

impl Default for RunFilter {
    fn default() -> Self {
        Self::new()
    }
}
