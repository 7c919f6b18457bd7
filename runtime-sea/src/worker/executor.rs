//! One attempt of one run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::Span;

use crate::Runtime;
use crate::clock::sleep_by_clock;
use crate::hook::guarded;
use crate::jobs::claim::ClaimedRun;
use crate::jobs::complete::{Ending, EndingKind};
use crate::jobs::lease::HeldRun;
use crate::jobs::{AttemptError, JobContext, JobError, JobErrorKind, Registration, RunStatus};
use crate::{metrics, trace};

use super::Lease;
use super::panics::{self, Panic};
use super::running::{Running, Stop, StopReason};

/// How long a handler that is told to stop may take to return before its future is dropped.
pub(super) const STOPPING: Duration = Duration::from_secs(2);

/// What executing an attempt needs of its worker.
#[derive(Debug, Clone)]
pub(super) struct Executor {
    pub(super) runtime: Runtime,
    pub(super) running: Arc<Running>,
    pub(super) endings: mpsc::Sender<Ending>,
    pub(super) lease: Lease,
}

/// How the handler came to its end.
enum Outcome {
    Returned(Result<Value, JobError>),
    Panicked(Panic),
    /// It can go on only when one of these waits is over, and was dropped.
    Suspended(Vec<String>),
    /// It did not return in time and was dropped.
    Dropped,
}

impl Executor {
    /// Registers the attempts at once, so that a stop reaches them before they have begun.
    pub(super) fn register(&self, run: &ClaimedRun) -> Arc<Stop> {
        self.running.insert(run)
    }

    /// Executes the attempt and reports its ending. The caller's slot is free when this returns; the ending is written
    /// by somebody else.
    pub(super) async fn execute(self, job: Registration, mut run: ClaimedRun, stop: Arc<Stop>) {
        let input = std::mem::take(&mut run.input);
        let time_left = run.time_left;
        let held = HeldRun {
            lease: self.lease.clone(),
            lost: stop.lease_lost.clone(),
        };
        let kind = if held.is_over() {
            Some(EndingKind::HandedBack)
        } else if run.cancel_requested {
            Some(over(
                &run,
                RunStatus::Canceled,
                "canceled",
                "cancelled before it ran",
            ))
        } else if time_left.is_some_and(|left| left.is_zero()) {
            Some(over(
                &run,
                RunStatus::TimedOut,
                "timed_out",
                "its time was up before this attempt",
            ))
        } else {
            // A layer of the application's tracing subscriber may panic too: the run would be neither executed nor known
            // as over for as long as this worker lives.
            panics::catch(|| self.attempt(&job, &run, input, &stop, held))
                .await
                .unwrap_or_else(|panic| Some(panicked(&job, &run, "what looks on panicked", panic)))
        };
        let outcome = outcome_of(kind.as_ref());
        metrics::attempt_ended(
            &run.job_type,
            &job.pool,
            outcome,
            run.claim.arrived.elapsed(),
        );
        let (run_id, fence) = (run.claim.run_id, run.claim.fence);
        match kind {
            Some(kind) => {
                let ending = Ending {
                    claim: run.claim,
                    kind,
                };
                // From here on it is known by its ending, until that is written.
                if self.endings.send(ending).await.is_err() {
                    self.running.remove(run_id.0, fence);
                    tracing::debug!(
                        "an attempt ended after its worker; the run will be taken over"
                    );
                }
            }
            None => {
                self.running.remove(run_id.0, fence);
                tracing::warn!(
                    run = %run_id,
                    "another worker has taken over a run; this one's result is discarded"
                );
            }
        }
    }

