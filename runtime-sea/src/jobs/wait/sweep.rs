//! Finding waits that are over, whoever was to tell.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, JoinType, LockType, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr, FromQueryResult,
};
use uuid::Uuid;

use crate::database::{Dialect, begin_short, dialect, is_unreadable, literal, read_row, retrying};
use crate::failpoint;
use crate::jobs::close::close_children;
use crate::jobs::complete::{end, over};
use crate::jobs::entities::{job_run, job_step};
use crate::jobs::unreadable::end_unreadable;
use crate::jobs::{AttemptError, RunStatus, release};

use super::event::arrivals;
use super::wake::{wake, wake_parents};

/// How many runs are looked for at a time.
const BATCH: u64 = 500;

/// How soon to look again for a wait that is due and that nobody has ended.
const SOON: Duration = Duration::from_millis(5);

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Whether runs became ready.
    pub(crate) woken: bool,
    /// When the next wait is over at the latest.
    pub(crate) next: Option<Duration>,
}

/// Wakes the runs whose wait is over, and ends those whose time is up; of many some, and the others next time.
pub(crate) async fn sweep(db: &DatabaseConnection) -> Result<Swept, DbErr> {
    let mut swept = Swept::default();
    if db.query_one(&any_wait()).await?.is_none() {
        return Ok(swept);
    }
    let dialect = dialect(db)?;
    for row in db.query_all(&overdue(dialect)).await? {
        let run_id = row.try_get("", "run_id")?;
        let ended = retrying(db, || end_overdue(db, run_id)).await;
        swept.woken |= passed_over(db, dialect, run_id, ended).await?;
    }
    for select in [due(dialect), childless(), arrivals(BATCH)] {
        for row in db.query_all(&select).await? {
            let run_id = row.try_get("", "run_id")?;
            let woken = wake(db, run_id).await;
            swept.woken |= passed_over(db, dialect, run_id, woken).await?;
        }
    }
    swept.next = next(db, dialect).await?;
    Ok(swept)
}

// A run that cannot be changed, such as one whose row was edited by hand, must not hold up the others. One whose row or
// wait cannot be read would wait for ever.
async fn passed_over(
    db: &DatabaseConnection,
    dialect: &dyn Dialect,
    run_id: Uuid,
    result: Result<bool, DbErr>,
) -> Result<bool, DbErr> {
    let result = match result {
        Err(error) if is_unreadable(&error) => {
            let waiting =
                Condition::all().add(Expr::col(job_run::Column::Status).eq(literal("waiting")));
            end_unreadable(db, run_id, 0, waiting, &error).await
        }
        result => result,
    };
    result.or_else(|error| {
        if dialect.is_transient(&error) {
            return Err(error);
        }
        tracing::error!(%error, run = %run_id, "a wait cannot be ended; the run is passed over");
        Ok(false)
    })
}

fn any_wait() -> SelectStatement {
    Query::select()
        .column(job_step::Column::RunId)
        .from(job_step::Entity)
        .and_where(Expr::col(job_step::Column::Status).eq(literal("waiting")))
        .limit(1)
        .to_owned()
}

fn due(dialect: &dyn Dialect) -> SelectStatement {
    use job_step::Column as S;

    Query::select()
        .distinct()
        .column(S::RunId)
        .from(job_step::Entity)
        .and_where(Expr::col(S::Status).eq(literal("waiting")))
        .and_where(Expr::col(S::WakeAt).lte(dialect.now()))
        .limit(BATCH)
        .to_owned()
}

// Waits for children of whom none is left. Usually the last one's end has told; not if its worker died of it.
fn childless() -> SelectStatement {
    use job_run::Column as R;
    use job_step::Column as S;

    let left = Query::select()
        .expr(Expr::val(1))
        .from_as(job_step::Entity, "child")
        .join_as(
            JoinType::InnerJoin,
            job_run::Entity,
            "run",
            Condition::all().add(Expr::col(("run", R::Id)).equals(("child", S::ChildRunId))),
        )
        .and_where(Expr::col(("child", S::RunId)).equals(("wait", S::RunId)))
        .and_where(Expr::col(("child", S::Kind)).eq(literal("child")))
        .cond_where(
            Condition::any()
                .add(Expr::col(("wait", S::EventKey)).is_null())
                .add(Expr::col(("child", S::Name)).equals(("wait", S::EventKey))),
        )
        .and_where(
            Expr::col(("run", R::Status)).is_in(
                RunStatus::ALL
                    .into_iter()
                    .filter(|it| !it.is_final())
                    .map(RunStatus::as_str),
            ),
        )
        .to_owned();
    Query::select()
        .distinct()
        .column(("wait", S::RunId))
        .from_as(job_step::Entity, "wait")
        .and_where(Expr::col(("wait", S::Status)).eq(literal("waiting")))
        .and_where(Expr::col(("wait", S::Kind)).eq(literal("children")))
        .and_where(Expr::exists(left).not())
        .limit(BATCH)
        .to_owned()
}

