//! What a handler can do with its run.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, Condition, DatabaseConnection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::Runtime;
use crate::database::begin_short;
use crate::events::Events;
use crate::failpoint;
use crate::storable::{check_name, storable_json};
use crate::tenancy::TenantScope;

use super::entities::{job_run, job_step};
use super::error::JobErrorKind;
use super::start::{Parent, PreparedRun};
use super::step::{StepId, StepResult, completed, store};
use super::{JobError, JobHandler, Jobs, RunId, StartError, StartOptions};

/// The claim under which a worker executes an attempt; the fence of everything that it writes.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) run_id: RunId,
    pub(crate) root_run_id: RunId,
    pub(crate) worker_id: Uuid,
    pub(crate) fence: i64,
    pub(crate) attempt: i32,
    /// The database's clock at the claim, and the process's at its arrival.
    pub(crate) claimed_at: DateTime<Utc>,
    pub(crate) arrived: Instant,
}

impl Claim {
    /// Holds while the run is still this claim's.
    pub(crate) fn condition(&self) -> Condition {
        use job_run::Column as C;
        Condition::all()
            .add(C::Id.eq(self.run_id.0))
            .add(C::Fence.eq(self.fence))
            .add(C::WorkerId.eq(self.worker_id))
            .add(C::Status.eq("running"))
    }

    /// The database's clock, as far as it can be told without asking.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.claimed_at + TimeDelta::from_std(self.arrived.elapsed()).unwrap_or_default()
    }
}

/// One attempt of a run, as its handler sees it.
pub struct JobContext {
    runtime: Runtime,
    claim: Claim,
    tenant_id: Option<String>,
    traceparent: Option<Arc<str>>,
    cancelled: CancellationToken,
    lease_lost: AtomicBool,
    /// Whether an earlier claim may have left steps.
    has_history: bool,
    history: OnceCell<HashMap<String, job_step::Model>>,
    used_steps: Mutex<HashSet<String>>,
}

impl JobContext {
    pub(crate) fn new(
        runtime: Runtime,
        claim: Claim,
        tenant_id: Option<String>,
        traceparent: Option<Arc<str>>,
        cancelled: CancellationToken,
    ) -> Self {
        Self {
            runtime,
            has_history: claim.fence > 1,
            claim,
            tenant_id,
            traceparent,
            cancelled,
            lease_lost: AtomicBool::new(false),
            history: OnceCell::new(),
            used_steps: Mutex::default(),
        }
    }

