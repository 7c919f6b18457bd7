//! The end of an attempt, written under its fence.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Query, UpdateStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter,
};
use serde_json::Value;
use uuid::Uuid;

use crate::database::{
    Completion, Dialect, begin_short, dialect, literal, now_plus, retrying, rows_per_statement,
    update_returning,
};
use crate::failpoint;
use crate::storable::stored_text;

use super::close::close_children;
use super::context::Claim;
use super::entities::{job_run, job_step};
use super::record::AttemptError;
use super::release;

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) claim: Claim,
    pub(crate) kind: EndingKind,
}

#[derive(Debug, Clone)]
pub(crate) enum EndingKind {
    /// The run is completed.
    Completed(Value),
    /// The run waits for another attempt, unless its cancellation was asked for.
    Retry {
        after: Duration,
        error: AttemptError,
    },
    /// The run is put off as if this attempt had not been, unless its cancellation was asked for.
    Snoozed {
        after: Duration,
        error: AttemptError,
    },
    /// The run is over: `failed`, `timed_out` or `canceled`.
    Over {
        status: super::RunStatus,
        error: AttemptError,
    },
    /// The run goes back as if this attempt had not been, unless its cancellation was asked for.
    HandedBack,
    /// The run waits without a worker until one of these waits is over, unless its cancellation was asked for.
    Suspended { waits: Vec<String> },
}

impl EndingKind {
    fn is_final(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Over { .. })
    }

    /// How the attempt ended, in a word.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Completed(_) => "completed",
            Self::Retry { .. } => "retried",
            Self::Snoozed { .. } => "snoozed",
            Self::Over { status, .. } => status.as_str(),
            Self::Suspended { .. } => "suspended",
            Self::HandedBack => "handed_back",
        }
    }
}

/// What writing a batch of endings did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Endings whose claim did not hold any more; nothing of them was written.
    pub(crate) stale: usize,
    /// Whether runs became ready by it.
    pub(crate) released: bool,
    /// Runs that have ended, and that others may wait for.
    pub(crate) awaited: Vec<Uuid>,
}

/// Writes a batch of endings in one transaction. Writing it again after a lost answer changes nothing more.
pub(crate) async fn write(
    db: &DatabaseConnection,
    worker_id: Uuid,
    endings: &[Ending],
) -> Result<Written, DbErr> {
    let dialect = dialect(db)?;
    let tx = begin_short(db).await?;
    let mut written = Written::default();
    let mut free_keys = Vec::new();
    let mut unsuccessful = Vec::new();
    let completions: Vec<_> = endings
        .iter()
        .filter_map(|ending| match &ending.kind {
            EndingKind::Completed(output) => Some(Completion {
                run_id: ending.claim.run_id.0,
                fence: ending.claim.fence,
                output: output.clone(),
            }),
            _ => None,
        })
        .collect();
    if !completions.is_empty() {
        let completed = dialect.complete_runs(&tx, worker_id, &completions).await?;
        written.stale += completions.len().saturating_sub(completed.len());
        let ids: Vec<_> = completed.iter().map(|run| run.run_id).collect();
        abandon_waits(&tx, &ids).await?;
        free_keys.extend(completed.into_iter().filter_map(|run| run.concurrency_key));
    }
    for ending in endings {
        if matches!(ending.kind, EndingKind::Completed(_)) {
            continue;
        }
        match write_one(&tx, dialect, ending).await? {
            OneWritten::Stale => written.stale += 1,
            OneWritten::Waiting => written.released = true,
            OneWritten::Suspended => {}
            OneWritten::Over(key) => {
                free_keys.extend(key);
                unsuccessful.push(ending.claim.run_id.0);
            }
        }
    }
    for key in free_keys {
        written.released |= release::release(&tx, &key).await?;
    }
    let closed = close_children(&tx, unsuccessful.iter().copied()).await?;
    written.released |= closed.released || closed.stopping;
    failpoint::before("jobs.end");
    tx.commit().await?;
    failpoint::after("jobs.end");
    written.awaited = endings
        .iter()
        .filter(|ending| {
            let is_over = ending.kind.is_final() || unsuccessful.contains(&ending.claim.run_id.0);
            ending.claim.is_awaited && is_over
        })
        .map(|ending| ending.claim.run_id.0)
        .collect();
    Ok(written)
}

