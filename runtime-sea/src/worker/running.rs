//! What a worker executes at the moment, and how an attempt is told to stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::jobs::Claim;
use crate::jobs::claim::ClaimedRun;

use super::blocked::Polling;

/// Why an attempt is stopped before its handler returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// Somebody cancelled the run.
    Cancelled,
    /// Its parent's end takes it along at once.
    Terminated,
    /// Its time was up.
    TimedOut,
    /// The worker shuts down and its grace is over.
    Shutdown,
    /// The worker could not renew its lease: another one may have the run.
    LeaseExpired,
}

/// One attempt, and its stop signal. The first reason counts.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) claim: Claim,
    /// When its time is up.
    pub(super) deadline: Option<Instant>,
    pub(super) token: CancellationToken,
    pub(super) polling: Polling,
    pub(super) lease_lost: CancellationToken,
    reason: OnceLock<(StopReason, Instant)>,
}

impl Stop {
    pub(super) fn new(run: &ClaimedRun) -> Self {
        Self {
            claim: run.claim.clone(),
            deadline: run
                .time_left
                .and_then(|left| run.claim.arrived.checked_add(left)),
            token: CancellationToken::new(),
            polling: Polling::default(),
            lease_lost: CancellationToken::new(),
            reason: OnceLock::new(),
        }
    }

    pub(super) fn stop(&self, reason: StopReason) {
        let _first = self.reason.set((reason, Instant::now()));
        if reason == StopReason::LeaseExpired {
            self.lease_lost.cancel();
        }
        self.token.cancel();
    }

    pub(super) fn reason(&self) -> Option<StopReason> {
        self.reason.get().map(|it| it.0)
    }

    /// For how long its handler has been told that somebody wants the run to end.
    pub(super) fn cancelled_for(&self) -> Option<Duration> {
        match self.reason.get()? {
            (StopReason::Cancelled | StopReason::Terminated, since) => Some(since.elapsed()),
            _ => None,
        }
    }
}

/// The attempts that a worker executes, by run, until their endings are written. A run is here at most once: its claim is.
#[derive(Debug, Default)]
pub(super) struct Running {
    attempts: Mutex<HashMap<Uuid, Arc<Stop>>>,
}

impl Running {
    pub(super) fn insert(&self, run: &ClaimedRun) -> Arc<Stop> {
        let stop = Arc::new(Stop::new(run));
        self.lock().insert(run.claim.run_id.0, stop.clone());
        stop
    }

    // A later claim of the same run by the same worker has taken the entry over.
    pub(super) fn remove(&self, run_id: Uuid, fence: i64) {
        let mut attempts = self.lock();
        if attempts
            .get(&run_id)
            .is_some_and(|stop| stop.claim.fence == fence)
        {
            attempts.remove(&run_id);
        }
    }

    pub(super) fn stop(&self, run_id: Uuid, fence: i64, reason: StopReason) {
        if let Some(stop) = self.lock().get(&run_id)
            && stop.claim.fence == fence
        {
            stop.stop(reason);
        }
    }

    pub(super) fn stop_all(&self, reason: StopReason) {
        for stop in self.lock().values() {
            stop.stop(reason);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Stop>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn contains(&self, run_id: Uuid, fence: i64) -> bool {
        self.lock()
            .get(&run_id)
            .is_some_and(|stop| stop.claim.fence == fence)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Stop>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
