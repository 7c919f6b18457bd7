//! Deduplication and concurrency keys, under races.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{TestBed, while_working};
use futures::future::join_all;
use runtime_sea::jobs::entities::job_run;
use runtime_sea::{
    Collision, JobContext, JobHandler, JobPolicy, JobResult, RunFilter, RunId, RunStatus, Runtime,
    StartError, begin,
};
use sea_orm::{EntityTrait, TransactionTrait};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    queue_never_runs_two_of_one_key_whatever_the_number_of_workers,
    queue_keeps_the_order_of_one_key_and_does_not_hold_up_others,
    a_failing_run_keeps_its_key_until_it_is_over,
    reject_names_the_incumbent_until_it_is_over,
    r39_starts_that_race_for_a_rejecting_key_give_one_run,
    replace_cancels_what_runs_and_what_waits,
    a_key_that_nobody_holds_is_released,
    a_key_that_nobody_holds_is_released_after_a_thousand_others,
    keys_differ_by_case_and_by_a_space_at_the_end,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Input {
    key: String,
    number: u32,
}

pub(crate) fn input(key: &str, number: u32) -> Input {
    Input {
        key: key.to_owned(),
        number,
    }
}

pub(crate) struct Once;

impl JobHandler for Once {
    const TYPE: &'static str = "once";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::<Self::Input>::new().dedupe(Duration::from_secs(3600), |input| {
            format!("once:{}", input.key)
        })
    }

    async fn run(&self, _ctx: &JobContext, _input: Input) -> JobResult<()> {
        Ok(())
    }
}

pub(crate) async fn count(bed: &TestBed) -> usize {
    bed.runtime
        .jobs()
        .list(RunFilter::new().limit(10_000))
        .await
        .unwrap()
        .len()
}

/// What its runs did, and how many ran at once per key.
#[derive(Clone)]
struct Serial {
    order: Arc<Mutex<Vec<u32>>>,
    running: Arc<Mutex<BTreeMap<String, u32>>>,
    most: Arc<Mutex<u32>>,
    go: Arc<Semaphore>,
}

impl Serial {
    fn new(permits: usize) -> Self {
        Self {
            order: Arc::default(),
            running: Arc::default(),
            most: Arc::default(),
            go: Arc::new(Semaphore::new(permits)),
        }
    }
}

impl JobHandler for Serial {
    const TYPE: &'static str = "serial";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::<Self::Input>::new()
            .retry(runtime_sea::Retry::fixed(2, Duration::from_secs(1)))
            .concurrency(Collision::Queue, |input| input.key.clone())
    }

    async fn run(&self, ctx: &JobContext, input: Input) -> JobResult<()> {
        {
            let mut running = self.running.lock().unwrap();
            let now = running.entry(input.key.clone()).or_default();
            *now += 1;
            let mut most = self.most.lock().unwrap();
            *most = (*most).max(*now);
        }
        self.order.lock().unwrap().push(input.number);
        let permit = self.go.acquire().await?;
        permit.forget();
        *self.running.lock().unwrap().get_mut(&input.key).unwrap() -= 1;
        if input.number == 13 && ctx.attempt() == 1 {
            return Err(runtime_sea::JobError::retryable("unlucky"));
        }
        Ok(())
    }
}

async fn queue_never_runs_two_of_one_key_whatever_the_number_of_workers(bed: TestBed) {
    let serial = Serial::new(1_000);
    let shutdown = CancellationToken::new();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let runtime = bed.other_process().await;
        let worker = runtime.worker().job(serial.clone()).build().unwrap();
        let shutdown = shutdown.clone();
        workers.push(tokio::spawn(async move { worker.run(shutdown).await }));
    }
    for number in 0..60 {
        let key = format!("key {}", number % 2);
        let input = input(&key, number + 100);
        bed.runtime
            .jobs()
            .start::<Serial>(bed.runtime.db(), input)
            .await
            .unwrap();
    }
    crate::support::until("every run is completed", async || {
        let completed = RunFilter::new().status(RunStatus::Completed);
        bed.runtime.jobs().list(completed).await.unwrap().len() == 60
    })
    .await;
    shutdown.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(*serial.most.lock().unwrap(), 1);
    assert_eq!(serial.order.lock().unwrap().len(), 60);
}

