//! A run that is to be started: what a job's policy says of it, checked before anything is written.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition};
use serde_json::Value;
use uuid::Uuid;

use crate::database::CENTURY;
use crate::events::EventId;
use crate::hook::panic_text;
use crate::storable::{check_name, storable_json, stored_text};
use crate::trace::Traces;

use super::entities::job_run;
use super::policy::{DEFAULT_POOL, RESERVED_POOL_PREFIX};
use super::pool::is_reserved;
use super::registration::version_of;
use super::{Collision, JobHandler, Retry, RunId, StartError, StartOptions};

/// The claim that a child's insert is fenced with.
#[derive(Debug, Clone)]
pub(crate) struct Parent {
    pub(crate) run_id: RunId,
    pub(crate) root_run_id: RunId,
    pub(crate) child_name: String,
    pub(crate) worker_id: Uuid,
    pub(crate) fence: i64,
}

impl Parent {
    /// Holds while the parent is still the claim's.
    pub(super) fn condition(&self) -> Condition {
        use job_run::Column as C;
        Condition::all()
            .add(C::Id.eq(self.run_id.0))
            .add(C::Fence.eq(self.fence))
            .add(C::WorkerId.eq(self.worker_id))
            .add(C::Status.eq("running"))
    }
}

/// The event that a run is started for.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) event_id: EventId,
    pub(crate) trigger_id: String,
}

/// A run that is ready to be inserted: input serialised, keys computed.
#[derive(Debug, Clone)]
pub(crate) struct PreparedRun {
    pub(crate) id: RunId,
    pub(super) job_type: Cow<'static, str>,
    pub(super) pool: String,
    pub(super) input: Value,
    pub(super) version: i32,
    pub(super) max_attempts: i32,
    pub(super) timeout_ms: Option<i64>,
    pub(super) scope: Option<(String, String)>,
    pub(super) concurrency: Option<(Collision, String)>,
    pub(super) dedupe: Option<(Duration, String)>,
    pub(super) options: StartOptions,
    pub(crate) parent: Option<Parent>,
    pub(crate) cause: Option<Cause>,
    /// The schedule and the slot of it that ask for the run.
    pub(crate) slot: Option<(String, DateTime<Utc>)>,
}

impl PreparedRun {
    pub(crate) fn new<J: JobHandler>(
        input: &J::Input,
        options: StartOptions,
    ) -> Result<Self, StartError> {
        // A start is refused where the policy's code panics; its caller, who need not have written it, goes on.
        let prepared = catch_unwind(AssertUnwindSafe(|| Self::of_policy::<J>(input, options)));
        prepared.unwrap_or_else(|panic| {
            Err(StartError::Policy {
                job_type: J::TYPE.to_owned(),
                reason: stored_text(&format!("its policy panicked: {}", panic_text(&*panic))),
            })
        })
    }

    fn of_policy<J: JobHandler>(
        input: &J::Input,
        options: StartOptions,
    ) -> Result<Self, StartError> {
        let policy = J::policy();
        let value = storable_json(input).map_err(|reason| StartError::Input {
            job_type: J::TYPE.to_owned(),
            reason,
        })?;
        Self {
            pool: policy.pool.clone(),
            version: version_of::<J>(),
            max_attempts: policy.retry.attempts(),
            timeout_ms: policy
                .timeout
                .map(|timeout| i64::try_from(timeout.min(CENTURY).as_millis()).unwrap_or(i64::MAX)),
            scope: policy
                .scope
                .as_ref()
                .map(|(kind, id)| (kind.clone(), id(input))),
            concurrency: policy
                .concurrency
                .as_ref()
                .map(|(collision, key)| (*collision, key(input))),
            dedupe: policy
                .dedupe
                .as_ref()
                .map(|(window, key)| (*window, key(input))),
            ..Self::bare(J::TYPE, value, options)
        }
        .checked()
    }

    /// A run of a job that has no policy.
    pub(super) fn bare(
        job_type: impl Into<Cow<'static, str>>,
        input: Value,
        options: StartOptions,
    ) -> Self {
        Self {
            id: RunId::generate(),
            job_type: job_type.into(),
            pool: DEFAULT_POOL.to_owned(),
            input,
            version: 1,
            max_attempts: Retry::default().attempts(),
            timeout_ms: None,
            scope: None,
            concurrency: None,
            dedupe: None,
            options,
            parent: None,
            cause: None,
            slot: None,
        }
    }

    /// The run, unless a name in it cannot be used.
    pub(super) fn checked(self) -> Result<Self, StartError> {
        let checked = if is_reserved(&self.pool) {
            Err(format!(
                "the pool `{}` belongs to the event drain; choose a name that does not begin with `{RESERVED_POOL_PREFIX}`",
                self.pool
            ))
        } else {
            self.check_names()
        };
        match checked {
            Ok(()) => Ok(self),
            Err(reason) => Err(StartError::Policy {
                job_type: self.job_type.into_owned(),
                reason,
            }),
        }
    }

    /// Whether nothing that is there already can stand in the way of its row.
    pub(crate) fn is_never_refused(&self) -> bool {
        self.parent.is_none()
            && self.dedupe.is_none()
            && self.slot.is_none()
            && !matches!(self.concurrency, Some((Collision::Reject, _)))
    }

    // A key that the database refuses would fail the whole transaction, which is the caller's or the event drain's.
    fn check_names(&self) -> Result<(), String> {
        let names = [
            ("its pool", Some(self.pool.as_str())),
            ("its scope", self.scope.as_ref().map(|it| it.1.as_str())),
            (
                "its concurrency key",
                self.concurrency.as_ref().map(|it| it.1.as_str()),
            ),
            (
                "its deduplication key",
                self.dedupe.as_ref().map(|it| it.1.as_str()),
            ),
            ("its tenant", self.options.tenant_id()),
        ];
        for (what, name) in names {
            check_name(what, name.unwrap_or_default())?;
        }
        self.options
            .tags
            .iter()
            .try_for_each(|tag| check_name("its tag", tag))
    }

    /// Puts the run into the trace that the calling code is in.
    pub(crate) fn traced(mut self, traces: &Traces) -> Self {
        let trace = traces.current(self.options.traceparent.as_deref());
        self.options.traceparent = trace.map(|it| it.to_string());
        self
    }

    /// Puts the run into this trace where it is in none.
    pub(crate) fn traced_or(mut self, traceparent: Option<&str>) -> Self {
        let given = self.options.traceparent.take();
        self.options.traceparent = given.or_else(|| traceparent.map(str::to_owned));
        self
    }
}