    async fn attempt(
        &self,
        job: &Registration,
        run: &ClaimedRun,
        input: Value,
        stop: &Stop,
        held: HeldRun,
    ) -> Option<EndingKind> {
        let ctx = JobContext::new(
            self.runtime.clone(),
            run.claim.clone(),
            run.tenant_id.clone(),
            run.traceparent.clone(),
            run.version,
            stop.token.clone(),
            held,
        );
        let span = attempt_span(run, job);
        self.runtime.traces().go_on(&span, run.traceparent.as_ref());
        // A handler that is dropped may panic in a destructor.
        let supervised = panics::catch(|| supervise(job, &ctx, input, run.time_left, stop));
        let traced = trace::within(run.traceparent.clone(), supervised);
        let outcome = trace::in_span(&span, traced)
            .await
            .unwrap_or_else(Outcome::Panicked);
        let kind = ending(job, run, &ctx, stop, outcome);
        guarded("the tracing subscriber", || {
            span.record("outcome", outcome_of(kind.as_ref()));
        });
        kind
    }
}

fn outcome_of(ending: Option<&EndingKind>) -> &'static str {
    ending.map_or("lost", EndingKind::outcome)
}

// The root of what this process does for the run: the worker's own spans are not its cause.
fn attempt_span(run: &ClaimedRun, job: &Registration) -> Span {
    tracing::info_span!(
        parent: None,
        "job.run",
        otel.kind = "consumer",
        run_id = %run.claim.run_id,
        root_run_id = %run.claim.root_run_id,
        job_type = run.job_type,
        pool = job.pool,
        attempt = run.claim.attempt,
        event_id = run.event_id.map(tracing::field::display),
        traceparent = run.traceparent.as_deref(),
        outcome = tracing::field::Empty,
    )
}

async fn supervise(
    job: &Registration,
    ctx: &JobContext,
    input: Value,
    time_left: Option<Duration>,
    stop: &Stop,
) -> Outcome {
    // Its time counts from before the handler does anything.
    let time = time_left.map(sleep_by_clock);
    let time_is_up = async {
        match time {
            Some(time) => time.await,
            None => std::future::pending().await,
        }
    };
    let mut handler = std::pin::pin!(stop.polling.note(panics::catch(|| job.run(ctx, input))));
    let returned = tokio::select! {
        biased;
        returned = &mut handler => returned,
        waits = ctx.suspended() => return Outcome::Suspended(waits),
        () = stop.token.cancelled() => {
            let time = match stop.reason() {
                Some(StopReason::Terminated) => return Outcome::Dropped,
                // Another worker may begin any moment.
                None | Some(StopReason::LeaseExpired) => STOPPING / 10,
                Some(_) => STOPPING,
            };
            match stopping(time, ctx, &mut handler).await {
                Ok(returned) => returned,
                Err(outcome) => return outcome,
            }
        }
        () = time_is_up => {
            stop.stop(StopReason::TimedOut);
            match stopping(STOPPING, ctx, &mut handler).await {
                Ok(returned) => returned,
                Err(outcome) => return outcome,
            }
        }
    };
    match returned {
        Ok(result) => Outcome::Returned(result),
        Err(panic) => Outcome::Panicked(panic),
    }
}

// A handler that is told to stop and comes to a wait has stopped.
async fn stopping<F: Future + Unpin>(
    time: Duration,
    ctx: &JobContext,
    handler: F,
) -> Result<F::Output, Outcome> {
    tokio::select! {
        biased;
        returned = handler => Ok(returned),
        waits = ctx.suspended() => Err(Outcome::Suspended(waits)),
        () = sleep(time) => Err(Outcome::Dropped),
    }
}

