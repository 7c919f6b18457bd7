//! Runs about one thing, and moving runs in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::TestBed;
use chrono::{DateTime, Utc};
use runtime_sea::{
    Collision, JobContext, JobError, JobHandler, JobPolicy, JobResult, Replay, Replayed,
    Rescheduled, Retention, RunId, RunStatus, Runtime, StartOptions,
};

crate::on_each_database! {
    the_runs_about_one_thing_are_listed_moved_and_cancelled_together,
    a_run_that_waits_is_moved_in_time,
    a_run_that_is_moved_gives_its_key_to_the_next,
    a_run_that_has_begun_keeps_its_key_when_it_is_moved,
    another_tenants_runs_stay_as_they_are,
    what_operators_do_may_be_awaited_in_spawned_tasks,
}

struct Sync;

impl JobHandler for Sync {
    const TYPE: &'static str = "sync";
    type Input = (u32, u32);
    type Output = ();

    fn policy() -> JobPolicy<(u32, u32)> {
        JobPolicy::<Self::Input>::new().scope("account", |(account, _)| *account)
    }

    async fn run(&self, _ctx: &JobContext, _: (u32, u32)) -> JobResult<()> {
        Ok(())
    }
}

struct Serial;

impl JobHandler for Serial {
    const TYPE: &'static str = "serial";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().concurrency(Collision::Queue, |_| "one".to_owned())
    }

    async fn run(&self, _ctx: &JobContext, _: u32) -> JobResult<()> {
        Ok(())
    }
}

async fn start<J: JobHandler>(bed: &TestBed, input: J::Input, options: StartOptions) -> RunId {
    let jobs = bed.runtime.jobs();
    jobs.start_with::<J>(bed.runtime.db(), input, options)
        .await
        .unwrap()
        .run_id
}

async fn drain<J: JobHandler>(bed: &TestBed, job: J) {
    let worker = bed.runtime.worker().job(job).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

fn year(year: i32) -> DateTime<Utc> {
    format!("{year}-01-01T00:00:00Z").parse().unwrap()
}

fn in_an_hour() -> StartOptions {
    StartOptions::new().delay(Duration::from_secs(3600))
}

async fn the_runs_about_one_thing_are_listed_moved_and_cancelled_together(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let mut mine = Vec::new();
    for number in 0..250 {
        mine.push(start::<Sync>(&bed, (1, number), in_an_hour()).await);
    }
    let other = start::<Sync>(&bed, (2, 0), in_an_hour()).await;
    bed.sql(
        "UPDATE job_run SET status = 'running' WHERE id IN (SELECT id FROM (SELECT id FROM job_run WHERE scope_id = '1' ORDER BY id LIMIT 1) AS it)"
    )
    .await;
    let listed = jobs.list_for_scope("account", 1).await.unwrap();
    assert_eq!(listed.len(), 100);
    assert_eq!(listed[0].id, mine[249]);
    assert_eq!(jobs.list_for_scope("contact", 1).await.unwrap(), []);
    let moved = jobs.reschedule_for_scope("account", 1, year(2200)).await;
    assert_eq!(moved.unwrap(), 249);
    assert_eq!(bed.run(mine[249]).await.run.run_at, year(2200));
    assert!(bed.run(mine[0]).await.run.run_at < year(2200));
    assert!(bed.run(other).await.run.run_at < year(2200));
    let cancelled = jobs.cancel_for_scope("account", 1).await.unwrap();
    assert_eq!((cancelled.at_once, cancelled.requested), (249, 1));
    assert_eq!(bed.status(mine[249]).await, RunStatus::Canceled);
    assert!(bed.run(mine[0]).await.run.cancel_requested_at.is_some());
    assert_eq!(bed.status(other).await, RunStatus::Pending);
    let again = jobs.cancel_for_scope("account", 1).await.unwrap();
    assert_eq!((again.at_once, again.requested), (0, 1));
}

async fn a_run_that_waits_is_moved_in_time(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let later = start::<Sync>(&bed, (1, 1), in_an_hour()).await;
    let now = start::<Sync>(&bed, (1, 2), StartOptions::new()).await;
    assert_eq!(
        jobs.reschedule(later, year(2020)).await.unwrap(),
        Rescheduled::Pending
    );
    assert_eq!(
        jobs.reschedule(now, year(2200)).await.unwrap(),
        Rescheduled::Pending
    );
    drain(&bed, Sync).await;
    assert_eq!(bed.status(later).await, RunStatus::Completed);
    assert_eq!(bed.status(now).await, RunStatus::Pending);
    assert_eq!(
        jobs.reschedule(later, year(2200)).await.unwrap(),
        Rescheduled::Refused(RunStatus::Completed)
    );
    assert_eq!(
        jobs.reschedule(RunId(uuid::Uuid::now_v7()), year(2200))
            .await
            .unwrap(),
        Rescheduled::NotFound
    );
}

async fn a_run_that_is_moved_gives_its_key_to_the_next(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    jobs.pause_pool("batch").await.unwrap();
    let first = start::<Serial>(&bed, 1, StartOptions::new()).await;
    let second = start::<Serial>(&bed, 2, StartOptions::new()).await;
    let worker = bed.runtime.worker().job(Serial).build().unwrap();
    crate::support::while_working(worker, async || {
        crate::support::until("one holds the key", async || {
            bed.run(first).await.run.readiness == "ready"
                && bed.run(second).await.run.readiness == "blocked"
        })
        .await;
        jobs.reschedule(first, year(2200)).await.unwrap();
        jobs.resume_pool("batch").await.unwrap();
        bed.until_status(second, RunStatus::Completed).await;
        assert_eq!(bed.status(first).await, RunStatus::Pending);
        // The next in line is moved in front of nothing: it goes when its time comes.
        jobs.reschedule(first, year(2020)).await.unwrap();
        bed.until_status(first, RunStatus::Completed).await;
    })
    .await;
}

/// Puts itself off the first time.
struct PutsOff(Arc<AtomicBool>);

impl JobHandler for PutsOff {
    const TYPE: &'static str = "puts_off";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().concurrency(Collision::Queue, |_| "one".to_owned())
    }

    async fn run(&self, _ctx: &JobContext, _: u32) -> JobResult<()> {
        if self.0.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        Err(JobError::snooze(Duration::from_secs(3600), "not yet"))
    }
}

