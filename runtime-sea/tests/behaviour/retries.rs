//! What holds over all attempts of a run, and over the runs that fail with it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::TestBed;
use chrono::{TimeDelta, Utc};
use runtime_sea::{JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunStatus};

crate::on_each_database! {
    a_timeout_runs_from_the_first_attempt_on,
    runs_that_fail_together_are_retried_apart,
}

const MINUTE: Duration = Duration::from_secs(60);

/// Fails every time; has an hour for all of its attempts.
#[derive(Clone, Default)]
struct Unlucky(Arc<AtomicU32>);

impl JobHandler for Unlucky {
    const TYPE: &'static str = "unlucky";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new()
            .retry(Retry::fixed(100, 40 * MINUTE))
            .timeout(60 * MINUTE)
    }

    async fn run(&self, _ctx: &JobContext, _number: u32) -> JobResult<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(JobError::retryable("no luck"))
    }
}

async fn a_timeout_runs_from_the_first_attempt_on(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Unlucky>(bed.runtime.db(), 0).await.unwrap();
    let unlucky = Unlucky::default();
    let worker = bed.runtime.worker().job(unlucky.clone()).build().unwrap();
    // Longer than 40 minutes and a quarter.
    for executed in [1, 2, 2] {
        worker.drain_until_idle().await.unwrap();
        assert_eq!(unlucky.0.load(Ordering::SeqCst), executed);
        bed.clock.advance(51 * MINUTE);
    }
    assert_eq!(bed.status(started.run_id).await, RunStatus::TimedOut);
}

async fn runs_that_fail_together_are_retried_apart(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let begun = Utc::now();
    let started = jobs.start_many::<Unlucky>(bed.runtime.db(), 0..20).await;
    let worker = bed
        .runtime
        .worker()
        .job(Unlucky::default())
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    let mut minutes = HashSet::new();
    for run in started.unwrap() {
        let wait = bed.run(run.run_id).await.run.run_at - begun;
        assert!(wait >= TimeDelta::minutes(29), "{wait}");
        assert!(wait <= TimeDelta::minutes(55), "{wait}");
        minutes.insert(wait.num_minutes());
    }
    // Twenty waits spread over twenty minutes: that no more than two of those minutes have any is beyond chance.
    assert!(minutes.len() > 2, "{minutes:?}");
}
