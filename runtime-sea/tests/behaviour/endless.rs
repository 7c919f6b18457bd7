//! Times that never come are a century: no database and no clock reaches further.

use std::time::Duration;

use crate::support::TestBed;
use chrono::{DateTime, TimeDelta, Utc};
use runtime_sea::jobs::entities::{job_dedupe, job_step};
use runtime_sea::{
    Event, EventRoute, JobContext, JobError, JobHandler, JobPolicy, JobResult, RawRun, Retention,
    Retry, RunId, RunStatus, StartOptions, StepOptions,
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use serde_json::json;

crate::on_each_database! {
    r49_pauses_without_an_end_are_a_century,
    r49_waits_without_an_end_are_a_century,
    r49_a_start_without_an_end_is_a_century_away,
    r49_limits_without_an_end_are_a_century,
}

#[derive(Debug, Serialize, Deserialize)]
struct Doomed {}

impl Event for Doomed {
    const TYPE: &'static str = "doomed";
    const ROUTE: EventRoute = EventRoute::change("world");
}

/// Does what it is asked to for ever.
struct Eternal;

impl JobHandler for Eternal {
    const TYPE: &'static str = "eternal";
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new()
            .retry(Retry::fixed(2, Duration::MAX))
            .timeout(Duration::MAX)
            .dedupe(Duration::MAX, String::clone)
    }

    async fn run(&self, ctx: &JobContext, how: String) -> JobResult<()> {
        match how.as_str() {
            "retry" => Err(JobError::retryable("never again")),
            "retry_after" => Err(JobError::retry_after(Duration::MAX, "never again")),
            "snooze" => Err(JobError::snooze(Duration::MAX, "good night")),
            "sleep" => ctx.sleep("rest", Duration::MAX).await,
            "event" => ctx
                .wait_for_event::<Doomed>("all", Duration::MAX)
                .await
                .map(drop),
            _ => {
                let options = StepOptions::new().timeout(Duration::MAX);
                ctx.step_with("work", options, || async { Ok::<_, JobError>(()) })
                    .await
            }
        }
    }
}

async fn start(bed: &TestBed, how: &str, options: StartOptions) -> RunId {
    let jobs = bed.runtime.jobs();
    let started = jobs.start_with::<Eternal>(bed.runtime.db(), how.to_owned(), options);
    started.await.unwrap().run_id
}

async fn drain(bed: &TestBed) {
    let worker = bed.runtime.worker().job(Eternal).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

/// A century away, a spread of a quarter included.
fn is_a_century_away(moment: DateTime<Utc>) -> bool {
    let years = (moment - Utc::now()) / 365;
    (TimeDelta::days(74)..TimeDelta::days(126)).contains(&years)
}

async fn r49_pauses_without_an_end_are_a_century(bed: TestBed) {
    let mut runs = Vec::new();
    for how in ["retry", "retry_after", "snooze"] {
        runs.push(start(&bed, how, StartOptions::new()).await);
    }
    drain(&bed).await;
    for id in runs {
        let run = bed.run(id).await.run;
        assert_eq!(run.status, RunStatus::Pending, "{run:?}");
        assert!(is_a_century_away(run.run_at), "{run:?}");
    }
}

async fn r49_waits_without_an_end_are_a_century(bed: TestBed) {
    let mut runs = Vec::new();
    for how in ["sleep", "event"] {
        runs.push(start(&bed, how, StartOptions::new()).await);
    }
    drain(&bed).await;
    for id in runs {
        assert_eq!(bed.status(id).await, RunStatus::Waiting);
    }
    let waits = job_step::Entity::find().all(bed.runtime.db()).await;
    for wait in waits.unwrap() {
        assert!(is_a_century_away(wait.wake_at.unwrap()), "{wait:?}");
    }
}

async fn r49_a_start_without_an_end_is_a_century_away(bed: TestBed) {
    let id = start(&bed, "work", StartOptions::new().delay(Duration::MAX)).await;
    drain(&bed).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Pending, 0));
    assert!(is_a_century_away(run.run_at), "{run:?}");
}

async fn r49_limits_without_an_end_are_a_century(bed: TestBed) {
    let (db, jobs) = (bed.runtime.db(), bed.runtime.jobs());
    let id = start(&bed, "work", StartOptions::new()).await;
    drain(&bed).await;
    assert_eq!(bed.status(id).await, RunStatus::Completed);
    // Started by name it has the same policy.
    let raw = RawRun::new("eternal", json!("by name")).dedupe_key("by name");
    let by_name = jobs.start_raw(db, raw).await.unwrap().run_id;
    drain(&bed).await;
    assert_eq!(bed.status(by_name).await, RunStatus::Completed);
    assert_eq!(start(&bed, "work", StartOptions::new()).await, id);
    assert_eq!(start(&bed, "by name", StartOptions::new()).await, by_name);
    let windows = job_dedupe::Entity::find().all(db).await.unwrap();
    assert_eq!(windows.len(), 2);
    for window in windows {
        assert!(is_a_century_away(window.expires_at), "{window:?}");
    }
    let retention = Retention::new()
        .completed(Duration::MAX)
        .failed(Duration::MAX);
    assert_eq!(jobs.prune(retention).await.unwrap().runs, 0);
}
