//! The loop of one lane: claim while there is room, settle what has finished.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Shared;
use super::aside::Aside;
use super::claim::{Source, release_unknown_claims};
use super::group::claim;
use super::persist::{log_outage, outage_pause, settle};
use crate::database::{self, News};

/// The most that is claimed at a time.
const MAX_BATCH: usize = 256;

/// How many times more than it can work on at a time a lane takes in hand at once.
const AHEAD: usize = 8;

/// How often a source is searched for what was claimed without an answer.
const SEARCH: Duration = Duration::from_secs(3);

/// How long a pump goes on.
#[derive(Debug)]
pub(super) enum Mode {
    /// Until nothing is left that could be done now.
    UntilIdle,
    /// Until `shutdown`, and then until what is in hand is done, or until `abort`.
    Until {
        shutdown: CancellationToken,
        abort: CancellationToken,
    },
}

/// How much a pump takes in hand: not so much more than it can work on that others stand idle.
#[derive(Debug, Clone, Copy)]
struct Room {
    batch: usize,
    capacity: usize,
}

impl Room {
    fn of(concurrency: usize) -> Self {
        let batch = concurrency.saturating_mul(AHEAD).min(MAX_BATCH);
        Self {
            batch,
            capacity: 2 * batch,
        }
    }
}

/// Claims, dispatches and settles. Returns how much was settled.
///
/// Only [`Mode::UntilIdle`] returns the database's errors; a pump that runs on waits until it is back.
pub(super) async fn pump(shared: &Arc<Shared>, source: Source, mode: Mode) -> Result<usize, DbErr> {
    let (shutdown, abort, until_idle) = match mode {
        Mode::UntilIdle => (CancellationToken::new(), CancellationToken::new(), true),
        Mode::Until { shutdown, abort } => (shutdown, abort, false),
    };
    let poll_interval = database::dialect(shared.runtime.db())?.max_poll_interval();
    let mut wake_ups = shared.runtime.wake_up().subscribe(News::EVENTS);
    let (sender, mut done) = mpsc::unbounded_channel();
    let Some(limit) = shared.lanes.get(&source.lane()) else {
        return Ok(0);
    };
    let Room {
        batch: at_a_time,
        capacity,
    } = Room::of(limit.concurrency);
    let mut groups = JoinSet::new();
    let mut in_hand = 0;
    // How many of each claim, by its token.
    let mut claims: HashMap<Uuid, usize> = HashMap::new();
    let mut aside = Aside::default();
    let mut searched = Instant::now();
    let mut settled = 0;
    let mut look = true;
    let mut failures = 0;
    loop {
        if !until_idle && !shutdown.is_cancelled() && searched.elapsed() > SEARCH {
            look |= hand_back_unknown(shared, source, &claims).await;
            searched = Instant::now();
        }
        let room = capacity - in_hand;
        if look && room >= at_a_time && !shutdown.is_cancelled() {
            let claim = claim(shared, source, at_a_time as u64, in_hand == 0);
            match database::answered(claim).await {
                Ok(batch) => {
                    failures = 0;
                    look = batch.len() >= at_a_time;
                    in_hand += batch.len();
                    for group in batch.groups {
                        *claims.entry(group.token()).or_default() += group.len();
                        let (shared, sender) = (Arc::clone(shared), sender.clone());
                        let term = batch.term.clone();
                        let permits = Arc::clone(&limit.permits);
                        groups.spawn(async move {
                            // The semaphore is never closed.
                            let _permit = permits.acquire_owned().await;
                            group.dispatch(&shared, &term, &sender).await;
                        });
                    }
                    if look {
                        continue;
                    }
                }
                Err(error) if until_idle => return Err(error),
                Err(error) => {
                    failures += 1;
                    look = false;
                    log_outage(failures, &error, "events could not be claimed");
                }
            }
        }
        if in_hand == 0 && (shutdown.is_cancelled() || (until_idle && !look)) {
            return Ok(settled);
        }
        let pause = if failures > 0 {
            outage_pause(failures)
        } else {
            poll_interval
        };
        tokio::select! {
            biased;
            () = abort.cancelled() => {
                groups.shutdown().await;
                shared.calls.are_over().await;
                return Ok(settled);
            }
            Some(first) = done.recv() => {
                let mut batch = vec![first];
                while batch.len() < MAX_BATCH && let Ok(next) = done.try_recv() {
                    batch.push(next);
                }
                let taken: usize = batch.iter().map(|it| it.outcome.len()).sum();
                let ends_group = batch.iter().any(|it| it.ends_group);
                let of_claims: Vec<_> = batch
                    .iter()
                    .map(|it| (it.outcome.token(), it.outcome.len()))
                    .collect();
                settle(shared, batch, &mut aside, &abort).await;
                for (token, ended) in of_claims {
                    if let Some(left) = claims.get_mut(&token) {
                        *left -= ended;
                    }
                }
                claims.retain(|_, left| *left > 0);
                in_hand -= taken;
                settled += taken;
                look |= ends_group;
            }
            Some(ended) = groups.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, ?source, "delivering events panicked; they are handed back");
                }
            }
            () = shutdown.cancelled(), if in_hand == 0 => {}
            Ok(()) = wake_ups.changed(), if !look => look = true,
            () = tokio::time::sleep(pause), if !look => look = true,
        }
    }
}

// Between two claims of the source, so that none is under way. Returns whether there is something to claim again.
async fn hand_back_unknown(shared: &Shared, source: Source, claims: &HashMap<Uuid, usize>) -> bool {
    let known: Vec<_> = claims.keys().copied().collect();
    let db = shared.runtime.db();
    match release_unknown_claims(db, shared.worker_id, source, &known).await {
        Ok(0) => false,
        Ok(events) => {
            tracing::warn!(events, ?source, "claims without an answer were handed back");
            true
        }
        Err(error) => {
            tracing::debug!(?source, %error, "claims without an answer are looked for later");
            false
        }
    }
}
