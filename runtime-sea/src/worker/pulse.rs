//! What must go on whatever the handlers do: heartbeats, take-over of runs and events, admission, cancellation, and the
//! writing of endings.
//!
//! [`super::thread`] says where it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Runtime;
use crate::database::{CENTURY, Dialect, News, Outage, answered, dialect, literal};
use crate::events::drain::{Calls, Drainer};
use crate::jobs::admit::Admission;
use crate::jobs::complete::Ending;
use crate::jobs::entities::{job_run, job_worker};
use crate::jobs::{ParentClose, Registration};
use crate::metrics::{self, Sampler};
use crate::schedule::Timetable;

use super::blocked;
use super::builder::Settings;
use super::endings::write_endings;
use super::maintenance::{maintenance, tidying};
use super::running::{Running, StopReason};
use super::sampling::sampling;
use super::schedules::make_slots;
use super::waits::end_waits;

/// How long a stopping worker tries to write what is left while the database does not answer.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// Whether what a worker has claimed is certainly its own still.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    beat: watch::Receiver<Instant>,
    term: watch::Receiver<CancellationToken>,
    length: Duration,
}

impl Lease {
    pub(crate) const fn new(
        beat: watch::Receiver<Instant>,
        term: watch::Receiver<CancellationToken>,
        length: Duration,
    ) -> Self {
        Self { beat, term, length }
    }

    /// The last heartbeat gave the worker at least this much time, counted from before it was sent.
    pub(crate) fn holds(&self) -> bool {
        self.beat.borrow().elapsed() < self.length
    }

    /// Cancelled when the lease has run out, or may have, since this was asked: what was claimed later is not concerned.
    pub(crate) fn term(&self) -> CancellationToken {
        self.term.borrow().clone()
    }
}

/// The state that a worker's tasks share.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) worker_id: Uuid,
    pub(super) running: Arc<Running>,
    /// What subscriptions are called with at the moment.
    pub(super) calls: Calls,
    alive: AtomicBool,
    /// When the last heartbeat that arrived was sent.
    pub(super) beat: watch::Sender<Instant>,
    /// Why runs could not be claimed, where that will be the same the next time.
    unclaimable: Mutex<Option<DbErr>>,
    /// Cancelled, and another one from then on, when the lease has run out.
    term: watch::Sender<CancellationToken>,
    /// Grows with every batch of endings that was written.
    pub(super) written: watch::Sender<u64>,
}

impl Pulse {
    pub(super) fn new(worker_id: Uuid) -> Self {
        Self {
            worker_id,
            running: Arc::default(),
            calls: Calls::default(),
            alive: AtomicBool::new(true),
            beat: watch::Sender::new(Instant::now()),
            term: watch::Sender::new(CancellationToken::new()),
            written: watch::Sender::new(0),
            unclaimable: Mutex::new(None),
        }
    }

    /// What everything that the worker claims is held under.
    pub(super) fn lease(&self, length: Duration) -> Lease {
        Lease::new(self.beat.subscribe(), self.term.subscribe(), length)
    }

    /// Stops what is in hand: another worker may have it.
    pub(super) fn stop_all(&self) {
        self.running.stop_all(StopReason::LeaseExpired);
        self.term.send_replace(CancellationToken::new()).cancel();
    }

    /// Why runs cannot be claimed.
    pub(super) fn unclaimable(&self) -> MutexGuard<'_, Option<DbErr>> {
        self.unclaimable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the worker may claim: its last heartbeat is recent enough that nobody can think it dead.
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

/// Everything that the thread needs.
pub(super) struct Life {
    pub(super) runtime: Runtime,
    pub(super) settings: Settings,
    /// The jobs that the worker executes.
    pub(super) jobs: Vec<Registration>,
    pub(super) sampler: Sampler,
    pub(super) timetable: Arc<Timetable>,
    /// What is to be kept; nothing where the caller drives the drain.
    pub(super) drainer: Option<Drainer>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) endings: mpsc::Receiver<Ending>,
    /// Cancelled when the worker is done with everything else.
    pub(super) end: CancellationToken,
}

/// Enters the worker into the table, so that it may claim.
pub(super) async fn register(
    db: &DatabaseConnection,
    worker_id: Uuid,
    settings: &Settings,
) -> Result<(), DbErr> {
    beat(db, dialect(db)?, worker_id, settings).await
}

