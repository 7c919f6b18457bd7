//! Taking over what dead workers held.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    FromQueryResult, QueryResult,
};
use uuid::Uuid;

use crate::database::{Dialect, begin_short, dialect, literal, read_row, retrying};
use crate::failpoint;

use super::close::close_children;
use super::complete::{end, over, stored};
use super::entities::{job_run, job_worker};
use super::record::AttemptError;
use super::unreadable::{attempt_of, end_unreadable};
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

/// Takes over the runs of every worker whose lease has run out, or whose row is gone. A run that the database refuses to
/// change, because somebody has edited its row, is passed over; so are those of workers
/// that are known to be holding their lease.
pub(crate) async fn rescue(
    db: &DatabaseConnection,
    max_recoveries: i32,
    holding: &[Uuid],
) -> Result<Rescued, DbErr> {
    let dialect = dialect(db)?;
    let mut rescued = Rescued::default();
    let mut after = Uuid::nil();
    loop {
        // A cheap look first: on SQLite the transaction takes the write lock.
        let select = lost_runs(dialect)
            .and_where(job_run::Column::Id.gt(after))
            .cond_where(not_of(holding))
            .to_owned();
        let rows = db.query_all(&select).await?;
        let mut ids = Vec::with_capacity(rows.len());
        let mut last = None;
        for row in &rows {
            let Ok(id) = row.try_get("", "id") else {
                continue;
            };
            last = Some(id);
            match read_row::<Lost>(row) {
                Ok(_) => ids.push(id),
                Err(error) => match give_up(db, id, row, &error).await {
                    Ok(()) => rescued.given_up += 1,
                    Err(error) if dialect.is_outage(&error) => return Err(error),
                    Err(error) => {
                        tracing::warn!(run = %id, %error, "a lost run cannot be read, nor ended");
                    }
                },
            }
        }
        let Some(last) = last else {
            return Ok(rescued);
        };
        after = last;
        match take_over_all(db, &ids, max_recoveries, holding).await {
            Ok(done) => rescued.add(done),
            Err(error) if dialect.is_outage(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "lost runs could not be taken over together; trying one by one");
                for id in ids {
                    match take_over_all(db, &[id], max_recoveries, holding).await {
                        Ok(done) => rescued.add(done),
                        Err(error) if dialect.is_outage(&error) => return Err(error),
                        Err(error) => {
                            tracing::warn!(run = %id, %error, "a lost run cannot be taken over");
                        }
                    }
                }
            }
        }
    }
}

impl Rescued {
    fn add(&mut self, more: Self) {
        self.taken_over += more.taken_over;
        self.given_up += more.given_up;
    }
}

async fn give_up(
    db: &DatabaseConnection,
    id: Uuid,
    row: &QueryResult,
    why: &DbErr,
) -> Result<(), DbErr> {
    let lost = is_lost(dialect(db)?);
    end_unreadable(db, id, attempt_of(row), lost, why)
        .await
        .map(drop)
}

async fn take_over_all(
    db: &DatabaseConnection,
    ids: &[Uuid],
    max_recoveries: i32,
    holding: &[Uuid],
) -> Result<Rescued, DbErr> {
    retrying(db, || try_take_over_all(db, ids, max_recoveries, holding)).await
}

// In one transaction; those that another worker is just taking over are left to it.
async fn try_take_over_all(
    db: &DatabaseConnection,
    ids: &[Uuid],
    max_recoveries: i32,
    holding: &[Uuid],
) -> Result<Rescued, DbErr> {
    let dialect = dialect(db)?;
    let tx = begin_short(db).await?;
    let select = lost_runs(dialect)
        .and_where(job_run::Column::Id.is_in(ids.iter().copied()))
        .cond_where(not_of(holding))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .to_owned();
    let mut rescued = Rescued::default();
    for row in tx.query_all(&select).await? {
        let run = read_row(&row)?;
        if take_over(&tx, dialect, &run, max_recoveries).await? {
            rescued.taken_over += 1;
        } else {
            rescued.given_up += 1;
        }
    }
    failpoint::before("jobs.take_over");
    tx.commit().await?;
    failpoint::after("jobs.take_over");
    Ok(rescued)
}

fn not_of(holding: &[Uuid]) -> Condition {
    let worker = job_run::Column::WorkerId;
    Condition::any()
        .add(worker.is_null())
        .add(worker.is_not_in(holding.iter().copied()))
}

fn is_lost(dialect: &dyn Dialect) -> Condition {
    use job_run::Column as C;
    use job_worker::Column as W;

    let alive = Query::select()
        .expr(Expr::val(1))
        .from(job_worker::Entity)
        .and_where(Expr::col((job_worker::Entity, W::Id)).equals((job_run::Entity, C::WorkerId)))
        .and_where(Expr::col((job_worker::Entity, W::ExpiresAt)).gt(dialect.real_now()))
        .to_owned();
    Condition::all()
        .add(Expr::col(C::Status).eq(literal("running")))
        .add(Expr::exists(alive).not())
}

fn lost_runs(dialect: &dyn Dialect) -> sea_orm::sea_query::SelectStatement {
    use job_run::Column as C;

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
        .cond_where(is_lost(dialect))
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
