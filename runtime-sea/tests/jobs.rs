//! Starting, executing and retrying runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime_sea::{JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunStatus};
use support::TestBed;

on_each_database! {
    a_started_run_is_executed_once_and_keeps_its_output,
    a_run_started_in_a_rolled_back_transaction_does_not_exist,
    a_failing_run_is_retried_and_keeps_its_errors,
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

#[derive(Default, Clone)]
struct Flaky;

impl JobHandler for Flaky {
    const TYPE: &'static str = "flaky";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().retry(Retry::fixed(3, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        if ctx.attempt() < 3 {
            return Err(JobError::retryable(format!("attempt {}", ctx.attempt())));
        }
        Ok(())
    }
}

async fn a_failing_run_is_retried_and_keeps_its_errors(bed: TestBed) {
    let started = bed
        .runtime
        .jobs()
        .start::<Flaky>(bed.runtime.db(), ())
        .await
        .unwrap();
    bed.runtime
        .worker()
        .job(Flaky)
        .build()
        .unwrap()
        .drain_until_idle()
        .await
        .unwrap();
    let run = bed.run(started.run_id).await.run;
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(run.attempt, 3);
    assert_eq!(
        run.errors
            .iter()
            .map(|error| error.error.as_str())
            .collect::<Vec<_>>(),
        ["attempt 1", "attempt 2"]
    );
}
