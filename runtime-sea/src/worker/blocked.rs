//! Handlers that block their thread. They cannot be stopped, since nothing but their own code runs there: they are told
//! of, and their runs are ended when their time is up, or when they were told to stop. The slot is free only when the
//! handler returns: its thread is gone until then, and to begin another run would take the next one.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::DatabaseConnection;
use tokio::time::sleep;

use crate::Runtime;
use crate::jobs::RunStatus;
use crate::jobs::complete::{Ending, EndingKind};

use super::builder::Settings;
use super::endings::{over, write};
use super::executor::STOPPING;
use super::pulse::Pulse;
use super::running::Stop;

/// Whether a handler or a subscription is being polled, and since when.
#[derive(Debug, Default)]
pub(crate) struct Polling(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    reports: u32,
    is_ended: bool,
}

impl Polling {
    /// Polls the future to its end, noting when.
    pub(crate) async fn note<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            self.lock().since = Some(Instant::now());
            let _ended = Ended(self);
            future.as_mut().poll(context)
        })
        .await
    }

    /// For how long the handler has not yielded.
    pub(crate) fn blocked_for(&self) -> Duration {
        let since = self.lock().since;
        since.map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Whether to tell of it now: after `patience`, and each time that the time has doubled.
    fn is_to_be_reported(&self, blocked_for: Duration, patience: Duration) -> bool {
        let mut state = self.lock();
        let next = patience.saturating_mul(2_u32.saturating_pow(state.reports));
        let is_due = state.since.is_some() && blocked_for >= next;
        if is_due {
            state.reports += 1;
        }
        is_due
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the note of a poll, of one that panics too.
struct Ended<'a>(&'a Polling);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.since = None;
        state.reports = 0;
    }
}

/// Watches for blocked handlers for as long as the worker lives.
pub(super) async fn watch(
    runtime: &Runtime,
    db: &DatabaseConnection,
    settings: &Settings,
    pulse: &Pulse,
) {
    loop {
        sleep(settings.heartbeat).await;
        for call in pulse.calls.all() {
            let blocked_for = call.polling.blocked_for();
            if call.polling.is_to_be_reported(blocked_for, settings.lease) {
                tracing::warn!(
                    subscription = call.subscription,
                    event_id = %call.event_id,
                    seconds = blocked_for.as_secs(),
                    "a subscription blocks its thread; use tokio::task::spawn_blocking for work that does not await"
                );
            }
        }
        for attempt in pulse.running.all() {
            let claim = &attempt.claim;
            let blocked_for = attempt.polling.blocked_for();
            if attempt
                .polling
                .is_to_be_reported(blocked_for, settings.lease)
            {
                tracing::warn!(
                    run = %claim.run_id,
                    seconds = blocked_for.as_secs(),
                    "a handler blocks its thread; use tokio::task::spawn_blocking for work that does not await"
                );
            }
            let Some(kind) = ending(&attempt) else {
                continue;
            };
            if blocked_for < STOPPING || attempt.polling.lock().is_ended {
                continue;
            }
            let ending = Ending {
                claim: claim.clone(),
                kind,
            };
            match write(runtime, db, pulse, &[ending]).await {
                Ok(()) => attempt.polling.lock().is_ended = true,
                Err(error) => {
                    tracing::warn!(%error, run = %claim.run_id, "a blocked run could not be ended and will be tried again");
                }
            }
        }
    }
}

// How the run ends if its handler does not return.
fn ending(attempt: &Stop) -> Option<EndingKind> {
    let (since, status, outcome, what) = match attempt.cancelled_for() {
        Some(since) => (since, RunStatus::Canceled, "canceled", "it was cancelled"),
        None => {
            let since = attempt.deadline?.elapsed();
            (since, RunStatus::TimedOut, "timed_out", "its time was up")
        }
    };
    let text = format!("{what}, and its handler blocks its thread");
    (since >= STOPPING).then(|| over(&attempt.claim, status, outcome, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn r06_a_blocked_handler_is_reported_each_time_that_the_time_has_doubled() {
        let polling = Polling::default();
        let patience = Duration::from_secs(5);
        let seconds = Duration::from_secs;
        assert!(!polling.is_to_be_reported(seconds(60), patience));
        polling
            .note(async {
                let reported: Vec<_> = (1..=25)
                    .filter(|now| polling.is_to_be_reported(seconds(*now), patience))
                    .collect();
                assert_eq!(reported, [5, 10, 20]);
                std::thread::sleep(Duration::from_millis(2));
                assert!(polling.blocked_for() >= Duration::from_millis(2));
            })
            .await;
        assert_eq!(polling.blocked_for(), Duration::ZERO);
    }
}
