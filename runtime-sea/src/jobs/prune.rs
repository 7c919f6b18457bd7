//! Clearing away runs that are over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    Condition, Expr, ExprTrait, IntoIden, LockBehavior, LockType, Order, Query, SelectStatement,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, QueryResult};
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
    let ages = Ages::new(retention);
    let mut pruned = 0;
    for &(status, keep) in &ages.0 {
        // From place to place: what has to stay is passed over, and not looked at again.
        let mut after = None;
        loop {
            let candidates = candidates(db, status, keep, after).await?;
            let Some(last) = candidates.last() else { break };
            after = Some(*last);
            let ids: Vec<_> = candidates.iter().map(|(_, id)| *id).collect();
            pruned += delete_trees(db, &ages, &ids).await?;
        }
    }
    Ok(pruned)
}

/// How long runs are kept once they are over, by their status; of those that are not there, for ever.
struct Ages(Vec<(&'static str, Duration)>);

impl Ages {
    fn new(retention: &Retention) -> Self {
        let ages = [
            ("completed", retention.completed),
            ("failed", retention.failed),
            ("timed_out", retention.failed),
            ("canceled", retention.failed),
        ];
        let kept = ages.into_iter();
        Self(
            kept.filter_map(|(status, keep)| Some((status, keep?)))
                .collect(),
        )
    }

    /// That a run has been over for longer than that.
    fn are_over(&self, dialect: &dyn Dialect, table: impl IntoIden) -> Condition {
        let table = table.into_iden();
        let column = |column| Expr::col((table.clone(), column));
        let mut any = Condition::any();
        for (status, keep) in &self.0 {
            let over = column(job_run::Column::Status)
                .eq(*status)
                .and(column(job_run::Column::FinishedAt).lt(ago(dialect, *keep)));
            any = any.add(over);
        }
        any
    }
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

// The runs, and what is below them: it was passed over while they were there.
async fn delete_trees(db: &DatabaseConnection, ages: &Ages, ids: &[Uuid]) -> Result<u64, DbErr> {
    let deleted = retrying(db, || delete(db, ages, ids)).await?;
    tokio::time::sleep(BREATH).await;
    let mut pruned = deleted.len();
    let mut parents = vec![(deleted, Uuid::nil())];
    while let Some((above, after)) = parents.pop() {
        let children = children(db, &above, after).await?;
        let Some(last) = children.last() else {
            continue;
        };
        parents.push((above, *last));
        let deleted = retrying(db, || delete(db, ages, &children)).await?;
        tokio::time::sleep(BREATH).await;
        pruned += deleted.len();
        parents.push((deleted, Uuid::nil()));
    }
    Ok(u64::try_from(pruned).unwrap_or(u64::MAX))
}

async fn children(
    db: &DatabaseConnection,
    parents: &[Uuid],
    after: Uuid,
) -> Result<Vec<Uuid>, DbErr> {
    use job_run::Column as C;

    if parents.is_empty() {
        return Ok(Vec::new());
    }
    let select = Query::select()
        .column(C::Id)
        .from(job_run::Entity)
        .and_where(C::ParentRunId.is_in(parents.iter().copied()))
        .and_where(C::Id.gt(after))
        .order_by(C::Id, Order::Asc)
        .limit(BATCH)
        .to_owned();
    ids(&db.query_all(&select).await?)
}

async fn delete(db: &DatabaseConnection, ages: &Ages, runs: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(db)?;
    let look = deletable(dialect, ages, runs).limit(1).to_owned();
    if db.query_one(&look).await?.is_none() {
        return Ok(Vec::new());
    }
    let tx = begin_short(db).await?;
    // A replay locks the run, its parent and what it found: what one has in hand is passed over, and what one has
    // changed until then is seen by the look under the lock.
    let lock = Query::select()
        .column(C::Id)
        .from(job_run::Entity)
        .and_where(C::Id.is_in(runs.iter().copied()))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .to_owned();
    let locked = ids(&tx.query_all(&lock).await?)?;
    let deletable = ids(&tx.query_all(&deletable(dialect, ages, &locked)).await?)?;
    let delete = Query::delete()
        .from_table(job_run::Entity)
        .and_where(C::Id.is_in(deletable.iter().copied()))
        .to_owned();
    tx.execute(&delete).await?;
    tx.commit().await?;
    Ok(deletable)
}

fn ids(rows: &[QueryResult]) -> Result<Vec<Uuid>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

// Those of the runs that are old enough and that nobody can come back to: their parent is gone, no run below them is
// unfinished, and none that found them by their deduplication key is kept. Who found them may be below them, so that
// its age is asked for, where of a parent its being there counts.
fn deletable(dialect: &dyn Dialect, ages: &Ages, ids: &[Uuid]) -> SelectStatement {
    use job_run::Column as C;
    use job_step::Column as S;

    let another = |table: &'static str| {
        Query::select()
            .expr(Expr::val(1))
            .from_as(job_run::Entity, table)
            .to_owned()
    };
    let parent = another("parent")
        .and_where(Expr::col(("parent", C::Id)).equals((job_run::Entity, C::ParentRunId)))
        .to_owned();
    let child = another("child")
        .and_where(Expr::col(("child", C::ParentRunId)).equals((job_run::Entity, C::Id)))
        .and_where(
            Expr::col(("child", C::Status)).is_in(["pending", "waiting", "running"].map(literal)),
        )
        .to_owned();
    let finder = another("finder")
        .inner_join(
            job_step::Entity,
            Expr::col((job_step::Entity, S::RunId)).equals(("finder", C::Id)),
        )
        .and_where(Expr::col((job_step::Entity, S::ChildRunId)).equals((job_run::Entity, C::Id)))
        .cond_where(ages.are_over(dialect, "finder").not())
        .to_owned();
    Query::select()
        .column(C::Id)
        .from(job_run::Entity)
        .and_where(C::Id.is_in(ids.iter().copied()))
        .cond_where(ages.are_over(dialect, job_run::Entity))
        .and_where(Expr::exists(parent).not())
        .and_where(Expr::exists(child).not())
        .and_where(Expr::exists(finder).not())
        .to_owned()
}
