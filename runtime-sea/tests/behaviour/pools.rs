//! Pauses and limits of pools.

use std::time::Duration;

use crate::support::{Running, TestBed, by_hand, until, while_working};
use chrono::Datelike;
use runtime_sea::{
    JobContext, JobHandler, JobPolicy, JobResult, Pool, RawRun, RunFilter, RunId, RunStatus,
    Runtime, Worker,
};
use tokio::sync::watch;

crate::on_each_database! {
    a_limit_holds_over_all_workers,
    a_limit_is_raised_and_taken_away_while_workers_run,
    a_pool_with_the_limit_zero_runs_nothing,
    pools_show_what_is_set_for_them,
    a_jobs_runs_go_to_the_pool_of_the_workers_that_are_left,
    a_worker_for_some_pools_leaves_the_runs_of_others_alone,
    a_cancelled_run_that_comes_to_wait_ends_though_its_pool_is_paused,
    a_cancelled_run_whose_claim_had_no_answer_ends_though_its_pool_is_paused,
}

const NARROW: Pool = Pool::new("narrow");

/// Counts how many runs execute at a time. Each waits until so many have done so as its input says.
#[derive(Clone, Default)]
struct Busy {
    running: watch::Sender<(u32, u32)>,
}

impl Busy {
    fn most(&self) -> u32 {
        self.running.borrow().1
    }
}

impl JobHandler for Busy {
    const TYPE: &'static str = "busy";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::new().pool(NARROW)
    }

    async fn run(&self, _ctx: &JobContext, at_once: u32) -> JobResult<()> {
        self.running.send_modify(|(now, most)| {
            *now += 1;
            *most = (*most).max(*now);
        });
        let mut running = self.running.subscribe();
        running.wait_for(|it| it.1 >= at_once).await.unwrap();
        // One too many would come meanwhile.
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.running.send_modify(|it| it.0 -= 1);
        Ok(())
    }
}

fn worker(runtime: &Runtime, busy: &Busy) -> Worker {
    runtime.worker().job(busy.clone()).build().unwrap()
}

async fn start(bed: &TestBed, runs: u32, at_once: u32) {
    for _ in 0..runs {
        bed.runtime
            .jobs()
            .start::<Busy>(bed.runtime.db(), at_once)
            .await
            .unwrap();
    }
}

async fn completed(bed: &TestBed) -> usize {
    let filter = RunFilter::new().status(RunStatus::Completed);
    bed.runtime.jobs().list(filter).await.unwrap().len()
}

async fn a_limit_holds_over_all_workers(bed: TestBed) {
    let busy = Busy::default();
    bed.runtime
        .jobs()
        .limit_pool("narrow", Some(3))
        .await
        .unwrap();
    start(&bed, 40, 3).await;
    let others = [bed.other_process().await, bed.other_process().await];
    while_working(worker(&bed.runtime, &busy), async || {
        while_working(worker(&others[0], &busy), async || {
            while_working(worker(&others[1], &busy), async || {
                until("all have run", async || completed(&bed).await == 40).await;
            })
            .await;
        })
        .await;
    })
    .await;
    assert_eq!(busy.most(), 3);
}

async fn a_limit_is_raised_and_taken_away_while_workers_run(bed: TestBed) {
    let busy = Busy::default();
    let jobs = bed.runtime.jobs();
    jobs.limit_pool("narrow", Some(1)).await.unwrap();
    start(&bed, 5, 1).await;
    while_working(worker(&bed.runtime, &busy), async || {
        until("some have run", async || completed(&bed).await == 5).await;
        assert_eq!(busy.most(), 1);
        jobs.limit_pool("narrow", None).await.unwrap();
        jobs.pause_pool("narrow").await.unwrap();
        start(&bed, 30, 2).await;
        jobs.resume_pool("narrow").await.unwrap();
        until("all have run", async || completed(&bed).await == 35).await;
        assert!(busy.most() > 1);
    })
    .await;
}

async fn a_pool_with_the_limit_zero_runs_nothing(bed: TestBed) {
    let busy = Busy::default();
    let jobs = bed.runtime.jobs();
    jobs.limit_pool("narrow", Some(0)).await.unwrap();
    start(&bed, 1, 1).await;
    worker(&bed.runtime, &busy)
        .drain_until_idle()
        .await
        .unwrap();
    assert_eq!(completed(&bed).await, 0);
    jobs.limit_pool("narrow", Some(1)).await.unwrap();
    worker(&bed.runtime, &busy)
        .drain_until_idle()
        .await
        .unwrap();
    assert_eq!(completed(&bed).await, 1);
}

/// Finds its cancellation asked for and its pool paused when it comes to wait.
struct Stopped;

