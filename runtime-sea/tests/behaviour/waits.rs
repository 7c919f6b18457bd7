//! Durable waits: runs that wait hold no worker, survive restarts and are woken once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::support::warned::warned;
use crate::support::{TestBed, by_hand, until, while_working};
use runtime_sea::{
    Collision, Event, EventRoute, JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry,
    RunFilter, RunId, RunStatus, WorkerBuilder,
};
use sea_orm::DbBackend;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    a_sleeping_run_holds_no_slot_and_goes_on_when_its_time_has_come,
    a_sleep_until_a_moment_that_has_passed_does_not_wait,
    the_moment_of_a_sleep_is_fixed_when_the_run_first_comes_to_it,
    a_wait_that_ends_before_the_run_is_suspended_is_not_lost,
    a_handler_that_hides_its_errors_or_races_a_wait_is_suspended_all_the_same,
    a_step_beside_a_wait_is_finished_before_the_run_is_suspended,
    two_sleeps_at_once_both_have_to_pass,
    a_wait_inside_of_a_step_is_refused,
    a_waiting_run_is_cancelled_at_once,
    the_timeout_ends_a_waiting_run_although_no_worker_has_it,
    a_waiting_run_keeps_its_concurrency_key,
    the_waits_of_a_tree_end_with_its_runs,
    a_shutdown_leaves_a_waiting_run_waiting,
    r64_a_run_whose_wait_cannot_be_ended_does_not_keep_others_waiting,
    a_sleep_until_a_far_moment_keeps_it_to_the_microsecond,
}

const HOUR: Duration = Duration::from_secs(60 * 60);

#[derive(Default, Clone)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn has(&self, note: &str) -> bool {
        self.all().iter().any(|it| it == note)
    }
}

/// Waits in the way that its input names.
struct Sleeper(Notes);

impl JobHandler for Sleeper {
    const TYPE: &'static str = "sleeper";
    type Input = String;
    type Output = String;

    fn policy() -> JobPolicy<String> {
        JobPolicy::<Self::Input>::new()
            .retry(Retry::fixed(3, Duration::ZERO))
            .timeout(24 * HOUR)
            .concurrency(Collision::Queue, String::clone)
    }

    async fn run(&self, ctx: &JobContext, way: String) -> JobResult<String> {
        self.0.add(format!("attempt {}", ctx.attempt()));
        match way.as_str() {
            "swallow" => {
                if ctx.sleep("nap", HOUR).await.is_err() {
                    self.0.add("saw an error");
                }
            }
            "race" => {
                tokio::select! {
                    slept = ctx.sleep("nap", HOUR) => slept?,
                    () = tokio::time::sleep(HOUR) => self.0.add("lost the race"),
                }
            }
            "beside" => {
                let work = ctx.step("work", || async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    self.0.add("worked");
                    Ok::<_, JobError>(())
                });
                tokio::try_join!(ctx.sleep("nap", HOUR), work)?;
            }
            "two" => {
                tokio::try_join!(ctx.sleep("nap", HOUR), ctx.sleep("rest", 2 * HOUR))?;
            }
            "inside" => {
                ctx.step("outer", || ctx.sleep("nap", HOUR)).await?;
            }
            "far" => ctx.sleep_until("nap", far()).await?,
            "past" => {
                let past = chrono::Utc::now() - HOUR;
                ctx.sleep_until("nap", past).await?;
            }
            "fail" => {
                ctx.sleep("nap", HOUR).await?;
                if ctx.attempt() < 3 {
                    return Err(JobError::retryable("again"));
                }
            }
            "overtaken" => {
                let nap = ctx.sleep("nap", HOUR);
                let end_it = ctx.step("end it", || async {
                    // By then the handler is parked at its nap, most likely.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    make_due(ctx.runtime()).await;
                    while !is_over(ctx, "nap").await {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        make_due(ctx.runtime()).await;
                    }
                    Ok::<_, JobError>(())
                });
                tokio::try_join!(nap, end_it)?;
            }
            _ => {
                ctx.step("before", || async {
                    self.0.add("before");
                    Ok::<_, JobError>(())
                })
                .await?;
                ctx.sleep("nap", HOUR).await?;
            }
        }
        self.0.add("after");
        Ok(way)
    }
}