enum OneWritten {
    Stale,
    Waiting,
    Suspended,
    Over(Option<String>),
}

async fn write_one(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    ending: &Ending,
) -> Result<OneWritten, DbErr> {
    use job_run::Column as C;

    let mut update = Query::update();
    update
        .table(job_run::Entity)
        .cond_where(ending.claim.condition());
    match &ending.kind {
        EndingKind::Completed(_) => return Ok(OneWritten::Stale),
        EndingKind::HandedBack => {
            if let Some(key) = cancel_handed_back(tx, dialect, ending).await? {
                return Ok(OneWritten::Over(key));
            }
            update = hand_back();
            update.cond_where(ending.claim.condition());
        }
        EndingKind::Suspended { waits } => {
            if let Some(written) = suspend(tx, &ending.claim, waits).await? {
                return Ok(written);
            }
            return Ok(match cancel_handed_back(tx, dialect, ending).await? {
                Some(key) => OneWritten::Over(key),
                None => OneWritten::Stale,
            });
        }
        EndingKind::Snoozed { after, error } => {
            if let Some(key) = cancel_instead(tx, dialect, ending, error).await? {
                return Ok(OneWritten::Over(key));
            }
            put_off(&mut update, dialect, *after)
                .value(C::Error, stored_text(&error.error))
                .value(C::Attempt, Expr::col(C::Attempt).sub(1))
                .value(C::Snoozes, Expr::col(C::Snoozes).add(1));
        }
        EndingKind::Retry { after, error } => {
            if let Some(key) = cancel_instead(tx, dialect, ending, error).await? {
                return Ok(OneWritten::Over(key));
            }
            put_off(&mut update, dialect, *after)
                .value(C::Error, stored_text(&error.error))
                .value(
                    C::Errors,
                    dialect.append_json(Expr::col(C::Errors), stored(error)?),
                );
        }
        EndingKind::Over {
            status: super::RunStatus::Canceled,
            error,
        } => {
            if let Some(key) = cancel_instead(tx, dialect, ending, error).await? {
                return Ok(OneWritten::Over(key));
            }
            // Nobody wants it cancelled any more: its parent, whose end had closed it, was replayed.
            update = hand_back();
            update.cond_where(ending.claim.condition());
        }
        EndingKind::Over { status, error } => {
            if *status == super::RunStatus::Failed
                && let Some(key) = cancel_instead(tx, dialect, ending, error).await?
            {
                return Ok(OneWritten::Over(key));
            }
            let update = over(dialect, *status, error)?;
            let ended = end(tx, update, ending.claim.condition()).await?;
            return Ok(ended.map_or(OneWritten::Stale, OneWritten::Over));
        }
    }
    let changed = tx.execute(&update).await?.rows_affected();
    Ok(if changed == 0 {
        OneWritten::Stale
    } else {
        OneWritten::Waiting
    })
}

fn put_off<'a>(
    update: &'a mut UpdateStatement,
    dialect: &dyn Dialect,
    after: Duration,
) -> &'a mut UpdateStatement {
    use job_run::Column as C;

    let readiness = if after.is_zero() {
        "ready"
    } else {
        "scheduled"
    };
    update
        .value(C::Status, "pending")
        .value(C::Readiness, readiness)
        .value(C::RunAt, now_plus(dialect, after))
}

// Who fails after the cancellation was asked for has stopped for it. Returns the concurrency key if so.
async fn cancel_instead(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    ending: &Ending,
    error: &AttemptError,
) -> Result<Option<Option<String>>, DbErr> {
    let canceled = AttemptError {
        outcome: "canceled".to_owned(),
        ..error.clone()
    };
    let asked_for = ending
        .claim
        .condition()
        .add(job_run::Column::CancelRequestedAt.is_not_null());
    let cancel = over(dialect, super::RunStatus::Canceled, &canceled)?;
    end(tx, cancel, asked_for).await
}

