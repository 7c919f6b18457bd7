//! Taking runs: decided and recorded in one statement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query, SelectStatement, UpdateStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr, FromQueryResult,
    QueryResult,
};
use serde_json::Value;
use uuid::Uuid;

use crate::database::{Dialect, dialect, literal, read_row, update_picked};
use crate::failpoint;

use super::RunId;
use super::complete::end_canceled;
use super::context::Claim;
use super::entities::{job_pool, job_run, job_worker};
use super::hosted::Hosted;
use super::unreadable::{attempt_of, end_unreadable};

/// A run that this worker has to execute now.
#[derive(Debug)]
pub(crate) struct ClaimedRun {
    pub(crate) claim: Claim,
    pub(crate) job_type: String,
    pub(crate) input: Value,
    pub(crate) tenant_id: Option<String>,
    /// The event that caused it.
    pub(crate) event_id: Option<Uuid>,
    /// The trace that it was started in.
    pub(crate) traceparent: Option<Arc<str>>,
    /// The version of the job that it was started with.
    pub(crate) version: i32,
    pub(crate) max_attempts: i32,
    /// How often it was put off.
    pub(crate) snoozes: i32,
    /// Attempts that failed so far: those that died with their worker are not the run's fault.
    pub(crate) failures: i32,
    /// How long it has waited since it was due.
    pub(crate) waited: Duration,
    /// How long it may still take; zero if its time is up.
    pub(crate) time_left: Option<Duration>,
    pub(crate) cancel_requested: bool,
}

/// What a claim took.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) runs: Vec<ClaimedRun>,
    /// Whether the pool has a limit: then the end of a run makes room for another one.
    pub(crate) limited: bool,
}

/// Takes up to `limit` ready runs of a pool: the highest priority first, then the oldest. Takes nothing while this
/// worker's own lease has run out, and nothing from a paused pool.
pub(crate) async fn claim(
    db: &DatabaseConnection,
    worker_id: Uuid,
    pool: &str,
    hosted: &Hosted,
    limit: usize,
) -> Result<Claimed, DbErr> {
    let dialect = dialect(db)?;
    let picked = ready_runs(dialect, worker_id, pool, hosted, Pools::Unlimited);
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let update = take(dialect, worker_id);
    failpoint::before("jobs.claim");
    let mut rows =
        update_picked::<job_run::Entity>(db, &picked, limit, update.clone(), COLUMNS).await?;
    let mut limited = false;
    if rows.is_empty() {
        let picked = ready_runs(dialect, worker_id, pool, hosted, Pools::Limited);
        if let Some(of_limited) = limited::claim(db, pool, &picked, limit, update).await? {
            limited = true;
            rows = of_limited;
        }
    }
    if !rows.is_empty() {
        failpoint::after("jobs.claim");
    }
    let arrived = Instant::now();
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        match read_row::<Taken>(row) {
            Ok(row) => runs.push((
                row.priority,
                row.run_at,
                ClaimedRun::new(row, worker_id, arrived),
            )),
            Err(error) => give_up(db, worker_id, row, &error).await,
        }
    }
    runs.sort_by_key(|(priority, run_at, run)| (-i32::from(*priority), *run_at, run.claim.run_id));
    Ok(Claimed {
        runs: runs.into_iter().map(|(_, _, run)| run).collect(),
        limited,
    })
}

// What the others of its claim must not wait for: where it cannot be ended, it is handed back and claimed again.
async fn give_up(db: &DatabaseConnection, worker_id: Uuid, row: &QueryResult, why: &DbErr) {
    use job_run::Column as C;

    let ended = async {
        let held = Condition::all()
            .add(C::WorkerId.eq(worker_id))
            .add(C::Fence.eq(row.try_get::<i64>("", "fence")?))
            .add(Expr::col(C::Status).eq(literal("running")));
        end_unreadable(db, row.try_get("", "id")?, attempt_of(row), held, why).await
    };
    if let Err(error) = ended.await {
        tracing::error!(%error, %why, "a claimed run cannot be read, nor ended");
    }
}

/// Which pools a claim is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pools {
    Unlimited,
    Limited,
}

/// Hands back the runs of a pool that this worker has claimed and does not know: their claim has committed, and the
/// answer was lost. Everybody else takes them for executed. `is_known` tells by run and fence; no claim of the pool may
/// be under way. Returns how many there were.
pub(crate) async fn hand_back_unknown(
    db: &DatabaseConnection,
    worker_id: Uuid,
    pool: &str,
    is_known: impl Fn(Uuid, i64) -> bool,
) -> Result<u64, DbErr> {
    use job_run::Column as C;

    let claimed = Query::select()
        .columns([C::Id, C::Fence, C::Attempt])
        .from(job_run::Entity)
        .and_where(Expr::col(C::Status).eq(literal("running")))
        .and_where(C::WorkerId.eq(worker_id))
        .and_where(C::Pool.eq(pool))
        .to_owned();
    let mut handed_back = 0;
    for row in db.query_all(&claimed).await? {
        // A row without them is nobody's to hand back; the others are.
        let (Ok(id), Ok(fence)) = (row.try_get("", "id"), row.try_get("", "fence")) else {
            continue;
        };
        if is_known(id, fence) {
            continue;
        }
        let held = Condition::all()
            .add(C::Id.eq(id))
            .add(C::Fence.eq(fence))
            .add(C::WorkerId.eq(worker_id))
            .add(Expr::col(C::Status).eq(literal("running")));
        let mut update = super::complete::hand_back();
        update
            .cond_where(held.clone())
            .and_where(C::CancelRequestedAt.is_null());
        failpoint::before("jobs.hand_back");
        let changed = db.execute(&update).await?.rows_affected();
        failpoint::after("jobs.hand_back");
        // A paused pool would keep it.
        if changed == 0 && end_canceled(db, id, attempt_of(&row), held).await? {
            handed_back += 1;
        }
        handed_back += changed;
    }
    Ok(handed_back)
}