fn far() -> DateTime<Utc> {
    "2200-02-28T23:59:59.000001Z".parse().unwrap()
}

#[derive(Serialize, Deserialize)]
struct Never {}

impl Event for Never {
    const TYPE: &'static str = "never";
    const ROUTE: EventRoute = EventRoute::change("never");
}

/// Waits for what never comes, as the child that it spawns does.
struct Patient;

impl JobHandler for Patient {
    const TYPE: &'static str = "patient";
    type Input = bool;
    type Output = ();

    async fn run(&self, ctx: &JobContext, is_parent: bool) -> JobResult<()> {
        if is_parent {
            ctx.spawn_child::<Patient>("child", false).await?;
        }
        ctx.wait_for_event::<Never>("key", 24 * HOUR).await?;
        Ok(())
    }
}

async fn the_waits_of_a_tree_end_with_its_runs(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Patient>(bed.runtime.db(), true).await;
    let worker = bed.runtime.worker().job(Patient).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let waits = "SELECT COUNT(*) FROM job_step WHERE status = ";
    assert_eq!(bed.count(&format!("{waits}'waiting'")).await, 2);
    jobs.cancel(started.unwrap().run_id).await.unwrap();
    assert_eq!(bed.count(&format!("{waits}'waiting'")).await, 0);
    assert_eq!(bed.count(&format!("{waits}'abandoned'")).await, 2);
}

async fn is_over(ctx: &JobContext, wait: &str) -> bool {
    let details = ctx.runtime().jobs().show(ctx.run_id()).await.unwrap();
    let steps = details.unwrap().steps;
    steps
        .iter()
        .any(|it| it.name == wait && it.status == "completed")
}

async fn make_due(runtime: &runtime_sea::Runtime) {
    let sql = "UPDATE job_step SET wake_at = started_at WHERE status = 'waiting'";
    by_hand(runtime.db(), sql).await;
}

async fn start(bed: &TestBed, way: &str) -> RunId {
    let jobs = bed.runtime.jobs();
    let started = jobs
        .start::<Sleeper>(bed.runtime.db(), way.to_owned())
        .await;
    started.unwrap().run_id
}

async fn drain(bed: &TestBed, notes: &Notes) {
    let worker = bed
        .runtime
        .worker()
        .job(Sleeper(notes.clone()))
        .concurrency(1);
    worker.build().unwrap().drain_until_idle().await.unwrap();
}

/// Runs a worker until the condition holds.
async fn work_until(builder: WorkerBuilder, what: &str, condition: impl AsyncFnMut() -> bool) {
    let worker = builder.build().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    until(what, condition).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn a_sleeping_run_holds_no_slot_and_goes_on_when_its_time_has_come(bed: TestBed) {
    let notes = Notes::default();
    let ids = [start(&bed, "one").await, start(&bed, "another").await];
    // One slot: the second run comes to its sleep only because the first has left it.
    drain(&bed, &notes).await;
    for id in ids {
        let details = bed.run(id).await;
        assert_eq!(details.run.status, RunStatus::Waiting);
        assert_eq!((details.run.attempt, details.run.worker_id), (1, None));
        let nap = &details.steps[1];
        assert_eq!(
            (nap.name.as_str(), nap.kind.as_str(), nap.status.as_str()),
            ("nap", "sleep", "waiting")
        );
        assert!(nap.wake_at.unwrap() - nap.started_at > chrono::TimeDelta::minutes(59));
    }
    assert!(!notes.has("after"));
    make_due(&bed.runtime).await;
    drain(&bed, &notes).await;
    for id in ids {
        let run = bed.run(id).await.run;
        assert_eq!((run.status, run.attempt), (RunStatus::Completed, 1));
        assert_eq!((run.recoveries, run.errors.len()), (0, 0));
    }
    let count = |note| notes.all().iter().filter(|it| *it == note).count();
    assert_eq!(
        (count("before"), count("after"), count("attempt 1")),
        (2, 2, 4)
    );
}

async fn a_sleep_until_a_moment_that_has_passed_does_not_wait(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "past").await;
    drain(&bed, &notes).await;
    assert_eq!(bed.status(id).await, RunStatus::Completed);
    assert_eq!(notes.all(), ["attempt 1", "after"]);
}

