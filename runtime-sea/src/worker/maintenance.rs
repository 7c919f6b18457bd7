//! What a worker sees to beside its work: runs of dead workers, keys that nobody holds, and small tables.

use std::time::{Duration, Instant};

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr};
use tokio::time::sleep;
use uuid::Uuid;

use crate::Runtime;
use crate::database::{News, Outage, answered, dialect};
use crate::jobs::entities::{job_dedupe, job_worker};
use crate::jobs::hosting::Hosting;
use crate::jobs::{Registration, release, rescue, types};
use crate::metrics;
use crate::retention;

use super::builder::Settings;
use super::neighbours::Neighbours;
use super::pulse::Pulse;
use super::transactions::Transactions;

/// How long the row of a dead worker is kept for people to see.
const DEAD_WORKERS_KEPT: Duration = Duration::from_secs(60 * 60);

/// How often closed deduplication windows are cleared away.
const CLEARING: Duration = Duration::from_secs(10 * 60);

/// How many of them are cleared away at a time.
const WINDOWS: usize = 1000;

/// How often tables are tidied.
const TIDYING: Duration = Duration::from_secs(10 * 60);

/// How long a dead worker may go unnoticed once its lease has run out.
pub(super) fn longest_pause_between_looks(settings: &Settings) -> Duration {
    settings.lease / 6
}

pub(super) async fn maintenance(
    runtime: &Runtime,
    db: &DatabaseConnection,
    settings: &Settings,
    pulse: &Pulse,
    jobs: &[Registration],
) {
    let longest = longest_pause_between_looks(settings);
    // After an outage the other workers get one lease to be heard again before they count as dead.
    let mut heard_since: Option<Instant> = None;
    let mut cleared: Option<Instant> = None;
    let mut hosting = Hosting::new(jobs);
    let (mut neighbours, mut transactions) = (Neighbours::default(), Transactions::default());
    let mut outage = Outage::default();
    loop {
        sleep(longest.mul_f64(rand::random_range(0.7..1.0))).await;
        if pulse.beat.borrow().elapsed() > settings.lease / 2 {
            heard_since = Some(Instant::now());
            continue;
        }
        let result = async {
            let holding = neighbours.holding(db).await?;
            if heard_since.is_some_and(|since| since.elapsed() < settings.lease) {
                return Ok(());
            }
            if !settings.events_only {
                let rescued = rescue::rescue(db, settings.max_recoveries, &holding).await?;
                let released = release::release_orphaned_keys(db).await?;
                metrics::runs_taken_over(rescued.taken_over, rescued.given_up);
                if rescued != rescue::Rescued::default() {
                    tracing::warn!(
                        taken_over = rescued.taken_over,
                        given_up = rescued.given_up,
                        "runs of dead workers"
                    );
                }
                if rescued.taken_over > 0 || released {
                    runtime.wake_up().wake_here(News::RUNS);
                }
                if cleared.is_none_or(|at| at.elapsed() > CLEARING)
                    && forget_closed_windows(db).await?
                {
                    cleared = Some(Instant::now());
                }
                if hosting.look(db).await? {
                    runtime.wake_up().announce(News::RUNS);
                }
            }
            forget_dead_workers(db, &holding).await?;
            transactions.look(db, settings.long_transaction).await
        };
        match answered(result).await {
            Ok(()) => outage.is_over(),
            Err(error) => outage.failed(&error, "maintenance failed"),
        }
    }
}

// A closed window means the same as none, and there may be as many as there were keys: a part of them at a time, so that
// nothing else has to wait. Returns whether that was all.
async fn forget_closed_windows(db: &DatabaseConnection) -> Result<bool, DbErr> {
    use job_dedupe::Column as D;

    let now = dialect(db)?.now();
    let closed = Query::select()
        .column(D::Key)
        .from(job_dedupe::Entity)
        .and_where(Expr::col(D::ExpiresAt).lt(now.clone()))
        .limit(WINDOWS as u64)
        .to_owned();
    let rows = db.query_all(&closed).await?;
    let keys = rows
        .iter()
        .map(|row| row.try_get("", "key"))
        .collect::<Result<Vec<String>, _>>()?;
    let delete = Query::delete()
        .from_table(job_dedupe::Entity)
        .and_where(D::Key.is_in(keys))
        .and_where(Expr::col(D::ExpiresAt).lt(now))
        .to_owned();
    db.execute(&delete).await?;
    Ok(rows.len() < WINDOWS)
}

async fn forget_dead_workers(db: &DatabaseConnection, holding: &[Uuid]) -> Result<(), DbErr> {
    let dialect = dialect(db)?;
    let long_ago = dialect.real_now_plus_seconds(-DEAD_WORKERS_KEPT.as_secs_f64());
    let delete = Query::delete()
        .from_table(job_worker::Entity)
        .and_where(Expr::col(job_worker::Column::ExpiresAt).lt(long_ago))
        .and_where(job_worker::Column::Id.is_not_in(holding.iter().copied()))
        .to_owned();
    db.execute(&delete).await.map(drop)
}

/// Puts tables in order that nobody waits for: clears away what is over, as the worker's retention says, and brings runs
/// home that wait where no worker may claim.
pub(super) async fn tidying(
    runtime: &Runtime,
    db: &DatabaseConnection,
    settings: &Settings,
    jobs: &[Registration],
) {
    let with_jobs = !settings.events_only;
    loop {
        let tidied = async {
            if with_jobs && types::bring_home(db, jobs).await? {
                tracing::info!("runs were moved to their job's pool");
                runtime.wake_up().announce(News::RUNS);
            }
            retention::prune(db, &settings.retention, with_jobs).await
        };
        match tidied.await {
            Ok(pruned) if pruned == retention::Pruned::default() => {}
            Ok(pruned) => {
                tracing::info!(runs = pruned.runs, events = pruned.events, "cleared away");
            }
            Err(error) => tracing::warn!(%error, "tidying failed and will be tried again"),
        }
        sleep(TIDYING.mul_f64(rand::random_range(0.8..1.2))).await;
    }
}