async fn queue_keeps_the_order_of_one_key_and_does_not_hold_up_others(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    // More waiting runs than a claim takes: they must not stand in the way of the other key.
    for number in 0..50 {
        jobs.start::<Serial>(bed.runtime.db(), input("busy", number + 100))
            .await
            .unwrap();
    }
    let other = jobs
        .start::<Serial>(bed.runtime.db(), input("free", 1))
        .await
        .unwrap();
    let serial = Serial::new(0);
    let worker = bed
        .runtime
        .worker()
        .job(serial.clone())
        .concurrency(4)
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    crate::support::until("both keys run", async || {
        serial.order.lock().unwrap().len() == 2
    })
    .await;
    assert_eq!(bed.status(other.run_id).await, RunStatus::Running);
    serial.go.add_permits(51);
    crate::support::until("every run is executed", async || {
        serial.order.lock().unwrap().len() == 51
    })
    .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let order: Vec<_> = serial
        .order
        .lock()
        .unwrap()
        .iter()
        .copied()
        .filter(|number| *number >= 100)
        .collect();
    assert!(order.is_sorted(), "{order:?}");
}

async fn a_failing_run_keeps_its_key_until_it_is_over(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let start = async |number| -> RunId {
        let started = jobs.start::<Serial>(bed.runtime.db(), input("a", number));
        started.await.unwrap().run_id
    };
    let serial = Serial::new(10);
    let worker = bed.runtime.worker().job(serial.clone()).build().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    let unlucky = start(13).await;
    crate::support::until("it has failed once and waits", async || {
        let run = bed.run(unlucky).await.run;
        (run.status, run.errors.len()) == (RunStatus::Pending, 1)
    })
    .await;
    let next = start(14).await;
    bed.until_status(next, RunStatus::Completed).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(*serial.order.lock().unwrap(), [13, 13, 14]);
}

struct Exclusive;

impl JobHandler for Exclusive {
    const TYPE: &'static str = "exclusive";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::<Self::Input>::new().concurrency(Collision::Reject, |input| input.key.clone())
    }

    async fn run(&self, _ctx: &JobContext, _input: Input) -> JobResult<()> {
        Ok(())
    }
}

async fn reject_names_the_incumbent_until_it_is_over(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let first = jobs
        .start::<Exclusive>(bed.runtime.db(), input("a", 1))
        .await
        .unwrap();
    let tx = begin(bed.runtime.db()).await.unwrap();
    let rejected = jobs
        .start::<Exclusive>(&tx, input("a", 2))
        .await
        .unwrap_err();
    assert!(
        matches!(&rejected, StartError::Rejected { incumbent, .. } if *incumbent == first.run_id),
        "{rejected}"
    );
    // The transaction is still good.
    let other = jobs.start::<Exclusive>(&tx, input("b", 3)).await.unwrap();
    tx.commit().await.unwrap();
    let worker = bed.runtime.worker().job(Exclusive).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(other.run_id).await, RunStatus::Completed);
    jobs.start::<Exclusive>(bed.runtime.db(), input("a", 4))
        .await
        .unwrap();
    assert_eq!(count(&bed).await, 3);
}