/// What is to be written; nothing where another worker has the run.
fn ending(
    job: &Registration,
    run: &ClaimedRun,
    ctx: &JobContext,
    stop: &Stop,
    outcome: Outcome,
) -> Option<EndingKind> {
    if ctx.has_lost_lease() {
        return None;
    }
    // Who finishes after being told to stop has finished, except for a timeout, which the caller relies on.
    let reason = stop.reason();
    if let (Outcome::Returned(Ok(_)), Some(StopReason::TimedOut)) = (&outcome, reason) {
    } else if let Outcome::Returned(Ok(output)) = outcome {
        return Some(EndingKind::Completed(output));
    }
    if let (Outcome::Suspended(waits), None | Some(StopReason::Shutdown)) = (&outcome, reason) {
        return Some(EndingKind::Suspended {
            waits: waits.clone(),
        });
    }
    match reason {
        Some(StopReason::TimedOut) => {
            let text = "its time was up";
            return Some(over(run, RunStatus::TimedOut, "timed_out", text));
        }
        Some(StopReason::Cancelled) => {
            return Some(over(
                run,
                RunStatus::Canceled,
                "canceled",
                "cancelled while it ran",
            ));
        }
        Some(StopReason::Terminated) => {
            return Some(over(
                run,
                RunStatus::Canceled,
                "canceled",
                "stopped with its parent while it ran",
            ));
        }
        Some(StopReason::Shutdown | StopReason::LeaseExpired) => {
            return Some(EndingKind::HandedBack);
        }
        None => {}
    }
    match outcome {
        Outcome::Returned(Ok(_)) | Outcome::Suspended(_) | Outcome::Dropped => {
            Some(EndingKind::HandedBack)
        }
        Outcome::Panicked(panic) => Some(panicked(job, run, "the handler panicked", panic)),
        Outcome::Returned(Err(error)) if error.kind == JobErrorKind::LeaseLost => None,
        Outcome::Returned(Err(error)) => Some(failed(job, run, "failed", error)),
    }
}

fn panicked(job: &Registration, run: &ClaimedRun, what: &str, panic: Panic) -> EndingKind {
    let error = JobError {
        kind: JobErrorKind::Retryable,
        message: format!("{what}: {}", panic.message),
        backtrace: panic.backtrace,
    };
    failed(job, run, "panicked", error)
}

fn failed(job: &Registration, run: &ClaimedRun, outcome: &str, error: JobError) -> EndingKind {
    let failures = run.failures.saturating_add(1);
    let kind = error.kind;
    if let JobErrorKind::Snooze(after) = kind {
        return snoozed(job, run, after, error);
    }
    let error = attempt_error(run, outcome, error.message, error.backtrace);
    if kind == JobErrorKind::NonRetryable || failures >= run.max_attempts {
        return EndingKind::Over {
            status: RunStatus::Failed,
            error,
        };
    }
    let after = match kind {
        JobErrorKind::RetryAfter(delay) => delay,
        _ => {
            let spread = rand::random_range(-1.0..=1.0);
            job.retry
                .wait_after(u32::try_from(failures).unwrap_or(1), spread)
        }
    };
    EndingKind::Retry { after, error }
}

fn snoozed(job: &Registration, run: &ClaimedRun, after: Duration, error: JobError) -> EndingKind {
    if run.snoozes < job.max_snoozes {
        let error = attempt_error(run, "snoozed", error.message, None);
        return EndingKind::Snoozed { after, error };
    }
    let message = format!(
        "it was put off {} times, which is the most: {}",
        run.snoozes, error.message
    );
    EndingKind::Over {
        status: RunStatus::Failed,
        error: attempt_error(run, "failed", message, error.backtrace),
    }
}

fn over(run: &ClaimedRun, status: RunStatus, outcome: &str, text: &str) -> EndingKind {
    EndingKind::Over {
        status,
        error: attempt_error(run, outcome, text.to_owned(), None),
    }
}

fn attempt_error(
    run: &ClaimedRun,
    outcome: &str,
    error: String,
    backtrace: Option<String>,
) -> AttemptError {
    let claim = &run.claim;
    AttemptError {
        attempt: claim.attempt,
        outcome: outcome.to_owned(),
        error,
        backtrace,
        worker_id: Some(claim.worker_id),
        started_at: Some(claim.claimed_at),
        ended_at: Some(claim.now().max(claim.claimed_at)),
    }
}
