//! Moving runs in time, and what is done to all runs about one thing.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, Order, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, FromQueryResult,
};
use uuid::Uuid;

use crate::database::{begin_patient, dialect, retrying};
use crate::failpoint;

use super::cancel::{Cancelled, cancel_in, locked_status};
use super::entities::job_run;
use super::{Collision, RunId, RunStatus, release};

/// How many runs are changed in one transaction.
const BATCH: u64 = 100;

/// What moving a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescheduled {
    /// It waits for the new time.
    Pending,
    /// Nothing: only a run that waits for a worker can be moved.
    Refused(RunStatus),
    /// There is no such run.
    NotFound,
}

/// How many runs a cancellation reached.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ScopeCancelled {
    /// Runs that waited and are over now.
    pub at_once: u64,
    /// Runs that are running; their workers will stop them.
    pub requested: u64,
}

/// What the runs are about, and which of them may be seen.
#[derive(Debug)]
pub(super) struct About {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) seen: Option<Expr>,
}

impl About {
    // Oldest first: a parent comes before its children.
    fn runs(&self, after: Option<Uuid>) -> SelectStatement {
        use job_run::Column as C;

        let mut select = Query::select();
        select
            .from(job_run::Entity)
            .and_where(C::ScopeId.eq(&self.id))
            .and_where(C::ScopeType.eq(&self.kind))
            .and_where_option(self.seen.clone())
            .order_by(C::Id, Order::Asc);
        if let Some(after) = after {
            select.and_where(C::Id.gt(after));
        }
        select
    }
}

/// Not before `at`, for a run that waits.
pub(super) async fn reschedule(
    db: &DatabaseConnection,
    id: RunId,
    at: DateTime<Utc>,
) -> Result<Rescheduled, DbErr> {
    retrying(db, || async move {
        let tx = begin_patient(db).await?;
        let Some(status) = locked_status(&tx, id.0).await? else {
            return Ok(Rescheduled::NotFound);
        };
        let mut which = Query::select();
        which
            .from(job_run::Entity)
            .and_where(job_run::Column::Id.eq(id.0));
        if move_pending(&tx, which, at).await?.is_empty() {
            let status = RunStatus::from_name(&status).unwrap_or(RunStatus::Pending);
            return Ok(Rescheduled::Refused(status));
        }
        tx.commit().await?;
        Ok(Rescheduled::Pending)
    })
    .await
}

/// Not before `at`, for all runs of the scope that wait. Returns how many there were.
pub(super) async fn reschedule_scope(
    db: &DatabaseConnection,
    about: &About,
    at: DateTime<Utc>,
) -> Result<u64, DbErr> {
    let mut moved = 0;
    let mut after = None;
    loop {
        let ids = retrying(db, || async move {
            let tx = begin_patient(db).await?;
            let mut which = about.runs(after);
            which.limit(BATCH);
            let ids = move_pending(&tx, which, at).await?;
            tx.commit().await?;
            Ok(ids)
        })
        .await?;
        let Some(last) = ids.last() else {
            return Ok(moved);
        };
        after = Some(*last);
        moved += u64::try_from(ids.len()).unwrap_or(0);
    }
}

/// Cancels all runs of the scope that are not over, and by their policies what is below them.
pub(super) async fn cancel_scope(
    db: &DatabaseConnection,
    about: &About,
) -> Result<ScopeCancelled, DbErr> {
    use job_run::Column as C;

    let mut cancelled = ScopeCancelled::default();
    let mut after = None;
    loop {
        let batch = about
            .runs(after)
            .column(C::Id)
            .and_where(C::Status.is_in(["pending", "waiting", "running"]))
            .limit(BATCH)
            .to_owned();
        let ids = db
            .query_all(&batch)
            .await?
            .iter()
            .map(|row| row.try_get("", "id"))
            .collect::<Result<Vec<Uuid>, _>>()?;
        let Some(last) = ids.last() else {
            return Ok(cancelled);
        };
        after = Some(*last);
        for id in ids {
            let outcome = retrying(db, || async move {
                let tx = begin_patient(db).await?;
                let outcome = cancel_in(&tx, id).await?;
                failpoint::before("jobs.cancel_scope");
                tx.commit().await?;
                failpoint::after("jobs.cancel_scope");
                Ok(outcome)
            });
            match outcome.await? {
                Cancelled::AtOnce => cancelled.at_once += 1,
                Cancelled::Requested => cancelled.requested += 1,
                // It ended meanwhile, or with its parent just now.
                Cancelled::AlreadyOver(_) | Cancelled::NotFound => {}
            }
        }
    }
}

#[derive(Debug, FromQueryResult)]
struct Pending {
    id: Uuid,
    started_at: Option<DateTime<Utc>>,
    concurrency_key: Option<String>,
    active_key: Option<String>,
    collision: Option<String>,
}

// Moves those of the selected runs that are pending; returns which they were.
async fn move_pending(
    tx: &DatabaseTransaction,
    mut which: SelectStatement,
    at: DateTime<Utc>,
) -> Result<Vec<Uuid>, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(tx)?;
    which
        .columns([
            C::Id,
            C::StartedAt,
            C::ConcurrencyKey,
            C::ActiveKey,
            C::Collision,
        ])
        .and_where(C::Status.eq("pending"))
        .lock(LockType::Update);
    let runs = tx
        .query_all(&which)
        .await?
        .iter()
        .map(|row| Pending::from_query_result(row, ""))
        .collect::<Result<Vec<_>, _>>()?;
    let (kept, queueing): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.keeps_its_place());
    let set = |ids: Vec<Uuid>| {
        Query::update()
            .table(job_run::Entity)
            .value(C::RunAt, dialect.moment(at))
            .and_where(C::Id.is_in(ids))
            .to_owned()
    };
    if !kept.is_empty() {
        let due = Expr::case(dialect.moment(at).lte(dialect.now()), "ready").finally("scheduled");
        let mut update = set(kept.iter().map(|run| run.id).collect());
        update.value(C::Readiness, due);
        tx.execute(&update).await?;
    }
    if !queueing.is_empty() {
        let mut update = set(queueing.iter().map(|run| run.id).collect());
        update
            .value(C::Readiness, "scheduled")
            .value(C::ActiveKey, Expr::null());
        tx.execute(&update).await?;
        for run in queueing {
            if let Some(key) = &run.active_key {
                release::release(tx, key).await?;
            }
        }
    }
    Ok(runs.iter().map(|run| run.id).collect())
}

impl Pending {
    // A run that has not begun gets in line again for its key when its time has come. One that has begun keeps the key,
    // though its attempt was handed back or put off, and a rejecting one has it from its start.
    fn keeps_its_place(&self) -> bool {
        self.concurrency_key.is_none()
            || self.collision.as_deref() == Some(Collision::Reject.as_str())
            || (self.started_at.is_some() && self.active_key.is_some())
    }
}