impl JobHandler for Stopped {
    const TYPE: &'static str = "stopped";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let db = ctx.runtime().db();
        ctx.runtime().jobs().pause_pool("batch").await?;
        by_hand(db, "UPDATE job_run SET cancel_requested_at = run_at").await;
        ctx.sleep("long", Duration::from_secs(3600)).await
    }
}

async fn start_stopped(bed: &TestBed) -> RunId {
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Stopped>(bed.runtime.db(), ()).await;
    started.unwrap().run_id
}

async fn a_cancelled_run_that_comes_to_wait_ends_though_its_pool_is_paused(bed: TestBed) {
    let id = start_stopped(&bed).await;
    let worker = bed.runtime.worker().job(Stopped).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(id).await, RunStatus::Canceled);
}

async fn a_cancelled_run_whose_claim_had_no_answer_ends_though_its_pool_is_paused(bed: TestBed) {
    let id = start_stopped(&bed).await;
    bed.runtime.jobs().pause_pool("batch").await.unwrap();
    let worker = bed.runtime.worker().job(Stopped).build().unwrap();
    while_working(worker, async || {
        until("the worker is known", async || {
            bed.count("SELECT COUNT(*) FROM job_worker").await == 1
        })
        .await;
        bed.sql(
            "UPDATE job_run SET status = 'running', attempt = 1, fence = 1, claimed_at = run_at, \
             cancel_requested_at = run_at, worker_id = (SELECT id FROM job_worker)",
        )
        .await;
        bed.until_status(id, RunStatus::Canceled).await;
    })
    .await;
}

/// Two versions of one job that differ in its pool.
struct Moved<const NEW: bool>;

impl<const NEW: bool> JobHandler for Moved<NEW> {
    const TYPE: &'static str = "moved";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().pool(if NEW { "new" } else { "old" })
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn a_jobs_runs_go_to_the_pool_of_the_workers_that_are_left(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let moved = async || jobs.types().await.unwrap().pop();
    let goes_to = async |pool| moved().await.is_some_and(|it| it.pool == pool);
    jobs.pause_pool("old").await.unwrap();
    let lease = Duration::from_secs(2);
    let new = bed.runtime.worker().job(Moved::<true>).lease(lease);
    let new = Running::start(new.build().unwrap());
    until("the new one has it", async || goes_to("new").await).await;
    // A pod of the old version is the last to start.
    let other = bed.other_process().await;
    let old = other.worker().job(Moved::<false>).lease(lease);
    let old = Running::start(old.build().unwrap());
    until("the old one has it", async || goes_to("old").await).await;
    let raw = RawRun::new("moved", serde_json::json!(null));
    let id = jobs.start_raw(bed.runtime.db(), raw).await.unwrap().run_id;
    // Who lives says so.
    let long_ago = "UPDATE job SET seen_at = '2020-01-01 00:00:00+00:00'";
    bed.sql(long_ago).await;
    until("it has been seen", async || {
        moved().await.unwrap().seen_at.year() > 2020
    })
    .await;
    assert!(goes_to("old").await);
    old.stop().await;
    bed.sql(long_ago).await;
    bed.until_status(id, RunStatus::Completed).await;
    assert!(goes_to("new").await);
    new.stop().await;
}

async fn a_worker_for_some_pools_leaves_the_runs_of_others_alone(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    start(&bed, 1, 1).await;
    let other = jobs.start::<Moved<true>>(bed.runtime.db(), ()).await;
    let other = other.unwrap().run_id;
    let worker = async |pool: &str| {
        let worker = bed.runtime.worker().pools([pool]);
        let worker = worker.job(Busy::default()).job(Moved::<true>);
        worker.build().unwrap().drain_until_idle().await.unwrap();
    };
    worker("narrow").await;
    assert_eq!(completed(&bed).await, 1);
    assert_eq!(bed.status(other).await, RunStatus::Pending);
    worker("new").await;
    assert_eq!(bed.status(other).await, RunStatus::Completed);
}

async fn pools_show_what_is_set_for_them(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    worker(&bed.runtime, &Busy::default())
        .drain_until_idle()
        .await
        .unwrap();
    jobs.limit_pool("narrow", Some(7)).await.unwrap();
    jobs.pause_pool("narrow").await.unwrap();
    jobs.pause_pool("events_change").await.unwrap();
    let pools: Vec<_> = jobs
        .pools()
        .await
        .unwrap()
        .into_iter()
        .map(|pool| (pool.name, pool.paused, pool.run_limit))
        .collect();
    assert_eq!(
        pools,
        [
            ("events_change".to_owned(), true, None),
            ("events_inbound".to_owned(), false, None),
            ("events_outbound".to_owned(), false, None),
            ("narrow".to_owned(), true, Some(7)),
        ]
    );
    jobs.resume_pool("narrow").await.unwrap();
    let narrow = &jobs.pools().await.unwrap()[3];
    assert_eq!((narrow.paused, narrow.run_limit), (false, Some(7)));
}