fn ready_runs(
    dialect: &dyn Dialect,
    worker_id: Uuid,
    pool: &str,
    hosted: &Hosted,
    pools: Pools,
) -> SelectStatement {
    use job_run::Column as C;
    use job_worker::Column as W;

    let alive = Query::select()
        .expr(Expr::val(1))
        .from(job_worker::Entity)
        .and_where(Expr::col((job_worker::Entity, W::Id)).eq(worker_id))
        .and_where(Expr::col((job_worker::Entity, W::ExpiresAt)).gt(dialect.real_now()))
        .to_owned();
    let is_paused = Expr::col((job_pool::Entity, job_pool::Column::Paused)).eq(true);
    let is_closed = match pools {
        Pools::Limited => is_paused,
        Pools::Unlimited => {
            is_paused.or(Expr::col((job_pool::Entity, job_pool::Column::RunLimit)).is_not_null())
        }
    };
    let closed = Query::select()
        .expr(Expr::val(1))
        .from(job_pool::Entity)
        .and_where(Expr::col((job_pool::Entity, job_pool::Column::Name)).eq(pool))
        .and_where(is_closed)
        .to_owned();
    Query::select()
        .column(C::Id)
        .from(job_run::Entity)
        .and_where(Expr::col(C::Status).eq(literal("pending")))
        .and_where(Expr::col(C::Readiness).eq(literal("ready")))
        .and_where(C::Pool.eq(pool))
        .cond_where(hosted.condition())
        .and_where(Expr::exists(alive))
        .and_where(Expr::exists(closed).not())
        .order_by(C::Priority, Order::Desc)
        .order_by(C::RunAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .to_owned()
}

fn take(dialect: &dyn Dialect, worker_id: Uuid) -> UpdateStatement {
    use job_run::Column as C;

    let or_now =
        |column: C, otherwise: Expr| Expr::from(Func::coalesce([Expr::col(column), otherwise]));
    Query::update()
        .table(job_run::Entity)
        .value(C::Status, "running")
        .value(C::WorkerId, worker_id)
        .value(C::Attempt, Expr::col(C::Attempt).add(1))
        .value(C::Fence, Expr::col(C::Fence).add(1))
        .value(C::ClaimedAt, dialect.now())
        .value(C::StartedAt, or_now(C::StartedAt, dialect.now()))
        .value(
            C::DeadlineAt,
            or_now(
                C::DeadlineAt,
                dialect.now_plus_milliseconds(Expr::col(C::TimeoutMs)),
            ),
        )
        .to_owned()
}

/// What a claim reads of a run: no more than it needs, so that nothing else can keep the run from being executed.
#[derive(Debug, FromQueryResult)]
struct Taken {
    id: Uuid,
    job_type: String,
    version: i32,
    priority: i16,
    run_at: DateTime<Utc>,
    input: Value,
    attempt: i32,
    max_attempts: i32,
    recoveries: i32,
    snoozes: i32,
    fence: i64,
    deadline_at: Option<DateTime<Utc>>,
    dedupe_key: Option<String>,
    parent_run_id: Option<Uuid>,
    root_run_id: Uuid,
    event_id: Option<Uuid>,
    traceparent: Option<String>,
    tenant_id: Option<String>,
    claimed_at: DateTime<Utc>,
    cancel_requested_at: Option<DateTime<Utc>>,
}

/// The columns of [`Taken`].
const COLUMNS: [job_run::Column; 20] = {
    use job_run::Column as C;
    [
        C::Id,
        C::JobType,
        C::Version,
        C::Priority,
        C::RunAt,
        C::Input,
        C::Attempt,
        C::MaxAttempts,
        C::Recoveries,
        C::Snoozes,
        C::Fence,
        C::DeadlineAt,
        C::DedupeKey,
        C::ParentRunId,
        C::RootRunId,
        C::EventId,
        C::Traceparent,
        C::TenantId,
        C::ClaimedAt,
        C::CancelRequestedAt,
    ]
};

impl ClaimedRun {
    fn new(row: Taken, worker_id: Uuid, arrived: Instant) -> Self {
        let claimed_at = row.claimed_at;
        Self {
            claim: Claim {
                run_id: RunId(row.id),
                root_run_id: RunId(row.root_run_id),
                worker_id,
                fence: row.fence,
                attempt: row.attempt,
                is_awaited: row.parent_run_id.is_some() || row.dedupe_key.is_some(),
                claimed_at,
                arrived,
            },
            job_type: row.job_type,
            input: row.input,
            tenant_id: row.tenant_id,
            event_id: row.event_id,
            traceparent: row.traceparent.map(Arc::from),
            version: row.version,
            max_attempts: row.max_attempts,
            snoozes: row.snoozes,
            failures: row.attempt - 1 - row.recoveries,
            waited: (claimed_at - row.run_at).to_std().unwrap_or_default(),
            time_left: row
                .deadline_at
                .map(|deadline| (deadline - claimed_at).to_std().unwrap_or_default()),
            cancel_requested: row.cancel_requested_at.is_some(),
        }
    }
}

mod limited;
#[cfg(test)]
mod plan_tests;
