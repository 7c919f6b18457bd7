//! When there is nothing left to do.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::database::{News, dialect, literal};
use crate::events::drain::Drainer;
use crate::jobs::entities::{job_pool, job_run};
use crate::jobs::hosted::Hosted;
use crate::jobs::wait::sweep::Sweeper;

use crate::schedule::Timetable;

use super::pulse::Pulse;
use super::{Worker, WorkerError};

/// How often to look where no ending prompts it.
const PAUSE: Duration = Duration::from_millis(20);

/// Returns once the worker has nothing to do.
pub(super) async fn wait(
    worker: &Worker,
    pulse: &Pulse,
    drainer: &Drainer,
    timetable: &Timetable,
) -> Result<(), WorkerError> {
    let hosted: Hosted = worker.executed().collect();
    let mut written = pulse.written.subscribe();
    let mut sweeper = Sweeper::default();
    loop {
        written.mark_unchanged();
        let settled = drainer.drain_until_idle().await?;
        let mut waits_left = false;
        if !hosted.is_empty() {
            let swept = sweeper.sweep(worker.runtime.db()).await?;
            waits_left = swept.more;
            if swept.woken {
                worker.runtime.wake_up().wake_here(News::ALL);
            }
        }
        let fired = timetable.fire_due(worker.runtime.db()).await?;
        let made = fired.made;
        let idle = settled + made == 0
            && !fired.making
            && !waits_left
            && (hosted.is_empty()
                || !has_runs(worker.runtime.db(), pulse.worker_id, &hosted).await?)
            // A run that has ended may have published, or be about to wake who waits for it, where this has looked already.
            && pulse.running.is_empty()
            && !written.has_changed().unwrap_or(true);
        if idle {
            return Ok(());
        }
        if let Some(error) = pulse.unclaimable().take() {
            return Err(error.into());
        }
        if settled + made > 0 {
            worker.runtime.wake_up().wake_here(News::ALL);
        } else {
            // The sender lives in `pulse`.
            let _ = timeout(PAUSE, written.changed()).await;
        }
    }
}

async fn has_runs(
    db: &DatabaseConnection,
    worker_id: Uuid,
    hosted: &Hosted,
) -> Result<bool, DbErr> {
    use job_run::Column as C;

    let dialect = dialect(db)?;
    let running = Condition::all()
        .add(Expr::col(C::Status).eq(literal("running")))
        .add(C::WorkerId.eq(worker_id));
    let paused = Query::select()
        .column(job_pool::Column::Name)
        .from(job_pool::Entity)
        .and_where(
            job_pool::Column::Paused
                .eq(true)
                .or(job_pool::Column::RunLimit.eq(0)),
        )
        .to_owned();
    let ready = Condition::all()
        .add(C::Pool.not_in_subquery(paused))
        .add(Expr::col(C::Status).eq(literal("pending")))
        .add(Expr::col(C::Readiness).eq(literal("ready")))
        .add(hosted.condition());
    let due = Condition::all()
        .add(Expr::col(C::Status).eq(literal("pending")))
        .add(Expr::col(C::Readiness).eq(literal("scheduled")))
        .add(Expr::col(C::RunAt).lte(dialect.now()))
        .add(hosted.condition());
    // One statement and so one snapshot: a run that changes its state between two looks would be in neither.
    let found = job_run::Entity::find()
        .select_only()
        .column(C::Id)
        .filter(Condition::any().add(running).add(ready).add(due))
        .limit(1)
        .into_tuple::<Uuid>()
        .one(db)
        .await?;
    Ok(found.is_some())
}
