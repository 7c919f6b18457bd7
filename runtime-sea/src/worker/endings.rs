//! Writing how attempts ended: in batches, and one by one where the database refuses a batch.

use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::Runtime;
use crate::database::{Outage, answered, dialect, retrying};
use crate::jobs::complete::{self, Ending, EndingKind};
use crate::jobs::{AttemptError, Claim, RunStatus, wait};
use crate::metrics;

use super::pulse::{FAREWELL, Pulse};

/// How many endings are written in one transaction.
const ENDINGS: usize = 256;

/// How often the database may refuse an ending before the run fails for it.
const MAX_REFUSALS: u32 = 5;

/// Writes endings until there will be no more: every executor is gone and the channel is empty.
pub(super) async fn write_endings(
    runtime: &Runtime,
    db: &DatabaseConnection,
    pulse: &Pulse,
    mut endings: mpsc::Receiver<Ending>,
    end: &CancellationToken,
) {
    let mut batch = Vec::with_capacity(ENDINGS);
    while endings.recv_many(&mut batch, ENDINGS).await > 0 {
        // The same order everywhere keeps two batches from waiting for each other.
        batch.sort_by_key(|ending| ending.claim.run_id);
        let left = batch.len();
        let written = match write(runtime, db, pulse, &batch).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, runs = left, "results could not be written together; trying one by one");
                // What one of them is refused for must not hold up the others.
                one_by_one(runtime, db, pulse, &mut batch, end).await
            }
        };
        if !written {
            return;
        }
        for ending in batch.drain(..) {
            let claim = ending.claim;
            pulse.running.remove(claim.run_id.0, claim.fence);
        }
        pulse
            .written
            .send_modify(|count| *count = count.wrapping_add(1));
    }
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
        runtime.wake_up().wake_here();
    }
    Ok(())
}

// Returns whether all were written; `false` only at a shutdown without a database.
async fn one_by_one(
    runtime: &Runtime,
    db: &DatabaseConnection,
    pulse: &Pulse,
    endings: &mut [Ending],
    end: &CancellationToken,
) -> bool {
    let mut deadline = None;
    let mut outage = Outage::default();
    for ending in endings {
        let mut pause = Duration::from_millis(20);
        let mut refusals = 0;
        while let Err(error) = write(runtime, db, pulse, std::slice::from_ref(ending)).await {
            let since = end.is_cancelled().then(Instant::now);
            deadline = deadline.or(since);
            if deadline.is_some_and(|since: Instant| since.elapsed() > FAREWELL) {
                tracing::error!(%error, "results were lost at shutdown; the runs will be taken over");
                return false;
            }
            outage.failed(&error, "a result could not be written");
            if !dialect(db).is_ok_and(|dialect| dialect.is_transient(&error)) {
                refusals += 1;
            }
            if refusals == MAX_REFUSALS {
                ending.kind = refused(ending, &error);
            } else if refusals == 2 * MAX_REFUSALS {
                tracing::error!(%error, run = %ending.claim.run_id, "the database refuses every ending of a run");
                break;
            }
            sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
    true
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
