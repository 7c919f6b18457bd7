//! What a worker executes at the moment, and how an attempt is told to stop.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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

/// The stop signal of one attempt. The first reason counts.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) token: CancellationToken,
    reason: OnceLock<StopReason>,
}

impl Stop {
    pub(super) fn new() -> Self {
        Self {
            token: CancellationToken::new(),
            reason: OnceLock::new(),
        }
    }

    pub(super) fn stop(&self, reason: StopReason) {
        let _first = self.reason.set(reason);
        self.token.cancel();
    }

    pub(super) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }
}

/// The attempts that a worker executes, by run, until their endings are written. A run is here at most once: its claim is.
#[derive(Debug, Default)]
pub(super) struct Running {
    attempts: Mutex<HashMap<Uuid, (i64, std::sync::Arc<Stop>)>>,
}

impl Running {
    pub(super) fn insert(&self, run_id: Uuid, fence: i64) -> std::sync::Arc<Stop> {
        let stop = std::sync::Arc::new(Stop::new());
        self.lock().insert(run_id, (fence, stop.clone()));
        stop
    }

    // A later claim of the same run by the same worker has taken the entry over.
    pub(super) fn remove(&self, run_id: Uuid, fence: i64) {
        let mut attempts = self.lock();
        if attempts
            .get(&run_id)
            .is_some_and(|(entry, _)| *entry == fence)
        {
            attempts.remove(&run_id);
        }
    }

    pub(super) fn stop(&self, run_id: Uuid, fence: i64, reason: StopReason) {
        if let Some((entry, stop)) = self.lock().get(&run_id)
            && *entry == fence
        {
            stop.stop(reason);
        }
    }

    pub(super) fn stop_all(&self, reason: StopReason) {
        for (_, stop) in self.lock().values() {
            stop.stop(reason);
        }
    }

    pub(super) fn contains(&self, run_id: Uuid, fence: i64) -> bool {
        self.lock()
            .get(&run_id)
            .is_some_and(|(entry, _)| *entry == fence)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, (i64, std::sync::Arc<Stop>)>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
