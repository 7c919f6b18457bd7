//! Claims from a pool whose limit holds over all workers.

use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement, UpdateStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, QueryResult};

use crate::database::{begin_short, literal, retrying, update_picked_in};
use crate::failpoint;

use super::super::entities::{job_pool, job_run};
use super::COLUMNS;

/// Takes what the pool's limit leaves of `limit`; `None` if the pool has none. The claims of a limited pool follow one
/// another: each sees what the ones before it took.
pub(super) async fn claim(
    db: &DatabaseConnection,
    pool: &str,
    picked: &SelectStatement,
    limit: u64,
    update: UpdateStatement,
) -> Result<Option<Vec<QueryResult>>, DbErr> {
    if db.query_one(&run_limit(pool)).await?.is_none() {
        return Ok(None);
    }
    // Who finds nothing to take must not keep the others waiting.
    if db.query_one(picked.clone().limit(1)).await?.is_none() {
        return Ok(Some(Vec::new()));
    }
    let taken = retrying(db, || take(db, pool, picked, limit, update.clone())).await?;
    Ok(Some(taken))
}

async fn take(
    db: &DatabaseConnection,
    pool: &str,
    picked: &SelectStatement,
    limit: u64,
    update: UpdateStatement,
) -> Result<Vec<QueryResult>, DbErr> {
    let tx = begin_short(db).await?;
    let row = tx.query_one(run_limit(pool).lock(LockType::Update)).await?;
    // Without a limit by now: the next claim is like any other pool's.
    let Some(row) = row else {
        return Ok(Vec::new());
    };
    let most: i32 = row.try_get("", "run_limit")?;
    let running = Query::select()
        .expr_as(Expr::col(job_run::Column::Id).count(), "running")
        .from(job_run::Entity)
        .and_where(Expr::col(job_run::Column::Status).eq(literal("running")))
        .and_where(job_run::Column::Pool.eq(pool))
        .to_owned();
    let running: i64 = match tx.query_one(&running).await? {
        Some(row) => row.try_get("", "running")?,
        None => 0,
    };
    let free = u64::try_from(i64::from(most).saturating_sub(running)).unwrap_or(0);
    if free == 0 {
        tx.rollback().await?;
        return Ok(Vec::new());
    }
    let limit = Ord::min(limit, free);
    let rows = update_picked_in::<job_run::Entity>(&tx, picked, limit, update, COLUMNS).await?;
    failpoint::before("jobs.claim_limited");
    tx.commit().await?;
    failpoint::after("jobs.claim_limited");
    Ok(rows)
}

fn run_limit(pool: &str) -> SelectStatement {
    use job_pool::Column as P;

    Query::select()
        .column(P::RunLimit)
        .from(job_pool::Entity)
        .and_where(P::Name.eq(pool))
        .and_where(P::RunLimit.is_not_null())
        .to_owned()
}
