//! How much of what there is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QuerySelect};
use serde::Serialize;

use crate::database::{dialect, literal};

use super::entities::{job, job_run};
use super::prune::ago;

/// How many runs of one state are counted at most.
const MOST: u64 = 100_000;

/// The time whose ends are counted.
const HOUR: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// What waits, what runs and what has ended in the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// By pool and job: every registered job, and every other that has runs.
    pub jobs: Vec<JobStats>,
    /// Whether there is more than was counted: of each state, a hundred thousand runs are looked at.
    pub is_partial: bool,
}

/// The runs of one job in one pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JobStats {
    /// The pool.
    pub pool: String,
    /// The job's type.
    pub job_type: String,
    /// Whether a live worker hosts the job, as far as that was noticed: see
    /// [`JobTypeRecord::gone_at`](super::JobTypeRecord::gone_at).
    pub is_hosted: bool,
    /// Runs that wait for a worker only.
    pub ready: u64,
    /// For how many seconds the oldest of them could have run.
    pub oldest_ready_seconds: Option<u64>,
    /// Runs that wait for their time.
    pub scheduled: u64,
    /// Runs that wait for their concurrency key.
    pub blocked: u64,
    /// Runs that wait durably for something to happen.
    pub waiting: u64,
    /// Runs that a worker executes.
    pub running: u64,
    /// Runs that completed in the last hour.
    pub completed: u64,
    /// Runs that failed for good in the last hour.
    pub failed: u64,
    /// Runs whose time was up in the last hour.
    pub timed_out: u64,
    /// Runs that were cancelled in the last hour.
    pub canceled: u64,
}

/// The states that are counted, each with an index of its own.
const STATES: [(&str, Option<&str>); 9] = [
    ("pending", Some("ready")),
    ("pending", Some("scheduled")),
    ("pending", Some("blocked")),
    ("waiting", None),
    ("running", None),
    ("completed", None),
    ("failed", None),
    ("timed_out", None),
    ("canceled", None),
];

pub(super) async fn stats(db: &DatabaseConnection, seen: Option<Expr>) -> Result<Stats, DbErr> {
    let mut jobs: BTreeMap<(String, String), JobStats> = BTreeMap::new();
    let mut hosted = BTreeMap::new();
    let registered = job::Entity::find()
        .select_only()
        .columns([job::Column::Type, job::Column::Pool])
        .column_as(job::Column::GoneAt.is_null(), "is_hosted")
        .into_tuple::<(String, String, bool)>();
    for (job_type, pool, is_hosted) in registered.all(db).await? {
        jobs.entry((pool, job_type.clone())).or_default();
        hosted.insert(job_type, is_hosted);
    }
    let mut is_partial = false;
    for (status, readiness) in STATES {
        let mut counted = 0;
        for row in db
            .query_all(&count(db, status, readiness, seen.clone())?)
            .await?
        {
            let key = (row.try_get("", "pool")?, row.try_get("", "job_type")?);
            let number: i64 = row.try_get("", "number")?;
            let number = u64::try_from(number).unwrap_or(0);
            counted += number;
            let job = jobs.entry(key).or_default();
            *job.of(status, readiness) = number;
            if readiness == Some("ready") {
                let oldest: DateTime<Utc> = row.try_get("", "oldest")?;
                let now: DateTime<Utc> = row.try_get("", "now")?;
                let age = (now - oldest).num_seconds();
                job.oldest_ready_seconds = Some(u64::try_from(age).unwrap_or(0));
            }
        }
        is_partial |= counted >= MOST;
    }
    let jobs = jobs
        .into_iter()
        .map(|((pool, job_type), job)| JobStats {
            is_hosted: hosted.get(&job_type).copied().unwrap_or(false),
            pool,
            job_type,
            ..job
        })
        .collect();
    Ok(Stats { jobs, is_partial })
}

fn count(
    db: &DatabaseConnection,
    status: &'static str,
    readiness: Option<&'static str>,
    seen: Option<Expr>,
) -> Result<SelectStatement, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(db)?;
    let is_over = !matches!(status, "pending" | "waiting" | "running");
    let some = Query::select()
        .columns([C::Pool, C::JobType, C::RunAt])
        .from(job_run::Entity)
        .and_where(Expr::col(C::Status).eq(literal(status)))
        .and_where_option(readiness.map(|it| Expr::col(C::Readiness).eq(literal(it))))
        .and_where_option(is_over.then(|| C::FinishedAt.is_not_null()))
        .and_where_option(is_over.then(|| Expr::col(C::FinishedAt).gt(ago(dialect, HOUR))))
        .and_where_option(seen)
        .limit(MOST)
        .to_owned();
    Ok(Query::select()
        .columns([C::Pool, C::JobType])
        .expr_as(Expr::col(C::JobType).count(), "number")
        .expr_as(Expr::col(C::RunAt).min(), "oldest")
        .expr_as(dialect.now(), "now")
        .from_subquery(some, "some_runs")
        .group_by_columns([C::Pool, C::JobType])
        .to_owned())
}

impl JobStats {
    fn of(&mut self, status: &str, readiness: Option<&str>) -> &mut u64 {
        match (status, readiness) {
            (_, Some("ready")) => &mut self.ready,
            (_, Some("scheduled")) => &mut self.scheduled,
            (_, Some(_)) => &mut self.blocked,
            ("waiting", _) => &mut self.waiting,
            ("running", _) => &mut self.running,
            ("completed", _) => &mut self.completed,
            ("failed", _) => &mut self.failed,
            ("timed_out", _) => &mut self.timed_out,
            _ => &mut self.canceled,
        }
    }
}
