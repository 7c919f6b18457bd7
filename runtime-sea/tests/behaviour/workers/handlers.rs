//! Handlers that block their thread, hold every connection, or panic when they are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::support::dead::until_the_dead_are_looked_for;
use crate::support::{Running, TestBed, until};
use runtime_sea::{JobContext, JobHandler, JobPolicy, JobResult, RunFilter, RunStatus};

use super::{KEPT, LEASE, Wait};

crate::on_each_database! {
    r05_a_panic_while_a_handler_is_dropped_ends_its_run_like_any_other,
    r06_a_handler_that_blocks_its_thread_does_not_make_its_worker_look_dead,
    r06_the_run_of_a_blocked_handler_ends_when_its_time_is_up,
    r06_the_run_of_a_blocked_handler_ends_when_it_is_cancelled,
    r17_handlers_that_hold_every_connection_do_not_stop_the_heartbeat,
}

/// Blocks its thread until it is let go.
#[derive(Clone, Default)]
pub(super) struct Block {
    pub(super) blocked: Arc<AtomicU32>,
    go: Arc<AtomicBool>,
}

impl Block {
    pub(super) fn block_until_let_go(&self) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        while !self.go.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn let_go(&self) {
        self.go.store(true, Ordering::SeqCst);
    }
}

impl JobHandler for Block {
    const TYPE: &'static str = "block";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        self.block_until_let_go();
        Ok(())
    }
}

/// A test that fails must not wait for the blocked thread.
pub(super) struct LetGo(pub(super) Block);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

/// Blocks its thread, although its time is short.
struct Stuck(Block);

impl JobHandler for Stuck {
    const TYPE: &'static str = "stuck";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().timeout(Duration::from_millis(100))
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        self.0.block_until_let_go();
        Ok(())
    }
}

async fn r06_the_run_of_a_blocked_handler_ends_when_its_time_is_up(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let start = async || {
        jobs.start::<Stuck>(bed.runtime.db(), ())
            .await
            .unwrap()
            .run_id
    };
    let [first, second] = [start().await, start().await];
    let block = Block::default();
    let _let_go = LetGo(block.clone());
    let stuck = Stuck(block.clone());
    let builder = bed.runtime.worker().job(stuck).concurrency(1);
    let running = Running::start(builder.lease(LEASE).build().unwrap());
    until("one of them is over", async || {
        let over = RunFilter::new().status(RunStatus::TimedOut);
        jobs.list(over).await.unwrap().len() == 1
    })
    .await;
    // Its handler has the one slot still.
    assert_eq!(bed.status(second).await, RunStatus::Pending);
    block.let_go();
    bed.until_status(second, RunStatus::Completed).await;
    running.stop().await;
    // What the handler returned in the end does not count.
    let run = bed.run(first).await.run;
    assert_eq!((run.status, run.output), (RunStatus::TimedOut, None));
    assert_eq!(
        run.errors[0].error,
        "its time was up, and its handler blocks its thread"
    );
}

async fn r06_the_run_of_a_blocked_handler_ends_when_it_is_cancelled(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Block>(bed.runtime.db(), ()).await.unwrap();
    let block = Block::default();
    let _let_go = LetGo(block.clone());
    let running = Running::start(bed.runtime.worker().job(block.clone()).build().unwrap());
    until("it is blocked", async || {
        block.blocked.load(Ordering::SeqCst) == 1
    })
    .await;
    jobs.cancel(started.run_id).await.unwrap();
    bed.until_status(started.run_id, RunStatus::Canceled).await;
    block.let_go();
    running.stop().await;
    // What the handler returned in the end does not count.
    let run = bed.run(started.run_id).await.run;
    assert_eq!(run.status, RunStatus::Canceled);
    assert_eq!(
        run.errors[0].error,
        "it was cancelled, and its handler blocks its thread"
    );
}