// A run that went back with its cancellation asked for would wait for a claim to see to that, which never comes while
// its pool is paused.
async fn cancel_handed_back(
    tx: &DatabaseTransaction,
    dialect: &dyn Dialect,
    ending: &Ending,
) -> Result<Option<Option<String>>, DbErr> {
    let claim = &ending.claim;
    let error = AttemptError {
        worker_id: Some(claim.worker_id),
        started_at: Some(claim.claimed_at),
        ended_at: Some(Ord::max(claim.now(), claim.claimed_at)),
        ..canceled(claim.attempt)
    };
    cancel_instead(tx, dialect, ending, &error).await
}

fn canceled(attempt: i32) -> AttemptError {
    AttemptError {
        attempt,
        outcome: "canceled".to_owned(),
        error: "cancelled before it went on".to_owned(),
        backtrace: None,
        worker_id: None,
        started_at: None,
        ended_at: None,
    }
}

/// Ends a run whose cancellation was asked for, where `held` holds. Returns whether it did.
pub(crate) async fn end_canceled(
    db: &DatabaseConnection,
    id: Uuid,
    attempt: i32,
    held: Condition,
) -> Result<bool, DbErr> {
    let asked_for = held.add(job_run::Column::CancelRequestedAt.is_not_null());
    retrying(db, || async {
        let tx = begin_short(db).await?;
        let cancel = over(dialect(db)?, super::RunStatus::Canceled, &canceled(attempt))?;
        let ended = end(&tx, cancel, asked_for.clone()).await?;
        if let Some(key) = &ended {
            if let Some(key) = key {
                release::release(&tx, key).await?;
            }
            close_children(&tx, [id]).await?;
        }
        failpoint::before("jobs.end_canceled");
        tx.commit().await?;
        failpoint::after("jobs.end_canceled");
        Ok(ended.is_some())
    })
    .await
}

// The attempt goes on later under the same number. A wait that is over by now has found the run running, and woke
// nobody: the lock that the first update takes keeps others from ending one between that and the look.
async fn suspend(
    tx: &DatabaseTransaction,
    claim: &Claim,
    waits: &[String],
) -> Result<Option<OneWritten>, DbErr> {
    use job_run::Column as C;
    use job_step::Column as S;

    let suspend = Query::update()
        .table(job_run::Entity)
        .value(C::Status, "waiting")
        .value(C::WorkerId, Option::<Uuid>::None)
        .cond_where(claim.condition())
        .and_where(C::CancelRequestedAt.is_null())
        .to_owned();
    if tx.execute(&suspend).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let left = job_step::Entity::find()
        .filter(S::RunId.eq(claim.run_id.0))
        .filter(S::Name.is_in(waits))
        .filter(Expr::col(S::Status).eq(literal("waiting")))
        .count(tx)
        .await?;
    if left == waits.len() as u64 {
        return Ok(Some(OneWritten::Suspended));
    }
    let mut resume = hand_back();
    resume
        .and_where(C::Id.eq(claim.run_id.0))
        .and_where(C::Fence.eq(claim.fence))
        .and_where(Expr::col(C::Status).eq(literal("waiting")));
    tx.execute(&resume).await?;
    Ok(Some(OneWritten::Waiting))
}

/// The update that puts a run back as if its attempt had not been; the caller adds which.
pub(crate) fn hand_back() -> UpdateStatement {
    use job_run::Column as C;

    Query::update()
        .table(job_run::Entity)
        .value(C::Status, "pending")
        .value(C::Readiness, "ready")
        .value(C::Attempt, Expr::col(C::Attempt).sub(1))
        .to_owned()
}

/// Ends the run for which `condition` holds by an update of [`over`]. Returns its concurrency key, which is free then.
pub(crate) async fn end(
    tx: &DatabaseTransaction,
    over: UpdateStatement,
    condition: Condition,
) -> Result<Option<Option<String>>, DbErr> {
    let columns = [job_run::Column::Id, job_run::Column::ConcurrencyKey];
    let rows = update_returning::<job_run::Entity>(tx, over, condition, columns).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    abandon_waits(tx, &[row.try_get("", "id")?]).await?;
    row.try_get("", "concurrency_key").map(Some)
}

