//! What a handler can do with its run.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, Condition, DatabaseConnection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Runtime;
use crate::events::Events;
use crate::failpoint;
use crate::storable::storable_json;
use crate::tenancy::TenantScope;
use crate::trace;

use super::calls::{Call, Calls};
use super::entities::{job_run, job_step};
use super::history::History;
use super::lease::HeldRun;
use super::step::{StepResult, recorded, store, stored_as};
use super::wait::without_waits;
use super::{JobError, Jobs, RunId, StepOptions};

/// The claim under which a worker executes an attempt; the fence of everything that it writes.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) run_id: RunId,
    pub(crate) root_run_id: RunId,
    pub(crate) worker_id: Uuid,
    pub(crate) fence: i64,
    pub(crate) attempt: i32,
    /// Whether another run may wait for this one.
    pub(crate) is_awaited: bool,
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
    pub(super) claim: Claim,
    tenant_id: Option<String>,
    traceparent: Option<Arc<str>>,
    version: i32,
    cancelled: CancellationToken,
    held: HeldRun,
    lease_lost: AtomicBool,
    /// Whether an earlier claim may have left steps.
    has_history: bool,
    history: OnceCell<History>,
    pub(super) calls: Calls,
}

impl JobContext {
    pub(crate) fn new(
        runtime: Runtime,
        claim: Claim,
        tenant_id: Option<String>,
        traceparent: Option<Arc<str>>,
        version: i32,
        cancelled: CancellationToken,
        held: HeldRun,
    ) -> Self {
        Self {
            runtime,
            has_history: claim.fence > 1,
            claim,
            tenant_id,
            traceparent,
            version,
            cancelled,
            held,
            lease_lost: AtomicBool::new(false),
            history: OnceCell::new(),
            calls: Calls::default(),
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

    /// The version of the job that the run was started with; see [`JobHandler::VERSION`](super::JobHandler::VERSION).
    #[must_use]
    pub fn version(&self) -> u32 {
        u32::try_from(self.version).unwrap_or(1)
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
    /// A step has its place where it is called, not where it is awaited. Every attempt must come to the same steps in
    /// the same order, or the run fails, because outputs may not mean any more what the code takes them for. From where
    /// steps overlap their order is up to chance, and only names are compared.
    ///
    /// # Errors
    /// What `work` fails with; a name that this attempt has used already, or that is too long; an output that cannot be
    /// stored; a stored output that does not fit `T` any more; steps that changed while the run was under way; the loss
    /// of the run to another worker.
    pub fn step<'a, T, E, F, Fut>(
        &'a self,
        name: &str,
        work: F,
    ) -> impl Future<Output = Result<T, JobError>> + use<'a, T, E, F, Fut>
    where
        T: Serialize + DeserializeOwned,
        E: Into<JobError>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.step_with(name, StepOptions::new(), work)
    }

    /// As [`step`](Self::step), with a limit of time.
    ///
    /// # Errors
    /// As [`step`](Self::step), and a step that took too long.
    pub fn step_with<'a, T, E, F, Fut>(
        &'a self,
        name: &str,
        options: StepOptions,
        work: F,
    ) -> impl Future<Output = Result<T, JobError>> + use<'a, T, E, F, Fut>
    where
        T: Serialize + DeserializeOwned,
        E: Into<JobError>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let call = self.calls.call("step", name.to_owned());
        async move {
            let call = call?;
            let _under_way = self.calls.begin();
            let name = &call.name;
            if let Some(row) = self.recorded(&call).await? {
                return stored_as(&format!("step `{name}`"), row.output.clone());
            }
            // Another worker may have executed it meanwhile.
            if self.held.is_over() {
                return Err(self.lose());
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
            let work = trace::in_span(&span, async { work().await });
            let result = options.limit(without_waits(work)).await;
            let outcome = if result.is_ok() {
                "completed"
            } else {
                "failed"
            };
            span.record("outcome", outcome);
            match result {
                Ok(output) => {
                    let stored = storable_json(&output).map_err(|reason| {
                        JobError::non_retryable(format!(
                            "the output of step `{name}` cannot be stored: {reason}"
                        ))
                    })?;
                    self.store_step(&call, StepResult::Completed(stored), started_at)
                        .await?;
                    Ok(output)
                }
                Err(error) => {
                    let stored = StepResult::Failed(error.message.clone());
                    if let Err(storing) = self.store_step(&call, stored, started_at).await {
                        tracing::warn!(run = %self.claim.run_id, step = name, error = %storing, "a step's failure was not recorded");
                    }
                    Err(error.context(&format!("step `{name}`")))
                }
            }
        }
    }

    /// Returns the names of the waits once the handler can go on only when one of them is over.
    pub(crate) async fn suspended(&self) -> Vec<String> {
        self.calls.suspended().await
    }

    /// Whether a write of this attempt was refused because another worker has the run.
    pub(crate) fn has_lost_lease(&self) -> bool {
        self.lease_lost.load(Ordering::Relaxed)
    }

    pub(super) fn lose(&self) -> JobError {
        self.lease_lost.store(true, Ordering::Relaxed);
        self.cancelled.cancel();
        JobError::lease_lost()
    }

    /// What an earlier attempt has recorded of the call.
    pub(super) async fn recorded(&self, call: &Call) -> Result<Option<&job_step::Model>, JobError> {
        // Calls beside this one are made while it is under way, however fast it is: whether calls overlap must not
        // depend on time.
        tokio::task::yield_now().await;
        if !self.has_history {
            return Ok(None);
        }
        let history = self
            .history
            .get_or_try_init(|| recorded(self.db(), self.claim.run_id))
            .await?;
        let row = history.find(call)?;
        if row.is_some_and(|row| row.concurrent) {
            self.calls.note_concurrent();
        }
        Ok(row)
    }

    // The work is done: a hiccup of the database must not make it be done again.
    pub(super) async fn store_step(
        &self,
        call: &Call,
        result: StepResult,
        started_at: DateTime<Utc>,
    ) -> Result<(), JobError> {
        let mut pause = Duration::from_millis(20);
        loop {
            failpoint::before("jobs.step");
            let stored = store(self.db(), &self.claim, call, &result, started_at).await;
            failpoint::after("jobs.step");
            match stored {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(self.lose()),
                Err(error) if pause > Duration::from_secs(3) || self.cancelled.is_cancelled() => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::debug!(run = %self.claim.run_id, step = call.name, %error, "a step is stored again");
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