/// Works until every ending is written that there will ever be, then takes the worker out of the table.
pub(super) async fn live(life: Life, db: &DatabaseConnection) {
    let Life {
        runtime,
        settings,
        jobs,
        sampler,
        timetable,
        drainer,
        pulse,
        endings,
        end,
    } = life;
    let with_jobs = !settings.events_only;
    let endless = async {
        tokio::join!(
            heartbeat(db, &settings, &pulse),
            maintenance(&runtime, db, &settings, &pulse, &jobs),
            tidying(&runtime, db, &settings, &jobs),
            admission(&runtime, db, with_jobs),
            end_waits(&runtime, db, with_jobs),
            cancellations(&runtime, db, &settings, &pulse, with_jobs),
            notifications(&runtime, db),
            make_slots(&runtime, db, &timetable),
            keep_events(db, drainer.as_ref()),
            blocked::watch(&runtime, db, &settings, &pulse),
            sampling(&runtime, db, &sampler, settings.sample_every),
        )
    };
    let writing = write_endings(&runtime, db, &pulse, endings, &end);
    tokio::select! {
        _ = endless => {}
        () = writing => {}
    }
    // In vain if the database is away; then the row runs out like that of a dead worker.
    let leave = Query::delete()
        .from_table(job_worker::Entity)
        .and_where(job_worker::Column::Id.eq(pulse.worker_id))
        .to_owned();
    match timeout(FAREWELL, db.execute(&leave)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the worker could not sign off"),
        Err(_) => tracing::warn!("the worker could not sign off in time"),
    }
}

async fn keep_events(db: &DatabaseConnection, drainer: Option<&Drainer>) {
    match drainer {
        Some(drainer) => drainer.keep(db).await,
        None => std::future::pending().await,
    }
}

async fn beat(
    db: &DatabaseConnection,
    dialect: &dyn Dialect,
    worker_id: Uuid,
    settings: &Settings,
) -> Result<(), DbErr> {
    use job_worker::Column as C;

    let upsert = Query::insert()
        .into_table(job_worker::Entity)
        .columns([C::Id, C::Name, C::StartedAt, C::HeartbeatAt, C::ExpiresAt])
        .values_panic([
            worker_id.into(),
            settings.name.clone().into(),
            dialect.real_now(),
            dialect.real_now(),
            lease_from_now(dialect, settings),
        ])
        .on_conflict(
            OnConflict::column(C::Id)
                .update_columns([C::HeartbeatAt, C::ExpiresAt])
                .to_owned(),
        )
        .to_owned();
    db.execute(&upsert).await.map(drop)
}

fn lease_from_now(dialect: &dyn Dialect, settings: &Settings) -> Expr {
    dialect.real_now_plus_seconds(settings.lease.min(CENTURY).as_secs_f64())
}

// Renews the lease. Returns whether it was still this worker's: a process that was stopped, or whose machine slept, may
// not have noticed that its time has passed, but the database has.
async fn renew(
    db: &DatabaseConnection,
    dialect: &dyn Dialect,
    worker_id: Uuid,
    settings: &Settings,
) -> Result<bool, DbErr> {
    use job_worker::Column as C;

    let update = Query::update()
        .table(job_worker::Entity)
        .value(C::HeartbeatAt, dialect.real_now())
        .value(C::ExpiresAt, lease_from_now(dialect, settings))
        .and_where(C::Id.eq(worker_id))
        .and_where(Expr::col(C::ExpiresAt).gt(dialect.real_now()))
        .to_owned();
    if db.execute(&update).await?.rows_affected() > 0 {
        return Ok(true);
    }
    beat(db, dialect, worker_id, settings).await?;
    Ok(false)
}