// Nothing comes of the waits of runs that this transaction has ended, and whoever looks for waits would find them again
// and again. Found first, and then changed by their keys: an update by status may lock the waits of others.
async fn abandon_waits(tx: &DatabaseTransaction, ended: &[Uuid]) -> Result<(), DbErr> {
    use job_step::Column as S;

    let dialect = dialect(tx)?;
    for ids in ended.chunks(rows_per_statement(dialect, 1)) {
        let waits = Query::select()
            .columns([S::RunId, S::Name])
            .from(job_step::Entity)
            .and_where(S::RunId.is_in(ids.iter().copied()))
            .and_where(Expr::col(S::Status).eq(literal("waiting")))
            .to_owned();
        for wait in tx.query_all(&waits).await? {
            let abandon = Query::update()
                .table(job_step::Entity)
                .value(S::Status, "abandoned")
                .value(S::FinishedAt, dialect.now())
                .and_where(S::RunId.eq(wait.try_get::<Uuid>("", "run_id")?))
                .and_where(S::Name.eq(wait.try_get::<String>("", "name")?))
                .to_owned();
            tx.execute(&abandon).await?;
        }
    }
    Ok(())
}

/// The update that ends a run, for [`end`].
pub(crate) fn over(
    dialect: &dyn Dialect,
    status: super::RunStatus,
    error: &AttemptError,
) -> Result<UpdateStatement, DbErr> {
    use job_run::Column as C;

    Ok(Query::update()
        .table(job_run::Entity)
        .value(C::Status, status.as_str())
        .value(C::ActiveKey, Option::<String>::None)
        .value(C::FinishedAt, dialect.now())
        .value(C::Error, stored_text(&error.error))
        .value(
            C::Errors,
            dialect.append_json(Expr::col(C::Errors), stored(error)?),
        )
        .to_owned())
}

/// An attempt's error as JSON that every database can store.
pub(crate) fn stored(error: &AttemptError) -> Result<Value, DbErr> {
    let error = AttemptError {
        error: stored_text(&error.error),
        backtrace: error.backtrace.as_deref().map(stored_text),
        ..error.clone()
    };
    serde_json::to_value(error).map_err(|error| DbErr::Json(error.to_string()))
}

/// Cancels runs that no worker has: they are over at once. Returns their concurrency keys.
pub(crate) async fn cancel_waiting(
    tx: &DatabaseTransaction,
    ids: impl IntoIterator<Item = Uuid>,
    reason: &str,
) -> Result<Vec<String>, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(tx)?;
    let ids: Vec<_> = ids.into_iter().collect();
    let mut keys = Vec::new();
    // More may wait for one key than a statement takes parameters.
    for chunk in ids.chunks(rows_per_statement(dialect, 1) / 2) {
        let update = Query::update()
            .table(job_run::Entity)
            .value(C::Status, "canceled")
            .value(C::ActiveKey, Option::<String>::None)
            .value(C::FinishedAt, dialect.now())
            .value(C::Error, reason)
            .to_owned();
        let waiting = Condition::all()
            .add(C::Id.is_in(chunk.iter().copied()))
            .add(C::Status.is_in(["pending", "waiting"]));
        let columns = [C::Id, C::ConcurrencyKey];
        let mut ended = Vec::new();
        for row in update_returning::<job_run::Entity>(tx, update, waiting, columns).await? {
            ended.push(row.try_get("", "id")?);
            keys.extend(row.try_get::<Option<String>>("", "concurrency_key")?);
        }
        abandon_waits(tx, &ended).await?;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn any_number_of_waiting_runs_is_cancelled_at_once() {
        let db = crate::connect("sqlite::memory:").await.unwrap();
        let manager = sea_orm_migration::SchemaManager::new(&db);
        crate::migration::jobs::v1::up(&manager).await.unwrap();
        let tx = begin_short(&db).await.unwrap();
        let ids = std::iter::repeat_with(Uuid::now_v7).take(40_000);
        let keys = cancel_waiting(&tx, ids, "replaced").await.unwrap();
        assert_eq!(keys, Vec::<String>::new());
    }
}
