//! Putting a run that is over back to where a worker takes it up again.

use sea_orm::sea_query::{Condition, Expr, ExprTrait, LockType, Order, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, SqlErr,
};
use uuid::Uuid;

use crate::database::{begin_patient, dialect, read_one, retrying, rows_per_statement};

use super::entities::{job, job_dedupe, job_run, job_step};
use super::{Collision, RunId, RunStatus};

/// How often a replay is decided anew because another run took its key meanwhile.
const DECISIONS: usize = 8;

/// What a replayed run executes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Replay {
    /// Every step.
    Scratch,
    /// The last completed step, and what comes after it.
    LastStep,
    /// What comes after the last completed step. A wait that was under way begins anew.
    LastCheckpoint,
}

/// What a replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// The run waits for a worker again.
    Pending,
    /// Nothing: a run of this status is not replayed.
    Refused(RunStatus),
    /// Nothing: this run holds the concurrency key, and the policy says [`Collision::Reject`].
    KeyTaken(RunId),
    /// Nothing: the deduplication window is open for this run.
    Deduplicated(RunId),
    /// There is no such run.
    NotFound,
}

/// Replays a run whose status `may_replay` allows.
pub(crate) async fn replay(
    db: &DatabaseConnection,
    id: RunId,
    replay: Replay,
    may_replay: fn(RunStatus) -> bool,
) -> Result<Replayed, DbErr> {
    let mut decisions = 1;
    loop {
        let replayed = retrying(db, || async move {
            let tx = begin_patient(db).await?;
            let replayed = replay_in(&tx, id.0, replay, may_replay).await?;
            tx.commit().await?;
            Ok(replayed)
        });
        match replayed.await {
            // A start took the key in between; the next look sees it.
            Err(error)
                if decisions < DECISIONS
                    && matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) =>
            {
                decisions += 1;
            }
            result => return result,
        }
    }
}

// The run first, then the children that its end took along: without them it could not succeed.
async fn replay_in(
    tx: &DatabaseTransaction,
    id: Uuid,
    replay: Replay,
    may_replay: fn(RunStatus) -> bool,
) -> Result<Replayed, DbErr> {
    use job_run::Column as C;

    hold_relatives(tx, id).await?;
    let replayed = put_back(tx, id, replay, may_replay).await?;
    if replayed != Replayed::Pending {
        return Ok(replayed);
    }
    let mut parents = vec![id];
    while let Some(parent) = parents.pop() {
        let closed = job_run::Entity::find()
            .select_only()
            .column(C::Id)
            .filter(C::ParentRunId.eq(parent))
            .filter(C::ClosedByParent.eq(true))
            .order_by_asc(C::Id)
            .into_tuple::<Uuid>()
            .all(tx)
            .await?;
        for child in closed {
            if take_back(tx, child).await? {
                parents.push(child);
            }
        }
    }
    Ok(replayed)
}

// Clearing away passes over what is locked: the run's parent, and the children that it found, stay for it or are gone
// before.
async fn hold_relatives(tx: &DatabaseTransaction, id: Uuid) -> Result<(), DbErr> {
    use job_run::Column as C;
    use job_step::Column as S;

    let parent = Query::select()
        .expr_as(Expr::col(C::ParentRunId), "id")
        .from(job_run::Entity)
        .and_where(C::Id.eq(id))
        .and_where(C::ParentRunId.is_not_null())
        .to_owned();
    let found = Query::select()
        .expr_as(Expr::col((job_run::Entity, C::Id)), "id")
        .from(job_step::Entity)
        .inner_join(
            job_run::Entity,
            Expr::col((job_run::Entity, C::Id)).equals((job_step::Entity, S::ChildRunId)),
        )
        .and_where(S::RunId.eq(id))
        .cond_where(
            Condition::any()
                .add(C::ParentRunId.is_null())
                .add(C::ParentRunId.ne(id)),
        )
        .to_owned();
    let mut relatives = Vec::new();
    for select in [parent, found] {
        for row in tx.query_all(&select).await? {
            relatives.push(row.try_get::<Uuid>("", "id")?);
        }
    }
    for relatives in relatives.chunks(rows_per_statement(dialect(tx)?, 1)) {
        let lock = Query::select()
            .column(C::Id)
            .from(job_run::Entity)
            .and_where(C::Id.is_in(relatives.iter().copied()))
            .order_by(C::Id, Order::Asc)
            .lock(LockType::Share)
            .to_owned();
        tx.query_all(&lock).await?;
    }
    Ok(())
}

// A child that is still stopping keeps its worker: the end of its attempt finds that nobody wants it stopped any more.
async fn take_back(tx: &DatabaseTransaction, id: Uuid) -> Result<bool, DbErr> {
    use job_run::Column as C;

    let going_on = Query::update()
        .table(job_run::Entity)
        .value(C::CancelRequestedAt, Expr::null())
        .value(C::ClosedByParent, false)
        .value(C::Error, Expr::null())
        .and_where(C::Id.eq(id))
        .and_where(C::Status.is_in(["pending", "waiting", "running"]))
        .to_owned();
    if tx.execute(&going_on).await?.rows_affected() > 0 {
        return Ok(true);
    }
    let canceled = |status| status == RunStatus::Canceled;
    Ok(put_back(tx, id, Replay::LastCheckpoint, canceled).await? == Replayed::Pending)
}