async fn the_moment_of_a_sleep_is_fixed_when_the_run_first_comes_to_it(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "sleep").await;
    drain(&bed, &notes).await;
    let wake_at = bed.run(id).await.steps[1].wake_at;
    // As after the death of a worker between the wait and the suspension.
    bed.sql("UPDATE job_run SET status = 'pending', readiness = 'ready'")
        .await;
    drain(&bed, &notes).await;
    let details = bed.run(id).await;
    assert_eq!(
        (details.run.status, details.run.attempt),
        (RunStatus::Waiting, 2)
    );
    assert_eq!(details.steps[1].wake_at, wake_at);
}

async fn a_wait_that_ends_before_the_run_is_suspended_is_not_lost(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "overtaken").await;
    let worker = bed.runtime.worker().job(Sleeper(notes.clone()));
    work_until(worker, "the run completes", async || {
        bed.status(id).await == RunStatus::Completed
    })
    .await;
    assert!(notes.has("after"));
    assert_eq!(bed.run(id).await.run.attempt, 1);
}

async fn a_handler_that_hides_its_errors_or_races_a_wait_is_suspended_all_the_same(bed: TestBed) {
    for way in ["swallow", "race"] {
        let notes = Notes::default();
        let id = start(&bed, way).await;
        drain(&bed, &notes).await;
        assert_eq!(bed.status(id).await, RunStatus::Waiting, "{way}");
        make_due(&bed.runtime).await;
        drain(&bed, &notes).await;
        assert_eq!(bed.status(id).await, RunStatus::Completed, "{way}");
        assert_eq!(notes.all(), ["attempt 1", "attempt 1", "after"], "{way}");
    }
}

async fn a_step_beside_a_wait_is_finished_before_the_run_is_suspended(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "beside").await;
    drain(&bed, &notes).await;
    assert_eq!(bed.status(id).await, RunStatus::Waiting);
    assert_eq!(notes.all(), ["attempt 1", "worked"]);
    make_due(&bed.runtime).await;
    drain(&bed, &notes).await;
    assert_eq!(notes.all(), ["attempt 1", "worked", "attempt 1", "after"]);
}

async fn two_sleeps_at_once_both_have_to_pass(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "two").await;
    drain(&bed, &notes).await;
    bed.sql("UPDATE job_step SET wake_at = started_at WHERE name = 'nap'")
        .await;
    drain(&bed, &notes).await;
    let details = bed.run(id).await;
    assert_eq!(details.run.status, RunStatus::Waiting);
    let states: Vec<_> = details.steps.iter().map(|it| it.status.as_str()).collect();
    assert_eq!(states, ["completed", "waiting"]);
    make_due(&bed.runtime).await;
    drain(&bed, &notes).await;
    assert_eq!(bed.status(id).await, RunStatus::Completed);
}

async fn a_wait_inside_of_a_step_is_refused(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "inside").await;
    drain(&bed, &notes).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 1));
    let error = run.error.unwrap();
    assert!(error.contains("`nap` waits inside of a step"), "{error}");
}

async fn a_waiting_run_is_cancelled_at_once(bed: TestBed) {
    let notes = Notes::default();
    let [first, second] = [start(&bed, "sleep").await, start(&bed, "sleep").await];
    drain(&bed, &notes).await;
    let cancelled = bed.runtime.jobs().cancel(first).await.unwrap();
    assert_eq!(cancelled, runtime_sea::jobs::Cancelled::AtOnce);
    assert_eq!(bed.status(first).await, RunStatus::Canceled);
    drain(&bed, &notes).await;
    // Its key is free, and its wait wakes nobody.
    assert_eq!(bed.status(second).await, RunStatus::Waiting);
    make_due(&bed.runtime).await;
    drain(&bed, &notes).await;
    assert_eq!(bed.status(first).await, RunStatus::Canceled);
    assert_eq!(bed.run(first).await.steps[1].status, "abandoned");
    assert_eq!(bed.status(second).await, RunStatus::Completed);
}

