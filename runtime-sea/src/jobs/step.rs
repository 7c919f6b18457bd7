//! The memoized steps of a run, written under its fence.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter};
use serde_json::Value;

use crate::database::{dialect, insert_if_new};

use super::RunId;
use super::context::Claim;
use super::entities::{job_run, job_step};

/// Which step of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepId<'a> {
    /// As it stands in `job_step.kind`.
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
    /// Its place among the steps of the attempt, from 0.
    pub(crate) position: i32,
}

/// How an execution of a step ended.
pub(crate) enum StepResult {
    Completed(Value),
    Failed(String),
}

/// The completed steps of a run, by name.
pub(crate) async fn completed(
    db: &DatabaseConnection,
    run_id: RunId,
) -> Result<HashMap<String, job_step::Model>, DbErr> {
    let rows = job_step::Entity::find()
        .filter(job_step::Column::RunId.eq(run_id.0))
        .filter(job_step::Column::Status.eq("completed"))
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.name.clone(), row))
        .collect())
}

/// Stores how a step ended; `false` if the claim does not hold any more. A completed step stays as it is, and storing
/// it again under the same claim is a success: the first time may have committed without an answer.
pub(crate) async fn store(
    db: &impl ConnectionTrait,
    claim: &Claim,
    step: StepId<'_>,
    result: &StepResult,
    started_at: DateTime<Utc>,
) -> Result<bool, DbErr> {
    use job_step::Column as C;

    let (status, output, error) = match result {
        StepResult::Completed(output) => ("completed", Some(output.clone()), None),
        StepResult::Failed(error) => ("failed", None, Some(super::complete::stored_text(error))),
    };
    let written: [(C, Expr); 7] = [
        (C::Status, status.into()),
        (C::Output, output.into()),
        (C::Error, error.into()),
        (C::Attempt, claim.attempt.into()),
        (C::Fence, claim.fence.into()),
        (C::StartedAt, started_at.into()),
        (C::FinishedAt, dialect(db)?.now()),
    ];
    let once: [(C, Expr); 5] = [
        (C::RunId, claim.run_id.0.into()),
        (C::Name, step.name.into()),
        (C::Kind, step.kind.into()),
        (C::Position, step.position.into()),
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
        .and_where(C::Name.eq(step.name))
        .and_where(C::Status.ne("completed"))
        .and_where(Expr::exists(held(vec![Expr::val(1)])))
        .to_owned();
    if db.execute(&update).await?.rows_affected() > 0 {
        return Ok(true);
    }
    let stored = job_step::Entity::find_by_id((claim.run_id.0, step.name.to_owned()))
        .one(db)
        .await?;
    Ok(stored.is_some_and(|row| row.status == "completed" && row.fence == claim.fence))
}
