//! Clearing away runs that are over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    Condition, Expr, ExprTrait, LockBehavior, LockType, Order, Query, SelectStatement,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr};
use uuid::Uuid;

use crate::Retention;
use crate::database::{CENTURY, Dialect, begin_short, dialect, literal, retrying};

use super::entities::{job_run, job_step};

/// How many runs are looked at, and deleted at most, in one transaction.
const BATCH: u64 = 1000;

/// Time for others between two transactions.
const BREATH: Duration = Duration::from_millis(20);

/// Where a run stands in the order that runs are looked at.
type Place = (DateTime<Utc>, Uuid);

/// Deletes the runs that are older than the retention says. Returns how many there were.
pub(crate) async fn prune(db: &DatabaseConnection, retention: &Retention) -> Result<u64, DbErr> {
    let mut pruned = 0;
    for (status, keep) in [
        ("completed", retention.completed),
        ("failed", retention.failed),
        ("timed_out", retention.failed),
        ("canceled", retention.failed),
    ] {
        let Some(keep) = keep else { continue };
        // From place to place: what has to stay is passed over, and not looked at again.
        let mut after = None;
        loop {
            let candidates = candidates(db, status, keep, after).await?;
            let Some(last) = candidates.last() else { break };
            after = Some(*last);
            let ids: Vec<_> = candidates.iter().map(|(_, id)| *id).collect();
            pruned += retrying(db, || delete(db, status, &ids)).await?;
            tokio::time::sleep(BREATH).await;
        }
    }
    Ok(pruned)
}

async fn candidates(
    db: &DatabaseConnection,
    status: &'static str,
    keep: Duration,
    after: Option<Place>,
) -> Result<Vec<Place>, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(db)?;
    let mut select = Query::select();
    select
        .columns([C::FinishedAt, C::Id])
        .from(job_run::Entity)
        .and_where(C::Status.eq(status))
        .and_where(C::FinishedAt.is_not_null())
        .and_where(Expr::col(C::FinishedAt).lt(ago(dialect, keep)))
        .order_by(C::FinishedAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .limit(BATCH);
    if let Some((at, id)) = after {
        let at = dialect.moment(at);
        select
            .and_where(Expr::col(C::FinishedAt).gte(at.clone()))
            .cond_where(
                Condition::any()
                    .add(Expr::col(C::FinishedAt).gt(at))
                    .add(C::Id.gt(id)),
            );
    }
    db.query_all(&select)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("", "finished_at")?, row.try_get("", "id")?)))
        .collect()
}

/// The database's clock so long ago.
pub(crate) fn ago(dialect: &dyn Dialect, time: Duration) -> Expr {
    dialect.now_plus_seconds(-Ord::min(time, CENTURY).as_secs_f64())
}

async fn delete(db: &DatabaseConnection, status: &str, ids: &[Uuid]) -> Result<u64, DbErr> {
    let mut deletable = deletable(status, ids);
    if db.query_one(deletable.clone().limit(1)).await?.is_none() {
        return Ok(0);
    }
    let tx = begin_short(db).await?;
    // Who replays one of them just now keeps it.
    deletable.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let ids = tx
        .query_all(&deletable)
        .await?
        .iter()
        .map(|row| row.try_get("", "id"))
        .collect::<Result<Vec<Uuid>, _>>()?;
    let delete = Query::delete()
        .from_table(job_run::Entity)
        .and_where(job_run::Column::Id.is_in(ids))
        .to_owned();
    let deleted = tx.execute(&delete).await?.rows_affected();
    tx.commit().await?;
    Ok(deleted)
}

// Those of the runs that nobody needs any more: no run above, below or waiting for it is unfinished.
fn deletable(status: &str, ids: &[Uuid]) -> SelectStatement {
    use job_run::Column as C;
    use job_step::Column as S;

    let unfinished = |table: &'static str| {
        Query::select()
            .expr(Expr::val(1))
            .from_as(job_run::Entity, table)
            .and_where(
                Expr::col((table, C::Status)).is_in(["pending", "waiting", "running"].map(literal)),
            )
            .to_owned()
    };
    let parent = unfinished("parent")
        .and_where(Expr::col(("parent", C::Id)).equals((job_run::Entity, C::ParentRunId)))
        .to_owned();
    let child = unfinished("child")
        .and_where(Expr::col(("child", C::ParentRunId)).equals((job_run::Entity, C::Id)))
        .to_owned();
    let waiting = unfinished("waiting")
        .inner_join(
            job_step::Entity,
            Expr::col((job_step::Entity, S::RunId)).equals(("waiting", C::Id)),
        )
        .and_where(Expr::col((job_step::Entity, S::ChildRunId)).equals((job_run::Entity, C::Id)))
        .to_owned();
    Query::select()
        .column(C::Id)
        .from(job_run::Entity)
        .and_where(C::Id.is_in(ids.iter().copied()))
        .and_where(C::Status.eq(status))
        .and_where(Expr::exists(parent).not())
        .and_where(Expr::exists(child).not())
        .and_where(Expr::exists(waiting).not())
        .to_owned()
}