    /// The run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.claim.run_id
    }

    /// The number of this attempt, from 1. Attempts that died with their worker count.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.claim.attempt).unwrap_or(1)
    }

    /// The tenant that the run belongs to.
    #[must_use]
    pub fn tenant_id(&self) -> Option<&str> {
        self.tenant_id.as_deref()
    }

    /// The W3C `traceparent` of the trace that the run was started in, see [`trace`](crate::trace).
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// Publishes events that belong to the run's tenant, and sees that tenant's events.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::with_scope(self.runtime.clone(), self.scope())
    }

    /// Starts runs that belong to the run's tenant, and sees that tenant's runs.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::with_scope(self.runtime.clone(), self.scope())
    }

    fn scope(&self) -> TenantScope {
        TenantScope::inherited(self.runtime.is_multi_tenant(), self.tenant_id())
    }

    /// The runtime, whose handles know nothing of the run.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &DatabaseConnection {
        self.runtime.db()
    }

    /// Fires when the attempt has to stop: the run was cancelled, its time is up, the worker shuts down, or another
    /// worker has taken over. A handler that does not return soon afterwards is dropped.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// A key that is the same on every execution of this step of this run: give it to the systems that the step calls,
    /// so that they recognise a repetition.
    #[must_use]
    pub fn idempotency_key(&self, step: &str) -> String {
        Uuid::new_v5(&self.claim.run_id.0, step.as_bytes()).to_string()
    }

    /// Executes `work` once per run: where an earlier attempt has completed a step of this name, its stored output is
    /// returned and `work` is not called. The output is stored before this returns.
    ///
    /// A process that dies after `work` took effect and before its output was stored executes it again: see
    /// [`idempotency_key`](Self::idempotency_key).
    ///
    /// # Errors
    /// What `work` fails with; a name that this attempt has used already, or that is too long; an output that cannot be stored; a stored
    /// output that does not fit `T` any more; the loss of the run to another worker.
    pub async fn step<T, E, F, Fut>(&self, name: &str, work: F) -> Result<T, JobError>
    where
        T: Serialize + DeserializeOwned,
        E: Into<JobError>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let id = StepId {
            kind: "step",
            name,
            position: self.use_name(name)?,
        };
        if let Some(done) = self.completed_step(name).await? {
            return serde_json::from_value(done).map_err(|error| {
                JobError::new(
                    JobErrorKind::Retryable,
                    format!(
                        "the stored output of step `{name}` does not fit its type any more: {error}"
                    ),
                )
            });
        }
        let started_at = self.claim.now();
        let span = tracing::info_span!(
            "job.step",
            run_id = %self.claim.run_id,
            step = name,
            attempt = self.claim.attempt,
            traceparent = self.traceparent(),
            outcome = tracing::field::Empty,
        );
        let result = async { work().await }.instrument(span.clone()).await;
        span.record(
            "outcome",
            if result.is_ok() {
                "completed"
            } else {
                "failed"
            },
        );
        match result {
            Ok(output) => {
                let stored = storable_json(&output).map_err(|reason| {
                    JobError::non_retryable(format!(
                        "the output of step `{name}` cannot be stored: {reason}"
                    ))
                })?;
                self.store_step(id, StepResult::Completed(stored), started_at)
                    .await?;
                Ok(output)
            }
            Err(error) => {
                let error: JobError = error.into();
                let stored = StepResult::Failed(error.message.clone());
                if let Err(storing) = self.store_step(id, stored, started_at).await {
                    tracing::warn!(run = %self.claim.run_id, step = name, error = %storing, "a step's failure was not recorded");
                }
                Err(error.context(&format!("step `{name}`")))
            }
        }
    }

    /// Starts a child run, once per run and `name`: a later attempt gets the same child. Returns at once; the child
    /// executes on its own.
    ///
    /// # Errors
    /// As [`Jobs::start`](super::Jobs::start), and when this worker has lost the run.
    pub async fn spawn_child<J: JobHandler>(
        &self,
        name: &str,
        input: J::Input,
    ) -> Result<RunId, JobError> {
        self.spawn_child_with::<J>(name, input, StartOptions::new())
            .await
    }

    /// As [`spawn_child`](Self::spawn_child), with a time, a priority or labels.
    ///
    /// # Errors
    /// As [`spawn_child`](Self::spawn_child).
    pub async fn spawn_child_with<J: JobHandler>(
        &self,
        name: &str,
        input: J::Input,
        options: StartOptions,
    ) -> Result<RunId, JobError> {
        let step_name = format!("child:{name}");
        let step = StepId {
            kind: "child",
            name: &step_name,
            position: self.use_name(&step_name)?,
        };
        // Recorded only where deduplication gave an earlier run: its row does not know this parent.
        if let Some(id) = self.completed_step(&step_name).await?
            && let Ok(id) = serde_json::from_value(id)
        {
            return Ok(id);
        }
        let options = options.tenant_or(self.tenant_id.as_deref());
        let mut run = PreparedRun::new::<J>(&input, options)?
            .traced(self.runtime.traces())
            .traced_or(self.traceparent());
        run.parent = Some(Parent {
            run_id: self.claim.run_id,
            root_run_id: self.claim.root_run_id,
            child_name: name.to_owned(),
            worker_id: self.claim.worker_id,
            fence: self.claim.fence,
        });
        let started_at = self.claim.now();
        let tx = begin_short(self.db()).await?;
        let started = match run.insert(&tx).await {
            Err(StartError::LeaseLost { .. }) => return Err(self.lose()),
            started => started?,
        };
        if started.deduplicated {
            let id = serde_json::to_value(started.run_id)?;
            if !store(
                &tx,
                &self.claim,
                step,
                &StepResult::Completed(id),
                started_at,
            )
            .await?
            {
                return Err(self.lose());
            }
        }
        failpoint::before("jobs.spawn_child");
        tx.commit().await?;
        failpoint::after("jobs.spawn_child");
        self.runtime.wake_up().announce();
        Ok(started.run_id)
    }

    /// Whether a write of this attempt was refused because another worker has the run.
    pub(crate) fn has_lost_lease(&self) -> bool {
        self.lease_lost.load(Ordering::Relaxed)
    }

    fn lose(&self) -> JobError {
        self.lease_lost.store(true, Ordering::Relaxed);
        self.cancelled.cancel();
        JobError::lease_lost()
    }

    /// The place of a step of this name in the attempt.
    fn use_name(&self, name: &str) -> Result<i32, JobError> {
        check_name("the name", name).map_err(JobError::non_retryable)?;
        let mut used = self
            .used_steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let position = i32::try_from(used.len()).unwrap_or(i32::MAX);
        if used.insert(name.to_owned()) {
            return Ok(position);
        }
        Err(JobError::non_retryable(format!(
            "`{name}` was used twice in one attempt; give every step and child of a run its own name"
        )))
    }

    async fn completed_step(&self, name: &str) -> Result<Option<serde_json::Value>, JobError> {
        if !self.has_history {
            return Ok(None);
        }
        let history = self
            .history
            .get_or_try_init(|| completed(self.db(), self.claim.run_id))
            .await?;
        Ok(history
            .get(name)
            .map(|row| row.output.clone().unwrap_or_default()))
    }

    // The work is done: a hiccup of the database must not make it be done again.
    async fn store_step(
        &self,
        step: StepId<'_>,
        result: StepResult,
        started_at: DateTime<Utc>,
    ) -> Result<(), JobError> {
        let mut pause = Duration::from_millis(20);
        loop {
            failpoint::before("jobs.step");
            let stored = store(self.db(), &self.claim, step, &result, started_at).await;
            failpoint::after("jobs.step");
            match stored {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(self.lose()),
                Err(error) if pause > Duration::from_secs(3) || self.cancelled.is_cancelled() => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::debug!(run = %self.claim.run_id, step = step.name, %error, "a step is stored again");
                    tokio::time::sleep(pause).await;
                    pause *= 3;
                }
            }
        }
    }
}

impl fmt::Debug for JobContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobContext")
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}