async fn put_back(
    tx: &DatabaseTransaction,
    id: Uuid,
    replay: Replay,
    may_replay: fn(RunStatus) -> bool,
) -> Result<Replayed, DbErr> {
    let locked = job_run::Entity::find_by_id(id).lock(LockType::Update);
    let Some(run) = read_one(tx, locked).await? else {
        return Ok(Replayed::NotFound);
    };
    let status = RunStatus::from_name(&run.status).unwrap_or(RunStatus::Pending);
    if !status.is_final() || !may_replay(status) {
        return Ok(Replayed::Refused(status));
    }
    if let Some(other) = open_window(tx, &run).await? {
        return Ok(Replayed::Deduplicated(other));
    }
    let rejects = run.collision.as_deref() == Some(Collision::Reject.as_str());
    if rejects && let Some(other) = holder(tx, &run).await? {
        return Ok(Replayed::KeyTaken(other));
    }
    forget_steps(tx, id, replay).await?;
    let admitted = rejects || run.concurrency_key.is_none();
    update(tx, &run, admitted, rejects).await?;
    Ok(Replayed::Pending)
}

// The run that the deduplication key stands for now, where it is another one.
async fn open_window(
    tx: &DatabaseTransaction,
    run: &job_run::Model,
) -> Result<Option<RunId>, DbErr> {
    use job_dedupe::Column as D;

    let Some(key) = &run.dedupe_key else {
        return Ok(None);
    };
    let open = job_dedupe::Entity::find_by_id(key)
        .select_only()
        .column(D::RunId)
        .filter(Expr::col(D::ExpiresAt).gt(dialect(tx)?.now()))
        .filter(D::RunId.ne(run.id))
        .lock(LockType::Share)
        .into_tuple::<Uuid>()
        .one(tx)
        .await?;
    Ok(open.map(RunId))
}

async fn holder(tx: &DatabaseTransaction, run: &job_run::Model) -> Result<Option<RunId>, DbErr> {
    let Some(key) = &run.concurrency_key else {
        return Ok(None);
    };
    let holder = job_run::Entity::find()
        .select_only()
        .column(job_run::Column::Id)
        .filter(job_run::Column::ActiveKey.eq(key))
        .into_tuple::<Uuid>()
        .one(tx)
        .await?;
    Ok(holder.map(RunId))
}

async fn forget_steps(tx: &DatabaseTransaction, id: Uuid, replay: Replay) -> Result<(), DbErr> {
    use job_step::Column as S;

    let mut delete = Query::delete();
    delete
        .from_table(job_step::Entity)
        .and_where(S::RunId.eq(id));
    // A wait that the run's end has cut short begins anew.
    let mut waits = delete.clone();
    waits.and_where(S::Status.is_in(["waiting", "abandoned"]));
    tx.execute(&waits).await?;
    match replay {
        Replay::Scratch => {}
        Replay::LastCheckpoint => return Ok(()),
        Replay::LastStep => {
            // Children and waits are no work to do again.
            let last = job_step::Entity::find()
                .select_only()
                .column(S::Position)
                .filter(S::RunId.eq(id))
                .filter(S::Status.eq("completed"))
                .filter(S::Kind.eq("step"))
                .order_by_desc(S::Position)
                .order_by_desc(S::FinishedAt)
                .into_tuple::<i32>()
                .one(tx)
                .await?;
            let Some(last) = last else { return Ok(()) };
            delete.and_where(S::Position.gte(last));
        }
    }
    tx.execute(&delete).await.map(drop)
}

// The history of errors stays; the fence grows, so that nothing of an earlier claim holds.
async fn update(
    tx: &DatabaseTransaction,
    run: &job_run::Model,
    admitted: bool,
    takes_key: bool,
) -> Result<(), DbErr> {
    use job_run::Column as C;

    let none = || Expr::null();
    let pool = job::Entity::find_by_id(&run.job_type)
        .select_only()
        .column(job::Column::Pool)
        .into_tuple::<String>()
        .one(tx)
        .await?
        .unwrap_or_else(|| run.pool.clone());
    let key = run.concurrency_key.clone().filter(|_| takes_key);
    let update = Query::update()
        .table(job_run::Entity)
        .value(C::Status, "pending")
        .value(C::Readiness, if admitted { "ready" } else { "scheduled" })
        .value(C::Pool, pool)
        .value(C::RunAt, dialect(tx)?.now())
        .value(C::Attempt, 0)
        .value(C::Recoveries, 0)
        .value(C::Snoozes, 0)
        .value(C::Fence, Expr::col(C::Fence).add(1))
        .value(C::WorkerId, none())
        .value(C::ActiveKey, key)
        .value(C::DeadlineAt, none())
        .value(C::StartedAt, none())
        .value(C::ClaimedAt, none())
        .value(C::FinishedAt, none())
        .value(C::CancelRequestedAt, none())
        .value(C::ClosedByParent, false)
        .value(C::Output, none())
        .value(C::Error, none())
        .and_where(C::Id.eq(run.id))
        .to_owned();
    tx.execute(&update).await.map(drop)
}
