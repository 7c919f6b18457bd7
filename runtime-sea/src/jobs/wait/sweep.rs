//! Finding waits that are over, whoever was to tell.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    Expr, ExprTrait, Func, JoinType, LockType, Order, Query, SelectStatement,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr, FromQueryResult,
};
use uuid::Uuid;

use crate::database::{
    Dialect, Outage, begin_short, dialect, is_unreadable, literal, read_row, retrying,
};
use crate::failpoint;
use crate::jobs::close::close_children;
use crate::jobs::complete::{end, over};
use crate::jobs::entities::{job_run, job_step};
use crate::jobs::unreadable::end_unreadable;
use crate::jobs::{AttemptError, RunStatus, release};

use super::event::arrivals;
use super::wake::{wake, wake_parents};

/// How many runs are looked for at a time.
const BATCH: u64 = 100;

/// How soon to look again for a wait that is due and that nobody has ended.
const SOON: Duration = Duration::from_millis(5);

/// What a sweep did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Whether runs became ready.
    pub(crate) woken: bool,
    /// Whether there are runs that it did not come to.
    pub(crate) more: bool,
    /// When the next wait is over at the latest.
    pub(crate) next: Option<Duration>,
}

/// Wakes the runs whose wait is over, and ends those whose time is up. Of many runs it takes some at a time, and goes on
/// from there: those that cannot be woken do not keep it from the others.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    rounds: [Round; 4],
}

/// Why a run is woken or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Overdue,
    Due,
    Childless,
    Arrived,
}

impl Cause {
    const ALL: [Self; 4] = [Self::Overdue, Self::Due, Self::Childless, Self::Arrived];

    /// The runs that there are, by their ids in the column `run_id`.
    fn runs(self, dialect: &dyn Dialect) -> (SelectStatement, Expr) {
        let wait = Expr::col(("wait", job_step::Column::RunId));
        match self {
            Self::Overdue => (overdue(dialect), Expr::col(job_run::Column::Id)),
            Self::Due => (due(dialect), Expr::col(job_step::Column::RunId)),
            Self::Childless => (childless(), wait),
            Self::Arrived => (arrivals(), wait),
        }
    }
}

/// How far it has come among the runs of one cause.
#[derive(Debug, Default)]
struct Round {
    after: Uuid,
    /// Those that could not be changed.
    refused: u64,
    most_refused: u64,
    outage: Outage,
}

impl Round {
    // Told when they become more, and otherwise more and more rarely: they may be many, and stay for long.
    fn refuse(&mut self, run_id: Uuid, error: &DbErr) {
        self.refused += 1;
        if self.refused > self.most_refused && self.refused.is_power_of_two() {
            self.most_refused = self.refused;
            tracing::error!(%error, run = %run_id, runs = self.refused, "a wait cannot be ended; the run is passed over");
        }
    }

    fn begin_anew(&mut self) {
        self.after = Uuid::nil();
        if self.refused == 0 {
            self.most_refused = 0;
            self.outage.is_over();
        } else if self.outage.is_to_be_told() && self.outage.failures() > 1 {
            tracing::warn!(
                runs = self.refused,
                rounds = self.outage.failures(),
                "waits cannot be ended"
            );
        }
        self.refused = 0;
    }
}

impl Sweeper {
    pub(crate) async fn sweep(&mut self, db: &DatabaseConnection) -> Result<Swept, DbErr> {
        let mut swept = Swept::default();
        if db.query_one(&any_wait()).await?.is_none() {
            return Ok(swept);
        }
        let dialect = dialect(db)?;
        for (cause, round) in Cause::ALL.into_iter().zip(&mut self.rounds) {
            let (mut runs, id) = cause.runs(dialect);
            runs.and_where(id.clone().gt(round.after))
                .order_by_expr(id, Order::Asc)
                .limit(BATCH);
            let rows = db.query_all(&runs).await?;
            for row in &rows {
                let run_id = row.try_get("", "run_id")?;
                let woken = if cause == Cause::Overdue {
                    retrying(db, || end_overdue(db, run_id)).await
                } else {
                    wake(db, run_id).await
                };
                match end_unreadable_run(db, run_id, woken).await {
                    Ok(woken) => swept.woken |= woken,
                    Err(error) if dialect.is_outage(&error) => return Err(error),
                    // Such as one whose row was edited by hand.
                    Err(error) => round.refuse(run_id, &error),
                }
                round.after = run_id;
            }
            if rows.len() as u64 == BATCH {
                swept.more = true;
            } else {
                round.begin_anew();
            }
        }
        swept.next = next(db, dialect).await?;
        Ok(swept)
    }
}

// A run whose row or wait cannot be read would wait for ever.
async fn end_unreadable_run(
    db: &DatabaseConnection,
    run_id: Uuid,
    woken: Result<bool, DbErr>,
) -> Result<bool, DbErr> {
    match woken {
        Err(error) if is_unreadable(&error) => {
            let waiting =
                Condition::all().add(Expr::col(job_run::Column::Status).eq(literal("waiting")));
            end_unreadable(db, run_id, 0, waiting, &error).await
        }
        woken => woken,
    }
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
        .to_owned()
}

fn overdue(dialect: &dyn Dialect) -> SelectStatement {
    use job_run::Column as R;

    Query::select()
        .expr_as(Expr::col(R::Id), "run_id")
        .from(job_run::Entity)
        .and_where(Expr::col(R::Status).eq(literal("waiting")))
        .and_where(Expr::col(R::DeadlineAt).lte(dialect.now()))
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
