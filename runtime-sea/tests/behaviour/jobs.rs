//! Starting, executing and retrying runs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::TestBed;
use chrono::{TimeDelta, Utc};
use runtime_sea::jobs::Cancelled;
use runtime_sea::worker::BuildError;
use runtime_sea::{
    JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunId, RunStatus, StartError,
    StartOptions,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    the_errors_of_a_run_that_is_retried_for_ever_are_bounded,
    a_started_run_is_executed_once_and_keeps_its_output,
    a_run_started_in_a_rolled_back_transaction_does_not_exist,
    a_failing_run_is_retried_and_keeps_its_errors,
    a_run_fails_when_its_attempts_are_used_up,
    a_non_retryable_error_ends_the_run_at_once,
    r04_a_panic_is_a_failed_attempt_with_message_and_backtrace,
    r07_a_timeout_stops_the_handler_for_good,
    r37_input_that_does_not_decode_is_a_failed_attempt_that_names_the_field,
    r38_a_run_of_an_unknown_job_is_left_alone_and_others_flow,
    r47_retry_after_counts_as_an_attempt,
    a_run_waits_for_its_time,
    higher_priority_goes_first,
    a_waiting_run_is_cancelled_at_once,
    a_running_run_is_stopped_by_its_cancellation,
    r41_cancelling_a_finished_run_changes_nothing,
    r51_input_with_a_nul_character_is_refused,
    a_job_in_a_reserved_pool_is_refused,
    nothing_is_claimed_from_a_paused_pool,
    a_run_shows_its_scope_tags_and_tenant,
}

#[derive(Default, Clone)]
struct Double {
    calls: Arc<AtomicU32>,
}

impl JobHandler for Double {
    const TYPE: &'static str = "double";
    type Input = u32;
    type Output = u32;

    async fn run(&self, _ctx: &JobContext, input: u32) -> JobResult<u32> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(input * 2)
    }
}

async fn a_started_run_is_executed_once_and_keeps_its_output(bed: TestBed) {
    let double = Double::default();
    let started = bed
        .runtime
        .jobs()
        .start::<Double>(bed.runtime.db(), 21)
        .await
        .unwrap();
    assert!(!started.deduplicated);
    let worker = bed.runtime.worker().job(double.clone()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    worker.drain_until_idle().await.unwrap();
    let details = bed.run(started.run_id).await;
    assert_eq!(details.run.status, RunStatus::Completed);
    assert_eq!(details.run.output, Some(42.into()));
    assert_eq!(details.run.attempt, 1);
    assert_eq!(double.calls.load(Ordering::SeqCst), 1);
}

async fn a_run_started_in_a_rolled_back_transaction_does_not_exist(bed: TestBed) {
    let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
    let gone = bed.runtime.jobs().start::<Double>(&tx, 1).await.unwrap();
    tx.rollback().await.unwrap();
    let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
    let kept = bed.runtime.jobs().start::<Double>(&tx, 1).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.runtime.jobs().show(gone.run_id).await.unwrap(), None);
    assert_eq!(bed.status(kept.run_id).await, RunStatus::Pending);
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
        error.backtrace.as_ref().unwrap().contains("jobs.rs"),
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

async fn a_run_waits_for_its_time(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let db = bed.runtime.db();
    let start = async |options| {
        jobs.start_with::<Double>(db, 1, options)
            .await
            .unwrap()
            .run_id
    };
    let later = start(StartOptions::new().delay(Duration::from_secs(3600))).await;
    let tomorrow = start(StartOptions::new().run_at(Utc::now() + TimeDelta::days(1))).await;
    let past = start(StartOptions::new().run_at(Utc::now() - TimeDelta::days(1))).await;
    let soon = start(StartOptions::new().delay(Duration::from_millis(300))).await;
    let worker = bed.runtime.worker().job(Double::default()).build().unwrap();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone().drop_guard();
    let running = tokio::spawn(async move { worker.run(shutdown).await });
    bed.until_status(soon, RunStatus::Completed).await;
    bed.until_status(past, RunStatus::Completed).await;
    drop(stop);
    running.await.unwrap().unwrap();
    for id in [later, tomorrow] {
        let run = bed.run(id).await.run;
        assert_eq!((run.status, run.attempt), (RunStatus::Pending, 0));
    }
    let run = bed.run(soon).await.run;
    assert!(run.started_at.unwrap() >= run.run_at, "{run:?}");
}

/// Notes the order in which its runs are executed.
#[derive(Default, Clone)]
struct Note {
    order: Arc<Mutex<Vec<u32>>>,
}

impl JobHandler for Note {
    const TYPE: &'static str = "note";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::new()
            .pool("interactive")
            .scope("number", |number| *number)
    }

    async fn run(&self, _ctx: &JobContext, number: u32) -> JobResult<()> {
        self.order.lock().unwrap().push(number);
        Ok(())
    }
}