async fn r39_starts_that_race_for_a_rejecting_key_give_one_run(bed: TestBed) {
    let starts = (0..30).map(|number| {
        let runtime = bed.runtime.clone();
        tokio::spawn(async move {
            runtime
                .jobs()
                .start::<Exclusive>(runtime.db(), input("a", number))
                .await
        })
    });
    let started: Vec<_> = join_all(starts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let won: Vec<_> = started.iter().filter_map(|it| it.as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    for rejected in started.iter().filter_map(|it| it.as_ref().err()) {
        assert!(
            matches!(rejected, StartError::Rejected { incumbent, .. } if *incumbent == won[0].run_id),
            "{rejected}"
        );
    }
    assert_eq!(count(&bed).await, 1);
}

#[derive(Clone)]
struct Newest(Serial);

impl JobHandler for Newest {
    const TYPE: &'static str = "newest";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::<Self::Input>::new().concurrency(Collision::Replace, |input| input.key.clone())
    }

    async fn run(&self, ctx: &JobContext, input: Input) -> JobResult<()> {
        self.0.run(ctx, input).await
    }
}

async fn replace_cancels_what_runs_and_what_waits(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let start = async |number| -> RunId {
        jobs.start::<Newest>(bed.runtime.db(), input("a", number))
            .await
            .unwrap()
            .run_id
    };
    let serial = Serial::new(0);
    let superseded = start(1).await;
    let first = start(2).await;
    let worker = bed
        .runtime
        .worker()
        .job(Newest(serial.clone()))
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    bed.until_status(first, RunStatus::Running).await;
    assert_eq!(bed.status(superseded).await, RunStatus::Canceled);
    let mut later = Vec::new();
    for number in 3..6 {
        later.push(start(number).await);
    }
    let newest = later.pop().unwrap();
    bed.until_status(newest, RunStatus::Running).await;
    assert_eq!(bed.status(first).await, RunStatus::Canceled);
    for id in later {
        assert_eq!(bed.status(id).await, RunStatus::Canceled);
    }
    serial.go.add_permits(1);
    bed.until_status(newest, RunStatus::Completed).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let run = bed.run(superseded).await.run;
    assert_eq!(run.error, Some(format!("replaced by run {first}")));
}

async fn a_key_that_nobody_holds_is_released(bed: TestBed) {
    let run = bed
        .runtime
        .jobs()
        .start::<Serial>(bed.runtime.db(), input("a", 1))
        .await
        .unwrap();
    bed.sql("UPDATE job_run SET readiness = 'blocked'").await;
    let worker = bed
        .runtime
        .worker()
        .job(Serial::new(1))
        .lease(Duration::from_secs(1))
        .build();
    let worker = worker.unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    bed.until_status(run.run_id, RunStatus::Completed).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn a_key_that_nobody_holds_is_released_after_a_thousand_others(bed: TestBed) {
    let inputs = (0..1500).map(|number| input(&format!("{number:04}"), number));
    let jobs = bed.runtime.jobs();
    let started = jobs.start_many::<Serial>(bed.runtime.db(), inputs).await;
    let last = started.unwrap().last().unwrap().run_id;
    bed.sql("UPDATE job_run SET readiness = 'blocked'").await;
    bed.sql("UPDATE job_run SET active_key = concurrency_key WHERE concurrency_key <> '1499'")
        .await;
    let worker = bed.runtime.worker().job(Serial::new(1));
    let worker = worker.lease(Duration::from_secs(1)).build().unwrap();
    while_working(worker, async || {
        bed.until_status(last, RunStatus::Completed).await;
    })
    .await;
}

async fn keys_differ_by_case_and_by_a_space_at_the_end(bed: TestBed) {
    let (db, jobs) = (bed.runtime.db(), bed.runtime.jobs());
    let keys = ["a", "A", "a ", "á"];
    for key in keys {
        let started = jobs.start::<Once>(db, input(key, 1)).await.unwrap();
        assert!(!started.deduplicated, "{key:?}");
        jobs.start::<Exclusive>(db, input(key, 1)).await.unwrap();
    }
    assert_eq!(count(&bed).await, 2 * keys.len());
}

// MySQL's transactions are REPEATABLE READ unless told otherwise: what others committed since is not seen by a plain look.
#[test]
fn r39_a_start_sees_what_was_committed_after_its_transactions_snapshot_on_mysql() {
    crate::support::on_mysql(async |bed: TestBed| {
        let foreign = sea_orm::Database::connect(&bed.url).await.unwrap();
        let runtime = Runtime::new(foreign.clone());
        let tx = foreign.begin().await.unwrap();
        assert_eq!(job_run::Entity::find().all(&tx).await.unwrap(), []);
        let jobs = bed.runtime.jobs();
        let once = jobs.start::<Once>(bed.runtime.db(), input("a", 1)).await;
        let exclusive = jobs
            .start::<Exclusive>(bed.runtime.db(), input("a", 1))
            .await;
        let (once, exclusive) = (once.unwrap().run_id, exclusive.unwrap().run_id);
        assert_eq!(job_run::Entity::find().all(&tx).await.unwrap(), []);

        let jobs = runtime.jobs();
        let again = jobs.start::<Once>(&tx, input("a", 2)).await.unwrap();
        assert_eq!((again.run_id, again.deduplicated), (once, true));
        let rejected = jobs.start::<Exclusive>(&tx, input("a", 2)).await;
        assert!(
            matches!(&rejected, Err(StartError::Rejected { incumbent, .. }) if *incumbent == exclusive),
            "{rejected:?}"
        );
        tx.commit().await.unwrap();

        // A worker has its own way with transactions, whatever the pool's is.
        let worker = runtime.worker().job(Once).job(Exclusive).build().unwrap();
        worker.drain_until_idle().await.unwrap();
        assert_eq!(bed.status(once).await, RunStatus::Completed);
        assert_eq!(bed.status(exclusive).await, RunStatus::Completed);
    });
}
