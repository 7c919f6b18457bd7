//! Runs that put themselves off.

use crate::versions::{drain, start};

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::TestBed;
use runtime_sea::{JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunStatus};

crate::on_each_database! {
    r47_a_snooze_is_no_attempt,
    r47_snoozes_are_bounded_by_the_policy,
    a_snoozed_run_that_is_to_be_cancelled_is_over,
}

/// Puts itself off so many times.
struct NotYet(Arc<Mutex<u32>>);

impl JobHandler for NotYet {
    const TYPE: &'static str = "not_yet";
    type Input = u32;
    type Output = u32;

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<Self::Input>::new()
            .retry(Retry::none())
            .max_snoozes(3)
    }

    async fn run(&self, ctx: &JobContext, times: u32) -> JobResult<u32> {
        let executions = {
            let mut executions = self.0.lock().unwrap();
            *executions += 1;
            *executions
        };
        if executions <= times {
            return Err(JobError::snooze(Duration::ZERO, "not ready"));
        }
        Ok(ctx.attempt())
    }
}

async fn r47_a_snooze_is_no_attempt(bed: TestBed) {
    let id = start::<NotYet>(&bed, 3).await;
    drain(&bed, NotYet(Arc::default())).await;
    let run = bed.run(id).await.run;
    // It has one attempt, and needed it once.
    assert_eq!(
        (run.status, run.output),
        (RunStatus::Completed, Some(1.into()))
    );
    assert_eq!((run.attempt, run.snoozes, run.errors.len()), (1, 3, 0));
    let id = start::<Later>(&bed, ()).await;
    drain(&bed, Later).await;
    let run = bed.run(id).await.run;
    assert_eq!(
        (run.status, run.readiness.as_str()),
        (RunStatus::Pending, "scheduled")
    );
    assert_eq!(
        run.error.as_deref(),
        Some("step `ask`: the report is not there yet")
    );
    assert!(run.run_at - run.created_at > chrono::TimeDelta::minutes(59));
}

struct Later;

impl JobHandler for Later {
    const TYPE: &'static str = "later";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let hour = Duration::from_secs(3600);
        ctx.step("ask", || async {
            Err(JobError::snooze(hour, "the report is not there yet"))
        })
        .await
    }
}

async fn r47_snoozes_are_bounded_by_the_policy(bed: TestBed) {
    let id = start::<NotYet>(&bed, 4).await;
    drain(&bed, NotYet(Arc::default())).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.snoozes), (RunStatus::Failed, 3));
    let error = run.error.unwrap();
    assert_eq!(
        error,
        "it was put off 3 times, which is the most: not ready"
    );
}

/// Puts itself off once its own cancellation was asked for.
struct Unwilling;

impl JobHandler for Unwilling {
    const TYPE: &'static str = "unwilling";
    type Input = bool;
    type Output = ();

    async fn run(&self, ctx: &JobContext, snooze: bool) -> JobResult<()> {
        let now = "UPDATE job_run SET cancel_requested_at = created_at";
        sea_orm::ConnectionTrait::execute_unprepared(ctx.db(), now).await?;
        if snooze {
            return Err(JobError::snooze(Duration::from_secs(3600), "later"));
        }
        ctx.sleep("nap", Duration::from_secs(3600)).await
    }
}

async fn a_snoozed_run_that_is_to_be_cancelled_is_over(bed: TestBed) {
    for snooze in [true, false] {
        let id = start::<Unwilling>(&bed, snooze).await;
        drain(&bed, Unwilling).await;
        assert_eq!(bed.status(id).await, RunStatus::Canceled, "{snooze}");
        bed.sql("DELETE FROM job_run").await;
    }
}