async fn higher_priority_goes_first(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    for (number, priority) in [(1, 0), (2, 5), (3, -5), (4, 5)] {
        let options = StartOptions::new().priority(priority);
        jobs.start_with::<Note>(bed.runtime.db(), number, options)
            .await
            .unwrap();
    }
    let note = Note::default();
    let worker = bed
        .runtime
        .worker()
        .job(note.clone())
        .concurrency(1)
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*note.order.lock().unwrap(), [2, 4, 1, 3]);
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

struct Text;

impl JobHandler for Text {
    const TYPE: &'static str = "text";
    type Input = String;
    type Output = String;

    async fn run(&self, _ctx: &JobContext, text: String) -> JobResult<String> {
        Ok(format!("{text}\0"))
    }
}

async fn r51_input_with_a_nul_character_is_refused(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let refused = jobs
        .start::<Text>(bed.runtime.db(), "a\0b".to_owned())
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::Input { .. }), "{refused}");
    let id = jobs
        .start::<Text>(bed.runtime.db(), "fine".to_owned())
        .await
        .unwrap()
        .run_id;
    bed.runtime
        .worker()
        .job(Text)
        .build()
        .unwrap()
        .drain_until_idle()
        .await
        .unwrap();
    let run = bed.run(id).await.run;
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.error.unwrap().contains("NUL character"));
}

struct Reserved;

impl JobHandler for Reserved {
    const TYPE: &'static str = "reserved";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().pool("events_change")
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn a_job_in_a_reserved_pool_is_refused(bed: TestBed) {
    let refused = bed.runtime.worker().job(Reserved).build().unwrap_err();
    assert!(
        matches!(refused, BuildError::ReservedPool { .. }),
        "{refused}"
    );
    let refused = bed
        .runtime
        .jobs()
        .start::<Reserved>(bed.runtime.db(), ())
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::Policy { .. }), "{refused}");
    let twice = bed
        .runtime
        .worker()
        .job(Note::default())
        .job(Note::default())
        .build()
        .unwrap_err();
    assert!(matches!(twice, BuildError::DuplicateJob { .. }), "{twice}");
}

async fn nothing_is_claimed_from_a_paused_pool(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    jobs.pause_pool("interactive").await.unwrap();
    let paused = jobs
        .start::<Note>(bed.runtime.db(), 1)
        .await
        .unwrap()
        .run_id;
    let other = jobs
        .start::<Double>(bed.runtime.db(), 1)
        .await
        .unwrap()
        .run_id;
    let worker = bed
        .runtime
        .worker()
        .job(Note::default())
        .job(Double::default())
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(paused).await, RunStatus::Pending);
    assert_eq!(bed.status(other).await, RunStatus::Completed);
    jobs.resume_pool("interactive").await.unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(paused).await, RunStatus::Completed);
}

async fn a_run_shows_its_scope_tags_and_tenant(bed: TestBed) {
    let options = StartOptions::new()
        .tag("nightly")
        .tag("slow")
        .tenant(Some("acme"));
    let jobs = bed.runtime.jobs();
    let id = jobs
        .start_with::<Note>(bed.runtime.db(), 7, options)
        .await
        .unwrap()
        .run_id;
    let run = bed.run(id).await.run;
    assert_eq!(
        run.scope_type.zip(run.scope_id),
        Some(("number".to_owned(), "7".to_owned()))
    );
    assert_eq!(run.tags, ["nightly", "slow"]);
    assert_eq!(run.tenant_id.as_deref(), Some("acme"));
    assert_eq!(run.root_run_id, id);
    let found = jobs
        .list(runtime_sea::RunFilter::new().scope("number", 7))
        .await
        .unwrap();
    assert_eq!(found.iter().map(|run| run.id).collect::<Vec<_>>(), [id]);
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
