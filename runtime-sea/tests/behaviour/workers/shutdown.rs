//! Shutting down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::dead::until_the_dead_are_looked_for;
use crate::support::{Running, TestBed, until};
use runtime_sea::jobs::entities::job_worker;
use runtime_sea::{RunFilter, RunStatus};
use sea_orm::EntityTrait;
use tokio_util::sync::CancellationToken;

use super::{KEPT, Wait, start, watchful, worker};

crate::on_each_database! {
    r08_a_shutdown_lets_handlers_finish_and_claims_nothing_more,
    r08_a_shutdown_hands_back_what_does_not_finish_without_burning_an_attempt,
    r08_a_shutdown_hands_back_only_its_own_runs,
    r08_a_worker_that_waits_for_its_handlers_keeps_its_lease,
    r09_stopping_before_the_start_or_twice_is_harmless,
    a_worker_leaves_the_table_when_it_stops,
}

async fn r08_a_shutdown_lets_handlers_finish_and_claims_nothing_more(bed: TestBed) {
    let wait = Wait::new();
    let patient = bed
        .runtime
        .worker()
        .job(wait.clone())
        .concurrency(1)
        .build()
        .unwrap();
    let running = Running::start(patient);
    let first = start(&bed).await;
    let second = start(&bed).await;
    until("the first runs", async || wait.began() == 1).await;
    running.shutdown.cancel();
    wait.go.add_permits(2);
    running.stop().await;
    assert_eq!(bed.status(first).await, RunStatus::Completed);
    let run = bed.run(second).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Pending, 0));
}

async fn r08_a_shutdown_hands_back_what_does_not_finish_without_burning_an_attempt(bed: TestBed) {
    let wait = Wait::new();
    let running = Running::start(worker(&bed.runtime, &wait));
    let id = start(&bed).await;
    until("it runs", async || wait.began() == 1).await;
    running.stop().await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Pending, 0));
    assert!(run.errors.is_empty());
    assert_eq!(wait.dropped.load(Ordering::SeqCst), 1);
    wait.go.add_permits(1);
    worker(&bed.runtime, &wait)
        .drain_until_idle()
        .await
        .unwrap();
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Completed, 1));
}

async fn r08_a_shutdown_hands_back_only_its_own_runs(bed: TestBed) {
    let other = bed.other_process().await;
    let (mine, theirs) = (Wait::new(), Wait::new());
    let staying = Running::start(worker(&other, &theirs));
    for _ in 0..2 {
        start(&bed).await;
    }
    until("the other worker is full", async || theirs.began() == 2).await;
    let id = start(&bed).await;
    let leaving = Running::start(worker(&bed.runtime, &mine));
    until("this worker has the third", async || mine.began() == 1).await;
    leaving.stop().await;
    assert_eq!(bed.status(id).await, RunStatus::Pending);
    let still = RunFilter::new().status(RunStatus::Running);
    assert_eq!(bed.runtime.jobs().list(still).await.unwrap().len(), 2);
    theirs.go.add_permits(3);
    bed.until_status(id, RunStatus::Completed).await;
    staying.stop().await;
    assert_eq!(theirs.dropped.load(Ordering::SeqCst), 3);
}

async fn r08_a_worker_that_waits_for_its_handlers_keeps_its_lease(bed: TestBed) {
    let (mine, theirs) = (Wait::new(), Wait::new());
    let stopping = bed.runtime.worker().job(mine.clone()).lease(KEPT);
    let stopping = stopping.shutdown_grace(Duration::from_secs(600));
    let stopping = Running::start(stopping.build().unwrap());
    let id = start(&bed).await;
    until("it runs", async || mine.began() == 1).await;
    stopping.shutdown.cancel();
    let other = bed.other_process().await;
    let rival = Running::start(watchful(&other, &theirs));
    until("the rival is there", async || {
        let workers = job_worker::Entity::find().all(bed.runtime.db()).await;
        workers.unwrap().len() == 2
    })
    .await;
    until_the_dead_are_looked_for(&bed.runtime).await;
    assert_eq!(bed.status(id).await, RunStatus::Running);
    mine.go.add_permits(1);
    stopping.stop().await;
    rival.stop().await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Completed, 1));
    assert_eq!((run.recoveries, theirs.began()), (0, 0));
}

async fn r09_stopping_before_the_start_or_twice_is_harmless(bed: TestBed) {
    let wait = Wait::new();
    let worker = worker(&bed.runtime, &wait);
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    worker.run(shutdown.clone()).await.unwrap();
    shutdown.cancel();
    let running = Running::start(worker);
    running.shutdown.cancel();
    running.stop().await;
}

async fn a_worker_leaves_the_table_when_it_stops(bed: TestBed) {
    let workers = || async {
        let found = runtime_sea::jobs::entities::job_worker::Entity::find();
        found.all(bed.runtime.db()).await.unwrap().len()
    };
    let running = Running::start(worker(&bed.runtime, &Wait::new()));
    until("it is in the table", async || workers().await == 1).await;
    running.stop().await;
    assert_eq!(workers().await, 0);
}
