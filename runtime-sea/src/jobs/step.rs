//! The memoized steps of a run, written under its fence.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::database::{dialect, insert_if_new, now_plus, read_all, read_one};

use super::calls::Call;
use super::context::Claim;
use super::entities::{job_run, job_step};
use super::history::History;
use super::wait::{Until, Wait};
use super::{JobError, RunId};

/// How an execution of a step ended, or that it waits.
#[derive(Debug, Clone)]
pub(crate) enum StepResult {
    Completed(Value),
    /// A child was spawned, or found by its deduplication key.
    Spawned(RunId),
    Failed(String),
    Waiting(Wait),
}

/// What earlier attempts have left to go on from.
pub(crate) async fn recorded(db: &DatabaseConnection, run_id: RunId) -> Result<History, DbErr> {
    let rows = job_step::Entity::find()
        .filter(job_step::Column::RunId.eq(run_id.0))
        .filter(job_step::Column::Status.is_in(["completed", "waiting"]));
    Ok(History::new(read_all(db, &rows).await?))
}

/// A stored output as its type.
pub(crate) fn stored_as<T: DeserializeOwned>(
    what: &str,
    output: Option<Value>,
) -> Result<T, JobError> {
    serde_json::from_value(output.unwrap_or_default()).map_err(|error| {
        JobError::retryable(format!(
            "the stored output of {what} does not fit its type any more: {error}"
        ))
    })
}

/// Stores how a step ended, or that it waits; `false` if the claim does not hold any more. A completed step stays as it
/// is, and storing it again under the same claim is a success: the first time may have committed without an answer.
pub(crate) async fn store(
    db: &impl ConnectionTrait,
    claim: &Claim,
    call: &Call,
    result: &StepResult,
    started_at: DateTime<Utc>,
) -> Result<bool, DbErr> {
    use job_step::Column as C;

    let dialect = dialect(db)?;
    let nothing = Wait::default();
    let (mut output, mut error, mut child, mut wait) = (None, None, None, &nothing);
    let status = match result {
        StepResult::Completed(value) => {
            output = Some(value.clone());
            "completed"
        }
        StepResult::Spawned(id) => {
            child = Some(id.0);
            "completed"
        }
        StepResult::Failed(text) => {
            error = Some(crate::storable::stored_text(text));
            "failed"
        }
        StepResult::Waiting(it) => {
            wait = it;
            "waiting"
        }
    };
    let finished_at = match result {
        StepResult::Waiting(_) => Expr::val(Option::<DateTime<Utc>>::None),
        _ => dialect.now(),
    };
    let wake_at = match wait.until {
        None => Expr::val(Option::<DateTime<Utc>>::None),
        Some(Until::At(moment)) => dialect.moment(moment),
        Some(Until::After(duration)) => now_plus(dialect, duration),
    };
    let written: [(C, Expr); 14] = [
        (C::Kind, call.kind.into()),
        (C::Position, call.position.into()),
        (C::Concurrent, call.concurrent.into()),
        (C::Status, status.into()),
        (C::Output, output.into()),
        (C::Error, error.into()),
        (C::Attempt, claim.attempt.into()),
        (C::Fence, claim.fence.into()),
        (C::StartedAt, started_at.into()),
        (C::FinishedAt, finished_at),
        (C::WakeAt, wake_at),
        (C::EventType, wait.event_type.map(str::to_owned).into()),
        (C::EventKey, wait.key.clone().into()),
        (C::ChildRunId, child.into()),
    ];
    let once: [(C, Expr); 3] = [
        (C::RunId, claim.run_id.0.into()),
        (C::Name, call.name.as_str().into()),
        (C::Executions, 1.into()),
    ];
    let (columns, values): (Vec<_>, Vec<_>) = once.into_iter().chain(written.clone()).unzip();
    // Both writes happen only under the fence; the lock keeps a take-over out until they have committed.
    let held = |values: Vec<Expr>| {
        Query::select()
            .exprs(values)
            .from(job_run::Entity)
            .cond_where(claim.condition())
            .lock(LockType::Share)
            .to_owned()
    };
    let mut insert = Query::insert();
    insert.into_table(job_step::Entity).columns(columns);
    // The numbers of columns and values are equal by construction.
    let _same = insert.select_from(held(values));
    if insert_if_new(db, &insert).await? {
        return Ok(true);
    }
    let update = Query::update()
        .table(job_step::Entity)
        .values(written)
        .value(C::Executions, Expr::col(C::Executions).add(1))
        .and_where(C::RunId.eq(claim.run_id.0))
        .and_where(C::Name.eq(call.name.as_str()))
        .and_where(C::Status.ne("completed"))
        .and_where(Expr::exists(held(vec![Expr::val(1)])))
        .to_owned();
    if db.execute(&update).await?.rows_affected() > 0 {
        return Ok(true);
    }
    let stored = job_step::Entity::find_by_id((claim.run_id.0, call.name.clone()));
    let stored = read_one(db, stored).await?;
    Ok(stored.is_some_and(|row| row.status == "completed" && row.fence == claim.fence))
}