async fn the_timeout_ends_a_waiting_run_although_no_worker_has_it(bed: TestBed) {
    let notes = Notes::default();
    let [first, second] = [start(&bed, "sleep").await, start(&bed, "sleep").await];
    drain(&bed, &notes).await;
    bed.sql("UPDATE job_run SET deadline_at = created_at WHERE status = 'waiting'")
        .await;
    // A worker that does not know the job.
    let worker = bed.runtime.worker();
    work_until(worker, "the first run is over", async || {
        bed.status(first).await.is_final()
    })
    .await;
    let run = bed.run(first).await.run;
    assert_eq!(run.status, RunStatus::TimedOut);
    assert_eq!(run.errors[0].outcome, "timed_out");
    drain(&bed, &notes).await;
    assert_eq!(bed.status(second).await, RunStatus::Waiting);
}

async fn a_waiting_run_keeps_its_concurrency_key(bed: TestBed) {
    let notes = Notes::default();
    let [first, second] = [start(&bed, "sleep").await, start(&bed, "sleep").await];
    drain(&bed, &notes).await;
    assert_eq!(bed.status(first).await, RunStatus::Waiting);
    let waits = bed.run(second).await.run;
    assert_eq!(
        (waits.status, waits.readiness.as_str()),
        (RunStatus::Pending, "blocked")
    );
    // One that comes later neither.
    start(&bed, "sleep").await;
    drain(&bed, &notes).await;
    assert_eq!(notes.all(), ["attempt 1", "before"]);
}

async fn a_shutdown_leaves_a_waiting_run_waiting(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "sleep").await;
    let worker = bed.runtime.worker().job(Sleeper(notes.clone()));
    work_until(worker, "the run waits", async || {
        bed.status(id).await == RunStatus::Waiting
    })
    .await;
    let waiting = RunFilter::new().status(RunStatus::Waiting);
    assert_eq!(bed.runtime.jobs().list(waiting).await.unwrap().len(), 1);
    make_due(&bed.runtime).await;
    // Another process, after a restart.
    let other = bed.other_process().await;
    let worker = other.worker().job(Sleeper(notes.clone()));
    work_until(worker, "the run completes", async || {
        bed.status(id).await == RunStatus::Completed
    })
    .await;
    assert_eq!(notes.all(), ["attempt 1", "before", "attempt 1", "after"]);
}

// Before the one that can be ended, and more than are looked at together.
async fn r64_a_run_whose_wait_cannot_be_ended_does_not_keep_others_waiting(bed: TestBed) {
    const REFUSED: usize = 110;

    let notes = Notes::default();
    let naps = (0..=REFUSED).map(|number| format!("nap {number}"));
    let jobs = bed.runtime.jobs();
    let started = jobs.start_many::<Sleeper>(bed.runtime.db(), naps).await;
    let ids: Vec<_> = started.unwrap().iter().map(|it| it.run_id).collect();
    drain(&bed, &notes).await;
    // A number that the database cannot count down from.
    bed.sql(match bed.runtime.db().get_database_backend() {
        DbBackend::Sqlite => {
            "CREATE TRIGGER refuse BEFORE UPDATE ON job_run WHEN OLD.concurrency_key <> 'nap 110' \
             BEGIN SELECT RAISE(ABORT, 'out of range'); END"
        }
        _ => "UPDATE job_run SET attempt = -2147483648 WHERE concurrency_key <> 'nap 110'",
    })
    .await;
    make_due(&bed.runtime).await;
    let worker = bed.runtime.worker().job(Sleeper(notes));
    while_working(worker.build().unwrap(), async || {
        bed.until_status(ids[REFUSED], RunStatus::Completed).await;
    })
    .await;
    // The log says so, and not of each of them again and again.
    let told: usize = ids
        .iter()
        .map(|id| warned("run", format_args!("{id}")))
        .sum();
    assert!((1..20).contains(&told), "{told}");
}

async fn a_sleep_until_a_far_moment_keeps_it_to_the_microsecond(bed: TestBed) {
    let notes = Notes::default();
    let id = start(&bed, "far").await;
    drain(&bed, &notes).await;
    let details = bed.run(id).await;
    assert_eq!(details.run.status, RunStatus::Waiting, "{details:?}");
    assert_eq!(details.steps[0].wake_at, Some(far()));
}
