//! Attempts that fail, run out of time or are stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::jobs::Double;
use crate::support::TestBed;
use runtime_sea::jobs::Cancelled;
use runtime_sea::{
    JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunId, RunStatus, StepOptions,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    the_errors_of_a_run_that_is_retried_for_ever_are_bounded,
    a_failing_run_is_retried_and_keeps_its_errors,
    a_run_fails_when_its_attempts_are_used_up,
    a_non_retryable_error_ends_the_run_at_once,
    r04_a_panic_is_a_failed_attempt_with_message_and_backtrace,
    r07_a_timeout_stops_the_handler_for_good,
    r37_input_that_does_not_decode_is_a_failed_attempt_that_names_the_field,
    r38_a_run_of_an_unknown_job_is_left_alone_and_others_flow,
    r47_retry_after_counts_as_an_attempt,
    a_waiting_run_is_cancelled_at_once,
    a_running_run_is_stopped_by_its_cancellation,
    r41_cancelling_a_finished_run_changes_nothing,
    a_step_that_takes_too_long_fails_its_attempt,
}

/// Fails in the way that its input asks for.
#[derive(Default, Clone)]
struct Fail {
    began: Arc<AtomicU32>,
    stopped: Arc<AtomicU32>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum How {
    UntilAttempt(u32),
    NonRetryable,
    Panic,
    Hang,
    HangUntilCancelled,
    RetryAfter,
}

impl JobHandler for Fail {
    const TYPE: &'static str = "fail";
    type Input = How;
    type Output = ();

    fn policy() -> JobPolicy<How> {
        JobPolicy::new().retry(Retry::fixed(3, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, how: How) -> JobResult<()> {
        self.began.fetch_add(1, Ordering::SeqCst);
        match how {
            How::UntilAttempt(last) if ctx.attempt() >= last => Ok(()),
            How::UntilAttempt(_) => Err(JobError::retryable(format!("attempt {}", ctx.attempt()))),
            How::NonRetryable => Err(JobError::non_retryable("never again")),
            How::Panic => panic!("the sky is falling"),
            How::RetryAfter => Err(JobError::retry_after(Duration::ZERO, "later")),
            How::Hang => {
                let _count = CountDrop(self.stopped.clone());
                std::future::pending().await
            }
            How::HangUntilCancelled => {
                ctx.cancelled().cancelled().await;
                self.stopped.fetch_add(1, Ordering::SeqCst);
                Err(JobError::retryable("interrupted"))
            }
        }
    }
}

struct CountDrop(Arc<AtomicU32>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn start(bed: &TestBed, how: How) -> RunId {
    bed.runtime
        .jobs()
        .start::<Fail>(bed.runtime.db(), how)
        .await
        .unwrap()
        .run_id
}

async fn drain(bed: &TestBed, fail: &Fail) {
    bed.runtime
        .worker()
        .job(fail.clone())
        .build()
        .unwrap()
        .drain_until_idle()
        .await
        .unwrap();
}

async fn a_failing_run_is_retried_and_keeps_its_errors(bed: TestBed) {
    let id = start(&bed, How::UntilAttempt(3)).await;
    drain(&bed, &Fail::default()).await;
    let run = bed.run(id).await.run;
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(run.attempt, 3);
    assert_eq!(
        run.errors
            .iter()
            .map(|error| error.error.as_str())
            .collect::<Vec<_>>(),
        ["attempt 1", "attempt 2"]
    );
    assert_eq!(run.error, None);
}

async fn a_run_fails_when_its_attempts_are_used_up(bed: TestBed) {
    let fail = Fail::default();
    let id = start(&bed, How::UntilAttempt(9)).await;
    drain(&bed, &fail).await;
    let run = bed.run(id).await.run;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.errors.len(), 3);
    assert_eq!(run.error.as_deref(), Some("attempt 3"));
    assert_eq!(fail.began.load(Ordering::SeqCst), 3);
}

async fn a_non_retryable_error_ends_the_run_at_once(bed: TestBed) {
    let fail = Fail::default();
    let id = start(&bed, How::NonRetryable).await;
    drain(&bed, &fail).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 1));
    assert_eq!(run.error.as_deref(), Some("never again"));
}

async fn r04_a_panic_is_a_failed_attempt_with_message_and_backtrace(bed: TestBed) {
    let fail = Fail::default();
    let panics = start(&bed, How::Panic).await;
    let works = start(&bed, How::UntilAttempt(1)).await;
    drain(&bed, &fail).await;
    assert_eq!(bed.status(works).await, RunStatus::Completed);
    let run = bed.run(panics).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 3));
    let error = &run.errors[0];
    assert_eq!(error.outcome, "panicked");
    assert_eq!(error.error, "the handler panicked: the sky is falling");
    assert!(
        error.backtrace.as_ref().unwrap().contains("attempts.rs"),
        "{error:?}"
    );
}

/// Has two seconds.
#[derive(Clone)]
struct Hurried(Fail);

impl JobHandler for Hurried {
    const TYPE: &'static str = "hurried";
    type Input = How;
    type Output = ();

    fn policy() -> JobPolicy<How> {
        JobPolicy::new().timeout(Duration::from_secs(2))
    }

    async fn run(&self, ctx: &JobContext, how: How) -> JobResult<()> {
        self.0.run(ctx, how).await
    }
}