// The lease counts from before the heartbeat was sent: the database gives at least that much.
async fn heartbeat(db: &DatabaseConnection, settings: &Settings, pulse: &Pulse) {
    let mut last = Instant::now();
    let mut outage = Outage::default();
    loop {
        let sent = Instant::now();
        let Ok(dialect) = dialect(db) else { return };
        let answer = timeout(
            settings.lease / 4,
            renew(db, dialect, pulse.worker_id, settings),
        )
        .await;
        let failed = match answer {
            Ok(Ok(held)) => {
                if !held {
                    metrics::lease_lost();
                    tracing::warn!("the lease had run out; what was in hand is stopped");
                    pulse.stop_all();
                }
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer".to_owned()),
        };
        match failed {
            None => {
                outage.is_over();
                last = sent;
                pulse.beat.send_replace(sent);
                pulse.alive.store(true, Ordering::Relaxed);
                sleep(settings.heartbeat).await;
            }
            Some(error) => {
                metrics::heartbeat_failed();
                outage.failed(&error, "a heartbeat did not arrive");
                // Stops claiming well before the others may take over, and stops working when they may.
                if last.elapsed() > settings.lease / 2 {
                    pulse.alive.store(false, Ordering::Relaxed);
                }
                sleep((settings.heartbeat / 4).max(Duration::from_millis(50))).await;
            }
        }
        if last.elapsed() > settings.lease.mul_f64(0.75) {
            pulse.stop_all();
        }
    }
}

async fn admission(runtime: &Runtime, db: &DatabaseConnection, with_jobs: bool) {
    if !with_jobs {
        return std::future::pending().await;
    }
    let mut wake_up = runtime.wake_up().subscribe(News::RUNS);
    let poll = dialect(db).map_or(Duration::from_secs(1), Dialect::max_poll_interval);
    let mut admission = Admission::default();
    let mut outage = Outage::default();
    loop {
        wake_up.mark_unchanged();
        let pause = match answered(admission.admit(db)).await {
            Ok(admitted) => {
                outage.is_over();
                if admitted.any || admitted.cancelled {
                    runtime.wake_up().wake_here(News::RUNS);
                    wake_up.mark_unchanged();
                }
                admitted.next.map_or(poll, |next| next.min(poll))
            }
            Err(error) => {
                outage.failed(&error, "runs could not be admitted");
                poll
            }
        };
        // The sender lives in the runtime that this borrows.
        let _ = timeout(pause, wake_up.changed()).await;
    }
}

async fn cancellations(
    runtime: &Runtime,
    db: &DatabaseConnection,
    settings: &Settings,
    pulse: &Pulse,
    with_jobs: bool,
) {
    use job_run::Column as C;

    if !with_jobs {
        return std::future::pending().await;
    }
    let mut wake_up = runtime.wake_up().subscribe(News::RUNS);
    let requested = Query::select()
        .columns([C::Id, C::Fence, C::ParentClose, C::ClosedByParent])
        .from(job_run::Entity)
        .and_where(Expr::col(C::Status).eq(literal("running")))
        .and_where(C::WorkerId.eq(pulse.worker_id))
        .and_where(C::CancelRequestedAt.is_not_null())
        .to_owned();
    let mut outage = Outage::default();
    loop {
        let _ = timeout(settings.heartbeat, wake_up.changed()).await;
        // Wake-ups come with every start: one look serves many.
        sleep(Duration::from_millis(20)).await;
        wake_up.mark_unchanged();
        if pulse.running.is_empty() {
            continue;
        }
        let stop = async {
            for row in db.query_all(&requested).await? {
                let (id, fence) = (row.try_get("", "id")?, row.try_get("", "fence")?);
                let policy: String = row.try_get("", "parent_close")?;
                let closed: bool = row.try_get("", "closed_by_parent")?;
                let reason = if closed && policy == ParentClose::Terminate.as_str() {
                    StopReason::Terminated
                } else {
                    StopReason::Cancelled
                };
                pulse.running.stop(id, fence, reason);
            }
            Ok::<_, DbErr>(())
        };
        match answered(stop).await {
            Ok(()) => outage.is_over(),
            Err(error) => outage.failed(&error, "cancellations could not be read"),
        }
    }
}

// A subscription that breaks is renewed; until then the workers poll.
async fn notifications(runtime: &Runtime, db: &DatabaseConnection) {
    let Ok(dialect) = dialect(db) else {
        return std::future::pending().await;
    };
    if !runtime.wake_up().has_notifications() {
        return std::future::pending().await;
    }
    loop {
        let pause = match dialect.forward_notifications(db, runtime.wake_up()).await {
            Ok(false) => return std::future::pending().await,
            Ok(true) => Duration::from_millis(100),
            Err(error) => {
                tracing::debug!(%error, "notifications are interrupted; the worker polls");
                Duration::from_secs(1)
            }
        };
        sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
    }
}
