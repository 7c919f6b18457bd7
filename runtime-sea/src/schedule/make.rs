//! Calling a schedule's closure. It is the app's code, and may block or panic: it gets a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::plan::Due;
use super::{Made, Scheduled, Slot};
use crate::hook::guarded;

/// How long a closure may take before the log says so, and before nobody waits for it who wants to be idle.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is made of the slots that were due, the oldest first; nothing where the closure could not.
type Slots = Vec<(DateTime<Utc>, Option<Made>)>;

/// What a schedule's closure is busy with.
pub(super) struct Making {
    /// Where the schedule's row stood when its closure was called.
    pub(super) slot: DateTime<Utc>,
    pub(super) due: Due,
    made: oneshot::Receiver<Slots>,
    since: Instant,
    reports: u32,
}

impl Making {
    /// Calls the closure for what is due, on a thread that has the app's Tokio runtime at hand, and tells `done` when it
    /// has returned.
    pub(super) fn begin(
        scheduled: &Scheduled,
        slot: DateTime<Utc>,
        due: Due,
        app: &Handle,
        done: &Arc<Notify>,
    ) -> std::io::Result<Self> {
        let (sender, made) = oneshot::channel();
        let (scheduled, slots) = (scheduled.clone(), due.slots.clone());
        let (app, done) = (app.clone(), done.clone());
        // Not one of Tokio's threads: a runtime that ends would wait for a closure that never returns.
        std::thread::Builder::new()
            .name("runtime-sea-schedule".to_owned())
            .spawn(move || {
                let _on_tokio = app.enter();
                let made = slots.iter().map(|at| (*at, make(&scheduled, *at)));
                // Nobody is interested any more where the worker has ended.
                let _ = sender.send(made.collect());
                done.notify_one();
            })?;
        Ok(Self {
            slot,
            due,
            made,
            since: Instant::now(),
            reports: 0,
        })
    }

    /// What was made, once the closure has returned.
    pub(super) fn made(&mut self) -> Option<Slots> {
        match self.made.try_recv() {
            Ok(made) => Some(made),
            Err(oneshot::error::TryRecvError::Empty) => None,
            // The thread is gone and has made nothing.
            Err(oneshot::error::TryRecvError::Closed) => {
                Some(self.due.slots.iter().map(|at| (*at, None)).collect())
            }
        }
    }

    /// Whether it has taken no longer than a closure may.
    pub(super) fn is_quick(&self) -> bool {
        self.since.elapsed() < PATIENCE
    }

    /// Tells of a closure that takes too long, and again each time that the time has doubled.
    pub(super) fn complain(&mut self, schedule: &str) {
        let taken = self.since.elapsed();
        if taken >= PATIENCE.saturating_mul(2_u32.saturating_pow(self.reports)) {
            self.reports += 1;
            tracing::error!(
                schedule,
                slot = %self.slot,
                seconds = taken.as_secs(),
                "a schedule's closure has not returned; its slots wait for it"
            );
        }
    }
}

// What cannot be made today cannot be made tomorrow either: the schedule goes on without it.
fn make(scheduled: &Scheduled, at: DateTime<Utc>) -> Option<Made> {
    let made = catch_unwind(AssertUnwindSafe(|| (scheduled.make)(Slot { at })))
        .unwrap_or_else(|_| Err("the schedule's closure panicked".to_owned()));
    made.inspect_err(|reason| {
        // A panic here would take the other slots along.
        let _ = guarded("the log", || {
            tracing::error!(schedule = scheduled.name, slot = %at, reason, "a slot could not be made");
        });
    })
    .ok()
}
