//! Ending waits, and waking the runs behind them.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QueryTrait,
};
use serde_json::Value;
use uuid::Uuid;

use crate::database::{begin_short, dialect, literal, read_row, retrying, rows_per_statement};
use crate::failpoint;
use crate::jobs::complete::hand_back;
use crate::jobs::entities::{job_run, job_step};
use crate::jobs::{RunId, RunStatus};

use super::children::{EndedChild, child_of, output};
use super::event::{Waiter, arrived};

/// The most of a child's error that its parent keeps, in bytes.
const MAX_CHILD_ERROR: usize = 500;

#[derive(Debug, FromQueryResult)]
struct Waiting {
    status: String,
    created_at: DateTime<Utc>,
    tenant_id: Option<String>,
    event_id: Option<Uuid>,
    now: DateTime<Utc>,
}

/// What a wait ends with.
#[derive(Debug, Default)]
struct Outcome {
    output: Value,
    event_id: Option<Uuid>,
}

/// Ends the waits of a run that are over, and makes the run ready if it is suspended. Returns whether it did. Each look
/// sees everything that has committed before the run's lock was taken.
pub(crate) async fn wake(db: &DatabaseConnection, run_id: Uuid) -> Result<bool, DbErr> {
    retrying(db, || wake_once(db, run_id)).await
}

async fn wake_once(db: &DatabaseConnection, run_id: Uuid) -> Result<bool, DbErr> {
    let tx = begin_short(db).await?;
    let Some(run) = lock(&tx, run_id).await? else {
        return Ok(false);
    };
    let waits = job_step::Entity::find()
        .filter(job_step::Column::RunId.eq(run_id))
        .filter(Expr::col(job_step::Column::Status).eq(literal("waiting")))
        .order_by_asc(job_step::Column::Position)
        .order_by_asc(job_step::Column::Name);
    let waits = tx
        .query_all(QueryTrait::as_query(&waits))
        .await?
        .iter()
        .map(read_row::<job_step::Model>)
        .collect::<Result<Vec<_>, _>>()?;
    let is_over = RunStatus::from_name(&run.status).is_some_and(RunStatus::is_final);
    let mut ended = false;
    for wait in waits {
        if is_over {
            close(&tx, &wait, "abandoned", None).await?;
        } else if let Some(outcome) = outcome(&tx, &run, &wait).await? {
            close(&tx, &wait, "completed", Some(outcome)).await?;
            ended = true;
        }
    }
    let mut woken = false;
    if ended && run.status == RunStatus::Waiting.as_str() {
        let mut update = hand_back();
        update
            .value(job_run::Column::RunAt, dialect(&tx)?.now())
            .and_where(job_run::Column::Id.eq(run_id))
            .and_where(Expr::col(job_run::Column::Status).eq(literal("waiting")));
        woken = tx.execute(&update).await?.rows_affected() > 0;
    }
    failpoint::before("jobs.wake");
    tx.commit().await?;
    failpoint::after("jobs.wake");
    Ok(woken)
}

async fn lock(tx: &DatabaseTransaction, run_id: Uuid) -> Result<Option<Waiting>, DbErr> {
    let select = Query::select()
        .columns([
            job_run::Column::Status,
            job_run::Column::CreatedAt,
            job_run::Column::TenantId,
            job_run::Column::EventId,
        ])
        .expr_as(dialect(tx)?.now(), "now")
        .from(job_run::Entity)
        .and_where(job_run::Column::Id.eq(run_id))
        .lock(LockType::Update)
        .to_owned();
    let row = tx.query_one(&select).await?;
    row.as_ref().map(read_row).transpose()
}

/// What the wait gives, if it is over.
async fn outcome(
    tx: &DatabaseTransaction,
    run: &Waiting,
    wait: &job_step::Model,
) -> Result<Option<Outcome>, DbErr> {
    if wait.kind == "children" {
        let output = children(tx, wait).await?;
        return Ok(output.map(|output| Outcome {
            output,
            event_id: None,
        }));
    }
    if wait.kind == "event" {
        let waiter = Waiter {
            created_at: run.created_at,
            tenant_id: run.tenant_id.as_deref(),
            event_id: run.event_id,
        };
        if let Some((event_id, output)) = arrived(tx, waiter, wait).await? {
            return Ok(Some(Outcome {
                output,
                event_id: Some(event_id),
            }));
        }
    }
    let is_due = wait.wake_at.is_some_and(|at| at <= run.now);
    Ok(is_due.then(Outcome::default))
}

