//! Taking over what dead workers held.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    FromQueryResult,
};
use uuid::Uuid;

use crate::database::{Dialect, begin_short, dialect, literal};
use crate::failpoint;

use super::close::close_children;
use super::complete::{end, over, stored};
use super::entities::{job_run, job_worker};
use super::record::AttemptError;
use super::{RunStatus, release};

const BATCH: u64 = 500;

/// What a rescue did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rescued {
    /// Runs that wait for a worker again.
    pub(crate) taken_over: usize,
    /// Runs that were given up: they have outlived too many workers, or were to be cancelled.
    pub(crate) given_up: usize,
}

#[derive(Debug, FromQueryResult)]
struct Lost {
    id: Uuid,
    fence: i64,
    attempt: i32,
    recoveries: i32,
    worker_id: Option<Uuid>,
    claimed_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

/// Takes over the runs of every worker whose lease has run out, or whose row is gone.
pub(crate) async fn rescue(db: &DatabaseConnection, max_recoveries: i32) -> Result<Rescued, DbErr> {
    let dialect = dialect(db)?;
    let mut rescued = Rescued::default();
    // A cheap look first: on SQLite the transaction takes the write lock.
    while db.query_one(&lost_runs(dialect)).await?.is_some() {
        let tx = begin_short(db).await?;
        let select = lost_runs(dialect)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        let lost = tx
            .query_all(&select)
            .await?
            .iter()
            .map(|row| Lost::from_query_result(row, ""))
            .collect::<Result<Vec<_>, _>>()?;
        if lost.is_empty() {
            break;
        }
        for run in lost {
            if take_over(&tx, dialect, &run, max_recoveries).await? {
                rescued.taken_over += 1;
            } else {
                rescued.given_up += 1;
            }
        }
        failpoint::before("jobs.take_over");
        tx.commit().await?;
        failpoint::after("jobs.take_over");
    }
    Ok(rescued)
}

fn lost_runs(dialect: &dyn Dialect) -> sea_orm::sea_query::SelectStatement {
    use job_run::Column as C;
    use job_worker::Column as W;

    let alive = Query::select()
        .expr(Expr::val(1))
        .from(job_worker::Entity)
        .and_where(Expr::col((job_worker::Entity, W::Id)).equals((job_run::Entity, C::WorkerId)))
        .and_where(Expr::col((job_worker::Entity, W::ExpiresAt)).gt(dialect.now()))
        .to_owned();
    Query::select()
        .columns([
            C::Id,
            C::Fence,
            C::Attempt,
            C::Recoveries,
            C::WorkerId,
            C::ClaimedAt,
            C::CancelRequestedAt,
        ])
        .expr_as(dialect.now(), "now")
        .from(job_run::Entity)
        .and_where(Expr::col(C::Status).eq(literal("running")))
        .and_where(Expr::exists(alive).not())
        .order_by(C::Id, sea_orm::sea_query::Order::Asc)
        .limit(BATCH)
        .to_owned()
}

async fn take_over(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    run: &Lost,
    max_recoveries: i32,
) -> Result<bool, DbErr> {
    use job_run::Column as C;

    let mut error = AttemptError {
        attempt: run.attempt,
        outcome: "lost".to_owned(),
        error: "its worker died or was cut off".to_owned(),
        backtrace: None,
        worker_id: run.worker_id,
        started_at: run.claimed_at,
        ended_at: Some(run.now),
    };
    let dead_letter = run.recoveries >= max_recoveries;
    if dead_letter || run.cancel_requested_at.is_some() {
        let status = if run.cancel_requested_at.is_some() {
            RunStatus::Canceled
        } else {
            error.error = format!(
                "given up: {} workers died or were cut off while they executed it",
                run.recoveries + 1
            );
            RunStatus::Failed
        };
        let mut update = over(dialect, status, &error)?;
        update.value(C::Recoveries, Expr::col(C::Recoveries).add(1));
        let held = Condition::all()
            .add(C::Id.eq(run.id))
            .add(C::Fence.eq(run.fence));
        if let Some(key) = end(tx, update, held).await? {
            if let Some(key) = key {
                release::release(tx, &key).await?;
            }
            close_children(tx, [run.id]).await?;
        }
        return Ok(false);
    }
    let update = Query::update()
        .table(job_run::Entity)
        .value(C::Status, "pending")
        .value(C::Readiness, "ready")
        .value(C::Recoveries, Expr::col(C::Recoveries).add(1))
        .value(C::Error, error.error.clone())
        .value(
            C::Errors,
            dialect.append_json(Expr::col(C::Errors), stored(&error)?),
        )
        .and_where(C::Id.eq(run.id))
        .and_where(C::Fence.eq(run.fence))
        .to_owned();
    tx.execute(&update).await?;
    Ok(true)
}
