//! Writing how attempts ended: in batches, and one by one where the database refuses a batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::Runtime;
use crate::database::{News, Outage, answered, dialect, retrying};
use crate::jobs::complete::{self, Ending, EndingKind};
use crate::jobs::{AttemptError, Claim, RunStatus, wait};
use crate::metrics;

use super::pulse::{FAREWELL, Pulse};

/// How many endings are written in one transaction.
const ENDINGS: usize = 256;

/// How often the database may refuse an ending before the run fails for it.
const MAX_REFUSALS: u32 = 5;

/// How many of the endings that could not be written together are written at a time.
const ALONE: usize = 4;

/// Writes endings until there will be no more: every executor is gone and the channel is empty.
pub(super) async fn write_endings(
    runtime: &Runtime,
    db: &DatabaseConnection,
    pulse: &Arc<Pulse>,
    mut endings: mpsc::Receiver<Ending>,
    end: &CancellationToken,
) {
    let writer = Alone {
        runtime: runtime.clone(),
        db: db.clone(),
        pulse: pulse.clone(),
        end: end.clone(),
        turns: Arc::new(Semaphore::new(ALONE)),
        outage: Arc::default(),
    };
    // What one of them is refused for, or waits for, must not hold up the others.
    let mut alone = JoinSet::new();
    let mut batch = Vec::with_capacity(ENDINGS);
    loop {
        tokio::select! {
            received = endings.recv_many(&mut batch, ENDINGS), if alone.len() < ENDINGS => {
                if received == 0 {
                    break;
                }
            }
            Some(_) = alone.join_next() => continue,
        }
        // The same order everywhere keeps two batches from waiting for each other.
        batch.sort_by_key(|ending| ending.claim.run_id);
        match write(runtime, db, pulse, &batch).await {
            Ok(()) => {
                for ending in batch.drain(..) {
                    written(pulse, &ending.claim);
                }
            }
            Err(error) => {
                tracing::warn!(%error, runs = batch.len(), "results could not be written together; trying one by one");
                if alone.is_empty() {
                    writer.outage().is_over();
                }
                for ending in batch.drain(..) {
                    alone.spawn(writer.clone().write(ending));
                }
            }
        }
    }
    while alone.join_next().await.is_some() {}
}

// In this order: whoever finds the run gone from those that run has been told by then.
fn written(pulse: &Pulse, claim: &Claim) {
    pulse
        .written
        .send_modify(|count| *count = count.wrapping_add(1));
    pulse.running.remove(claim.run_id.0, claim.fence);
}

pub(super) async fn write(
    runtime: &Runtime,
    db: &DatabaseConnection,
    pulse: &Pulse,
    endings: &[Ending],
) -> Result<(), DbErr> {
    let writing = retrying(db, || complete::write(db, pulse.worker_id, endings));
    let written = answered(writing).await?;
    if written.stale > 0 {
        metrics::stale_endings(written.stale);
        tracing::warn!(runs = written.stale, "stale results were discarded");
    }
    let mut released = written.released;
    if !written.awaited.is_empty() {
        // What is missed here is found by the sweep.
        match answered(wait::wake_parents(db, &written.awaited)).await {
            Ok(woken) => released |= woken,
            Err(error) => tracing::debug!(%error, "the parents of ended runs are woken later"),
        }
    }
    if released {
        runtime.wake_up().wake_here(News::RUNS);
    }
    Ok(())
}

/// Writes endings one by one.
#[derive(Clone)]
struct Alone {
    runtime: Runtime,
    db: DatabaseConnection,
    pulse: Arc<Pulse>,
    end: CancellationToken,
    turns: Arc<Semaphore>,
    outage: Arc<Mutex<Outage>>,
}

impl Alone {
    async fn write(self, mut ending: Ending) {
        let mut deadline = None;
        let mut pause = Duration::from_millis(20);
        let mut refusals = 0;
        while let Err(error) = self.attempt(&ending).await {
            let since = self.end.is_cancelled().then(Instant::now);
            deadline = deadline.or(since);
            if deadline.is_some_and(|since: Instant| since.elapsed() > FAREWELL) {
                tracing::error!(%error, run = %ending.claim.run_id, "a result was lost at shutdown; the run will be taken over");
                return;
            }
            self.outage()
                .failed(&error, "a result could not be written");
            if !dialect(&self.db).is_ok_and(|dialect| dialect.is_transient(&error)) {
                refusals += 1;
            }
            if refusals == MAX_REFUSALS {
                ending.kind = refused(&ending, &error);
            } else if refusals == 2 * MAX_REFUSALS {
                tracing::error!(%error, run = %ending.claim.run_id, "the database refuses every ending of a run");
                break;
            }
            sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        written(&self.pulse, &ending.claim);
    }

    async fn attempt(&self, ending: &Ending) -> Result<(), DbErr> {
        // Never closed.
        let _turn = self.turns.acquire().await;
        let ending = std::slice::from_ref(ending);
        write(&self.runtime, &self.db, &self.pulse, ending).await
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(ending: &Ending, error: &DbErr) -> EndingKind {
    let text = format!("the database refuses its result: {error}");
    over(&ending.claim, RunStatus::Failed, "failed", &text)
}

/// The end of a run whose attempt ends now.
pub(super) fn over(claim: &Claim, status: RunStatus, outcome: &str, text: &str) -> EndingKind {
    EndingKind::Over {
        status,
        error: AttemptError {
            attempt: claim.attempt,
            outcome: outcome.to_owned(),
            error: text.to_owned(),
            backtrace: None,
            worker_id: Some(claim.worker_id),
            started_at: Some(claim.claimed_at),
            ended_at: Some(claim.now().max(claim.claimed_at)),
        },
    }
}