async fn close(
    tx: &DatabaseTransaction,
    wait: &job_step::Model,
    status: &'static str,
    outcome: Option<Outcome>,
) -> Result<(), DbErr> {
    use job_step::Column as C;

    let (output, event_id) = outcome
        .map(|outcome| (outcome.output, outcome.event_id))
        .unzip();
    let update = Query::update()
        .table(job_step::Entity)
        .value(C::Status, status)
        .value(C::Output, output)
        .value(C::EventId, event_id.flatten())
        .value(C::FinishedAt, dialect(tx)?.now())
        .and_where(C::RunId.eq(wait.run_id))
        .and_where(C::Name.eq(&wait.name))
        .to_owned();
    tx.execute(&update).await.map(drop)
}

#[derive(Debug, FromQueryResult)]
struct Child {
    name: String,
    run_id: Uuid,
    status: String,
    error: Option<String>,
}

// A child whose row was pruned has ended, and nobody knows how: it is left out.
async fn children(
    tx: &DatabaseTransaction,
    wait: &job_step::Model,
) -> Result<Option<Value>, DbErr> {
    use job_run::Column as R;
    use job_step::Column as S;

    let mut select = Query::select();
    select
        .from(job_step::Entity)
        .join(
            JoinType::InnerJoin,
            job_run::Entity,
            Condition::all()
                .add(Expr::col((job_run::Entity, R::Id)).equals((job_step::Entity, S::ChildRunId))),
        )
        .and_where(Expr::col((job_step::Entity, S::RunId)).eq(wait.run_id))
        .and_where(Expr::col((job_step::Entity, S::Kind)).eq(literal("child")));
    if let Some(step) = &wait.event_key {
        select.and_where(Expr::col((job_step::Entity, S::Name)).eq(step));
    }
    let over = RunStatus::ALL.into_iter().filter(|it| it.is_final());
    let unfinished = select
        .clone()
        .column((job_run::Entity, R::Id))
        .and_where(Expr::col((job_run::Entity, R::Status)).is_not_in(over.map(RunStatus::as_str)))
        .limit(1)
        .to_owned();
    // Each child's end looks here: what all of them have left behind is read once, after the last one's.
    if tx.query_one(&unfinished).await?.is_some() {
        return Ok(None);
    }
    if wait.event_key.is_some() {
        return Ok(Some(Value::Null));
    }
    select
        .column((job_step::Entity, S::Name))
        .expr_as(Expr::col((job_run::Entity, R::Id)), "run_id")
        .column((job_run::Entity, R::Status))
        .column((job_run::Entity, R::Error));
    let mut ended = Vec::new();
    for row in tx.query_all(&select).await? {
        let child = Child::from_query_result(&row, "")?;
        match RunStatus::from_name(&child.status) {
            Some(status) if status.is_final() => ended.push(EndedChild {
                name: child_of(&child.name).to_owned(),
                run_id: RunId(child.run_id),
                status,
                error: child
                    .error
                    .filter(|_| status != RunStatus::Completed)
                    .map(|mut error| {
                        error.truncate(error.floor_char_boundary(MAX_CHILD_ERROR));
                        error
                    }),
            }),
            _ => return Ok(None),
        }
    }
    ended.sort_by(|a, b| a.name.cmp(&b.name));
    output(ended).map(Some)
}

/// Wakes the runs that wait for these runs, which have ended. Returns whether there were any.
pub(crate) async fn wake_parents(db: &DatabaseConnection, ended: &[Uuid]) -> Result<bool, DbErr> {
    use job_step::Column as S;

    let mut woken = false;
    for chunk in ended.chunks(rows_per_statement(dialect(db)?, 1)) {
        let select = Query::select()
            .distinct()
            .column(("wait", S::RunId))
            .from_as(job_step::Entity, "child")
            .join_as(
                JoinType::InnerJoin,
                job_step::Entity,
                "wait",
                Condition::all()
                    .add(Expr::col(("wait", S::RunId)).equals(("child", S::RunId)))
                    .add(Expr::col(("wait", S::Status)).eq(literal("waiting")))
                    .add(Expr::col(("wait", S::Kind)).eq(literal("children"))),
            )
            .and_where(Expr::col(("child", S::ChildRunId)).is_in(chunk.iter().copied()))
            .to_owned();
        for row in db.query_all(&select).await? {
            woken |= wake(db, row.try_get("", "run_id")?).await?;
        }
    }
    Ok(woken)
}