async fn a_run_that_has_begun_keeps_its_key_when_it_is_moved(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let put_off = Arc::<AtomicBool>::default();
    let first = start::<PutsOff>(&bed, 1, StartOptions::new()).await;
    drain(&bed, PutsOff(put_off.clone())).await;
    let run = bed.run(first).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Pending, 0));
    let second = start::<PutsOff>(&bed, 2, StartOptions::new()).await;
    jobs.reschedule(first, year(2200)).await.unwrap();
    drain(&bed, PutsOff(put_off.clone())).await;
    assert_eq!(bed.status(second).await, RunStatus::Pending);
    jobs.reschedule(first, year(2020)).await.unwrap();
    drain(&bed, PutsOff(put_off)).await;
    for id in [first, second] {
        assert_eq!(bed.status(id).await, RunStatus::Completed);
    }
}

async fn another_tenants_runs_stay_as_they_are(bed: TestBed) {
    let runtime = Runtime::builder(bed.runtime.db().clone())
        .multi_tenant(true)
        .build();
    let mine = runtime.jobs().for_tenant("mine");
    let theirs = runtime.jobs().for_tenant("theirs");
    let run = mine
        .start_with::<Sync>(runtime.db(), (1, 1), in_an_hour())
        .await
        .unwrap()
        .run_id;
    assert_eq!(theirs.list_for_scope("account", 1).await.unwrap(), []);
    let moved = theirs.reschedule_for_scope("account", 1, year(2200)).await;
    assert_eq!(moved.unwrap(), 0);
    assert_eq!(
        theirs.reschedule(run, year(2200)).await.unwrap(),
        Rescheduled::NotFound
    );
    let cancelled = theirs.cancel_for_scope("account", 1).await.unwrap();
    assert_eq!(cancelled.at_once, 0);
    assert_eq!(
        mine.cancel_for_scope("account", 1).await.unwrap().at_once,
        1
    );
    assert_eq!(theirs.retry(run).await.unwrap(), Replayed::NotFound);
    assert_eq!(
        mine.replay(run, Replay::Scratch).await.unwrap(),
        Replayed::Pending
    );
    assert!(runtime.jobs().cancel_for_scope("account", 1).await.is_err());
}

async fn what_operators_do_may_be_awaited_in_spawned_tasks(bed: TestBed) {
    let id = start::<Sync>(&bed, (1, 1), in_an_hour()).await;
    let runtime = bed.runtime.clone();
    let task = tokio::spawn(async move {
        let jobs = runtime.jobs();
        jobs.reschedule(id, year(2200)).await?;
        jobs.reschedule_for_scope("account", 1, year(2200)).await?;
        jobs.cancel_for_scope("account", 1).await?;
        jobs.replay(id, Replay::Scratch).await?;
        jobs.cancel(id).await?;
        jobs.retry(id).await?;
        jobs.limit_pool("batch", Some(1)).await?;
        jobs.prune(Retention::new()).await?;
        let started = jobs
            .start_many::<Sync>(runtime.db(), [(1, 2), (1, 3)])
            .await;
        assert_eq!(started.unwrap().len(), 2);
        jobs.stats().await
    });
    assert_eq!(task.await.unwrap().unwrap().jobs.len(), 1);
}