async fn r06_a_handler_that_blocks_its_thread_does_not_make_its_worker_look_dead(bed: TestBed) {
    // Both threads of the runtime are blocked at once.
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(
            bed.runtime
                .jobs()
                .start::<Block>(bed.runtime.db(), ())
                .await
                .unwrap()
                .run_id,
        );
    }
    let block = Block::default();
    let let_go = LetGo(block.clone());
    let builder = bed.runtime.worker().job(block.clone()).lease(KEPT);
    let running = Running::start(builder.build().unwrap());
    let url = bed.url.clone();
    let rival = std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio.block_on(async {
            let runtime = runtime_sea::Runtime::new(runtime_sea::connect(&url).await.unwrap());
            let running = Running::start(runtime.worker().lease(KEPT).build().unwrap());
            until("both threads are blocked", async || {
                block.blocked.load(Ordering::SeqCst) == 2
            })
            .await;
            until_the_dead_are_looked_for(&runtime).await;
            drop(let_go);
            until("both are over", async || {
                let completed = RunFilter::new().status(RunStatus::Completed);
                runtime.jobs().list(completed).await.unwrap().len() == 2
            })
            .await;
            running.stop().await;
        });
    });
    tokio::task::spawn_blocking(move || rival.join().unwrap())
        .await
        .unwrap();
    running.stop().await;
    for id in ids {
        let run = bed.run(id).await.run;
        assert_eq!(
            (run.status, run.attempt, run.recoveries),
            (RunStatus::Completed, 1, 0)
        );
    }
}

struct Hold(Wait);

impl JobHandler for Hold {
    const TYPE: &'static str = "hold";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        // Reads only: a writer would hold SQLite's one write lock, which is nobody's to give.
        let tx = sea_orm::TransactionTrait::begin(ctx.db()).await?;
        self.0.began.fetch_add(1, Ordering::SeqCst);
        self.0.go.acquire().await?.forget();
        tx.rollback().await?;
        Ok(())
    }
}

async fn r17_handlers_that_hold_every_connection_do_not_stop_the_heartbeat(bed: TestBed) {
    let hold = Wait::new();
    let connections = 8;
    for _ in 0..connections {
        bed.runtime
            .jobs()
            .start::<Hold>(bed.runtime.db(), ())
            .await
            .unwrap();
    }
    let mut options = sea_orm::ConnectOptions::new(bed.url.clone());
    options.max_connections(connections);
    let small = runtime_sea::Runtime::new(sea_orm::Database::connect(options).await.unwrap());
    let builder = small.worker().job(Hold(hold.clone())).lease(KEPT);
    let holding = Running::start(builder.concurrency(16).build().unwrap());
    let rival = Running::start(bed.runtime.worker().lease(KEPT).build().unwrap());
    until("every connection is held", async || {
        hold.began() >= connections
    })
    .await;
    until_the_dead_are_looked_for(&bed.runtime).await;
    // A worker that believed itself cut off would have stopped them and begun anew.
    assert_eq!(hold.began(), connections);
    let held = RunFilter::new().job_type(Hold::TYPE);
    for run in bed.runtime.jobs().list(held).await.unwrap() {
        assert_eq!(
            (run.status, run.recoveries),
            (RunStatus::Running, 0),
            "{run:?}"
        );
    }
    hold.go.add_permits(100);
    until("every run is completed", async || {
        let completed = RunFilter::new().status(RunStatus::Completed);
        bed.runtime.jobs().list(completed).await.unwrap().len() == 8
    })
    .await;
    holding.stop().await;
    rival.stop().await;
}

/// Panics when it is dropped before its end.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

impl JobHandler for Bomb {
    const TYPE: &'static str = "bomb";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().timeout(Duration::from_millis(100))
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        let _bomb = Bomb;
        std::future::pending().await
    }
}

async fn r05_a_panic_while_a_handler_is_dropped_ends_its_run_like_any_other(bed: TestBed) {
    let id = bed
        .runtime
        .jobs()
        .start::<Bomb>(bed.runtime.db(), ())
        .await
        .unwrap()
        .run_id;
    // The registered handler itself is never dropped: that would be the test's own panic.
    let worker = std::mem::ManuallyDrop::new(bed.runtime.worker().job(Bomb).build().unwrap());
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::TimedOut, 1));
}
