//! Starting runs of jobs whose code is elsewhere.

use std::time::Duration;

use sea_orm::{EntityTrait, QuerySelect};
use serde::Deserialize;
use serde_json::Value;

use crate::database::{Connection, News};
use crate::failpoint;
use crate::storable::{check_name, storable_json};

use super::entities::job;
use super::policy::DEFAULT_POOL;
use super::prepared::PreparedRun;
use super::{Collision, Jobs, Pool, Retry, StartError, StartOptions, Started};

/// A run of a job that is known by name: for a process that does not link its code.
///
/// The policy is that of the worker which registered the job last. What the policy computes from the input only the
/// job's code can compute: where it has a concurrency or a deduplication key, the key is to be given here.
#[derive(Debug, Clone)]
#[must_use]
pub struct RawRun {
    job_type: String,
    input: Value,
    options: StartOptions,
    pool: Option<Pool>,
    concurrency_key: Option<String>,
    dedupe_key: Option<String>,
    scope_id: Option<String>,
    allow_unknown: bool,
}

impl RawRun {
    /// A run of the job of that type with this input, which is the handler's as JSON.
    pub fn new(job_type: impl Into<String>, input: Value) -> Self {
        Self {
            job_type: job_type.into(),
            input,
            options: StartOptions::new(),
            pool: None,
            concurrency_key: None,
            dedupe_key: None,
            scope_id: None,
            allow_unknown: false,
        }
    }

    /// A time, a priority, labels or a tenant.
    pub fn options(mut self, options: StartOptions) -> Self {
        self.options = options;
        self
    }

    /// The key that the policy's `concurrency` would compute.
    pub fn concurrency_key(mut self, key: impl Into<String>) -> Self {
        self.concurrency_key = Some(key.into());
        self
    }

    /// The key that the policy's `dedupe` would compute.
    pub fn dedupe_key(mut self, key: impl Into<String>) -> Self {
        self.dedupe_key = Some(key.into());
        self
    }

    /// The id that the policy's `scope` would take from the input. Without it the run is about nothing.
    #[expect(clippy::needless_pass_by_value, reason = "ids are passed as they are")]
    pub fn scope_id(mut self, id: impl ToString) -> Self {
        self.scope_id = Some(id.to_string());
        self
    }

    /// Starts the run even if no worker has registered the job yet: in this pool, with the default retries and no keys.
    /// A worker moves it to the job's own pool when it registers the job.
    pub fn allow_unknown(mut self, pool: impl Into<Pool>) -> Self {
        self.allow_unknown = true;
        self.pool = Some(pool.into());
        self
    }
}

/// The policy as [`JobPolicy::describe`](super::JobPolicy) has written it.
#[derive(Debug, Default, Deserialize)]
struct Described {
    #[serde(default)]
    attempts: Option<i32>,
    #[serde(default)]
    timeout_ms: Option<i64>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    collision: Option<String>,
    #[serde(default)]
    dedupe_ms: Option<u64>,
}

/// The pool, the version and the policy of a registered job.
type Known = (String, i32, Value);

impl Jobs {
    /// Starts a run by the job's name, in a process that may know nothing else of it.
    ///
    /// # Errors
    /// [`StartError::UnknownJob`] if no worker has ever registered the job, [`StartError::Policy`] where a key is missing
    /// or has no use, otherwise as [`start`](Self::start).
    pub async fn start_raw(
        &self,
        conn: &impl Connection,
        run: RawRun,
    ) -> Result<Started, StartError> {
        let options = run.options.clone().in_scope(&self.scope, &run.job_type)?;
        let known = job::Entity::find_by_id(&run.job_type)
            .select_only()
            .columns([job::Column::Pool, job::Column::Version, job::Column::Policy])
            .into_tuple::<Known>()
            .one(conn)
            .await?;
        let run = prepare(run, options, known)?.traced(self.runtime.traces());
        failpoint::before("jobs.start");
        let started = run.insert(conn).await?;
        failpoint::after("jobs.start");
        self.runtime.wake_up().announce(News::RUNS);
        Ok(started)
    }
}

fn prepare(
    run: RawRun,
    options: StartOptions,
    known: Option<Known>,
) -> Result<PreparedRun, StartError> {
    let refused = |reason: String| StartError::Policy {
        job_type: run.job_type.clone(),
        reason,
    };
    if known.is_none() && !run.allow_unknown {
        return Err(StartError::UnknownJob {
            job_type: run.job_type,
        });
    }
    check_name("its type", &run.job_type).map_err(refused)?;
    let input = storable_json(&run.input).map_err(|reason| StartError::Input {
        job_type: run.job_type.clone(),
        reason,
    })?;
    let (pool, version, policy) = match known {
        None => (None, 1, Described::default()),
        Some((pool, version, policy)) => {
            let policy = serde_json::from_value(policy)
                .map_err(|error| refused(format!("its policy cannot be read: {error}")))?;
            (Some(pool), version, policy)
        }
    };
    let collision = policy
        .collision
        .map(|name| {
            Collision::from_name(&name)
                .ok_or_else(|| refused(format!("its collision mode `{name}` is not known here")))
        })
        .transpose()?;
    let window = policy.dedupe_ms.map(Duration::from_millis);
    let concurrency = both("a concurrency key", collision, run.concurrency_key.clone());
    let dedupe = both("a deduplication key", window, run.dedupe_key.clone());
    PreparedRun {
        pool: pool.unwrap_or_else(|| run.pool.map_or(DEFAULT_POOL.to_owned(), String::from)),
        version,
        max_attempts: policy
            .attempts
            .unwrap_or_else(|| Retry::default().attempts()),
        timeout_ms: policy.timeout_ms,
        scope: policy.scope.zip(run.scope_id),
        concurrency: concurrency.map_err(refused)?,
        dedupe: dedupe.map_err(refused)?,
        ..PreparedRun::bare(run.job_type.clone(), input, options)
    }
    .checked()
}

// Silence about a key would let runs overlap that must not.
fn both<T>(
    what: &str,
    policy: Option<T>,
    key: Option<String>,
) -> Result<Option<(T, String)>, String> {
    match (policy, key) {
        (Some(policy), Some(key)) => Ok(Some((policy, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(format!(
            "its policy has {what}, which only the job's own code can compute; give the key with the run"
        )),
        (None, Some(_)) => Err(format!("its policy has no use for {what}")),
    }
}