fn overdue(dialect: &dyn Dialect) -> SelectStatement {
    use job_run::Column as R;

    Query::select()
        .expr_as(Expr::col(R::Id), "run_id")
        .from(job_run::Entity)
        .and_where(Expr::col(R::Status).eq(literal("waiting")))
        .and_where(Expr::col(R::DeadlineAt).lte(dialect.now()))
        .limit(BATCH)
        .to_owned()
}

#[derive(Debug, FromQueryResult)]
struct Overdue {
    attempt: i32,
    claimed_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

// A suspended run whose time is up ends although no worker has it.
async fn end_overdue(db: &DatabaseConnection, run_id: Uuid) -> Result<bool, DbErr> {
    use job_run::Column as R;

    let dialect = dialect(db)?;
    let tx = begin_short(db).await?;
    let is_overdue = || {
        Condition::all()
            .add(R::Id.eq(run_id))
            .add(Expr::col(R::Status).eq(literal("waiting")))
            .add(Expr::col(R::DeadlineAt).lte(dialect.now()))
    };
    let select = Query::select()
        .columns([R::Attempt, R::ClaimedAt])
        .expr_as(dialect.now(), "now")
        .from(job_run::Entity)
        .cond_where(is_overdue())
        .lock(LockType::Update)
        .to_owned();
    let Some(run) = tx.query_one(&select).await? else {
        return Ok(false);
    };
    let run: Overdue = read_row(&run)?;
    let error = AttemptError {
        attempt: run.attempt,
        outcome: "timed_out".to_owned(),
        error: "its time was up while it waited".to_owned(),
        backtrace: None,
        worker_id: None,
        started_at: run.claimed_at,
        ended_at: Some(run.now),
    };
    let ended = end(
        &tx,
        over(dialect, RunStatus::TimedOut, &error)?,
        is_overdue(),
    )
    .await?;
    let mut released = close_children(&tx, [run_id]).await?.released;
    if let Some(Some(key)) = &ended {
        released |= release::release(&tx, key).await?;
    }
    failpoint::before("jobs.end_overdue");
    tx.commit().await?;
    failpoint::after("jobs.end_overdue");
    Ok(released | wake_parents(db, &[run_id]).await?)
}

#[derive(Debug, FromQueryResult)]
struct Earliest {
    next: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

async fn next(db: &DatabaseConnection, dialect: &dyn Dialect) -> Result<Option<Duration>, DbErr> {
    let earliest = |select: &mut SelectStatement, moment: Expr, status: Expr| {
        select
            .expr_as(Expr::from(Func::min(moment)), "next")
            .expr_as(dialect.now(), "now")
            .and_where(status.eq(literal("waiting")))
            .to_owned()
    };
    let wait = earliest(
        Query::select().from(job_step::Entity),
        Expr::col(job_step::Column::WakeAt),
        Expr::col(job_step::Column::Status),
    );
    let deadline = earliest(
        Query::select().from(job_run::Entity),
        Expr::col(job_run::Column::DeadlineAt),
        Expr::col(job_run::Column::Status),
    );
    let mut next: Option<Duration> = None;
    for select in [wait, deadline] {
        let Some(row) = db.query_one(&select).await? else {
            continue;
        };
        // One that nobody can read is due for the database by now, or never.
        let Ok(Earliest {
            next: Some(at),
            now,
        }) = read_row(&row)
        else {
            continue;
        };
        let left = (at - now).to_std().unwrap_or_default().max(SOON);
        next = Some(next.map_or(left, |next| next.min(left)));
    }
    Ok(next)
}