async fn r07_a_timeout_stops_the_handler_for_good(bed: TestBed) {
    let fail = Fail::default();
    let mut ids = Vec::new();
    for how in [How::Hang, How::HangUntilCancelled] {
        let started = bed
            .runtime
            .jobs()
            .start::<Hurried>(bed.runtime.db(), how)
            .await;
        ids.push(started.unwrap().run_id);
    }
    let worker = bed
        .runtime
        .worker()
        .job(Hurried(fail.clone()))
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    for id in ids {
        let run = bed.run(id).await.run;
        assert_eq!((run.status, run.attempt), (RunStatus::TimedOut, 1));
        assert_eq!(run.errors[0].outcome, "timed_out");
    }
    assert_eq!(fail.stopped.load(Ordering::SeqCst), 2);
}

async fn r37_input_that_does_not_decode_is_a_failed_attempt_that_names_the_field(bed: TestBed) {
    let fail = Fail::default();
    let id = start(&bed, How::UntilAttempt(1)).await;
    bed.sql(r#"UPDATE job_run SET input = '{"UntilAttempt": "one"}'"#)
        .await;
    drain(&bed, &fail).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 3));
    let error = run.error.unwrap();
    assert!(error.contains("UntilAttempt"), "{error}");
    assert_eq!(fail.began.load(Ordering::SeqCst), 0);
}

async fn r38_a_run_of_an_unknown_job_is_left_alone_and_others_flow(bed: TestBed) {
    let id = start(&bed, How::NonRetryable).await;
    let double = bed
        .runtime
        .jobs()
        .start::<Double>(bed.runtime.db(), 1)
        .await
        .unwrap()
        .run_id;
    let worker = bed.runtime.worker().job(Double::default()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(double).await, RunStatus::Completed);
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Pending, 0));
}

async fn r47_retry_after_counts_as_an_attempt(bed: TestBed) {
    let id = start(&bed, How::RetryAfter).await;
    drain(&bed, &Fail::default()).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 3));
}

async fn a_waiting_run_is_cancelled_at_once(bed: TestBed) {
    let fail = Fail::default();
    let id = start(&bed, How::UntilAttempt(1)).await;
    assert_eq!(
        bed.runtime.jobs().cancel(id).await.unwrap(),
        Cancelled::AtOnce
    );
    drain(&bed, &fail).await;
    assert_eq!(bed.status(id).await, RunStatus::Canceled);
    assert_eq!(fail.began.load(Ordering::SeqCst), 0);
}

async fn a_running_run_is_stopped_by_its_cancellation(bed: TestBed) {
    let fail = Fail::default();
    let id = bed
        .runtime
        .jobs()
        .start::<Forever>(bed.runtime.db(), ())
        .await
        .unwrap()
        .run_id;
    let worker = bed
        .runtime
        .worker()
        .job(Forever(fail.clone()))
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    bed.until_status(id, RunStatus::Running).await;
    // From another process: the worker learns of it from the database.
    let other = bed.other_process().await;
    assert_eq!(other.jobs().cancel(id).await.unwrap(), Cancelled::Requested);
    bed.until_status(id, RunStatus::Canceled).await;
    assert_eq!(fail.stopped.load(Ordering::SeqCst), 1);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[derive(Clone)]
struct Forever(Fail);

impl JobHandler for Forever {
    const TYPE: &'static str = "forever";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        self.0.run(ctx, How::Hang).await
    }
}

async fn r41_cancelling_a_finished_run_changes_nothing(bed: TestBed) {
    let id = start(&bed, How::UntilAttempt(1)).await;
    drain(&bed, &Fail::default()).await;
    let over = Cancelled::AlreadyOver(RunStatus::Completed);
    assert_eq!(bed.runtime.jobs().cancel(id).await.unwrap(), over);
    assert_eq!(bed.status(id).await, RunStatus::Completed);
    let unknown = "01890000-0000-7000-8000-000000000000".parse().unwrap();
    assert_eq!(
        bed.runtime.jobs().cancel(unknown).await.unwrap(),
        Cancelled::NotFound
    );
}

struct Stubborn;

impl JobHandler for Stubborn {
    const TYPE: &'static str = "stubborn";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().retry(Retry::fixed(103, Duration::ZERO))
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Err(JobError::retryable("not yet"))
    }
}

async fn the_errors_of_a_run_that_is_retried_for_ever_are_bounded(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Stubborn>(bed.runtime.db(), ()).await.unwrap();
    let worker = bed.runtime.worker().job(Stubborn).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(started.run_id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 103));
    assert_eq!(run.errors.len(), 100);
    assert_eq!((run.errors[0].attempt, run.errors[99].attempt), (4, 103));
}

struct Slow;

impl JobHandler for Slow {
    const TYPE: &'static str = "slow";
    type Input = ();
    type Output = u32;

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(2, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        let limit = StepOptions::new().timeout(Duration::from_millis(50));
        ctx.step_with("ask", limit, || async {
            if ctx.attempt() == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<_, JobError>(ctx.attempt())
        })
        .await
    }
}

async fn a_step_that_takes_too_long_fails_its_attempt(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Slow>(bed.runtime.db(), ()).await;
    let id = started.unwrap().run_id;
    let worker = bed.runtime.worker().job(Slow).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(id).await.run;
    assert_eq!(run.output, Some(2.into()), "{run:?}");
    assert_eq!(run.errors[0].error, "step `ask`: it took longer than 50ms");
}
