//! The memoized steps of a run, written under its fence.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter};
use serde_json::Value;

use crate::database::dialect;

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
    let row: [(C, Expr); 12] = [
        (C::RunId, claim.run_id.0.into()),
        (C::Name, step.name.into()),
        (C::Kind, step.kind.into()),
        (C::Position, step.position.into()),
        (C::Status, status.into()),
        (C::Output, output.into()),
        (C::Error, error.into()),
        (C::Executions, 1.into()),
        (C::Attempt, claim.attempt.into()),
        (C::Fence, claim.fence.into()),
        (C::StartedAt, started_at.into()),
        (C::FinishedAt, dialect(db)?.now()),
    ];
    let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
    // The row comes from the run's, so that it is written only under the fence; the lock keeps a take-over out until
    // this has committed.
    let mut held = Query::select();
    held.exprs(values)
        .from(job_run::Entity)
        .cond_where(claim.condition())
        .lock(LockType::Share);
    let mut insert = Query::insert();
    insert
        .into_table(job_step::Entity)
        .columns(columns)
        .on_conflict(
            OnConflict::columns([C::RunId, C::Name])
                .update_columns([
                    C::Status,
                    C::Output,
                    C::Error,
                    C::Attempt,
                    C::Fence,
                    C::StartedAt,
                    C::FinishedAt,
                ])
                .value(
                    C::Executions,
                    Expr::col((job_step::Entity, C::Executions)).add(1),
                )
                .action_and_where(Expr::col((job_step::Entity, C::Status)).ne("completed"))
                .to_owned(),
        );
    // The numbers of columns and values are equal by construction.
    let _same = insert.select_from(held);
    if db.execute(&insert).await?.rows_affected() > 0 {
        return Ok(true);
    }
    let stored = job_step::Entity::find_by_id((claim.run_id.0, step.name.to_owned()))
        .one(db)
        .await?;
    Ok(stored.is_some_and(|row| row.status == "completed" && row.fence == claim.fence))
}
