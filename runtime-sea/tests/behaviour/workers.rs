//! Shutting down, dying, and being cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::support::dead::until_the_dead_are_looked_for;
use crate::support::{Running, TestBed, until};
use runtime_sea::jobs::entities::{job_dedupe, job_run};
use runtime_sea::{
    Collision, JobContext, JobHandler, JobPolicy, JobResult, Retry, RunFilter, RunId, RunStatus,
    StartOptions, Worker, WorkerError,
};
use sea_orm::{EntityTrait, QueryOrder, Set};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    r08_a_shutdown_lets_handlers_finish_and_claims_nothing_more,
    r08_a_shutdown_hands_back_what_does_not_finish_without_burning_an_attempt,
    r08_a_shutdown_hands_back_only_its_own_runs,
    r09_stopping_before_the_start_or_twice_is_harmless,
    r01_a_dead_workers_run_is_taken_over_and_its_history_shows_the_lost_attempt,
    r05_a_panic_while_a_handler_is_dropped_ends_its_run_like_any_other,
    r06_a_handler_that_blocks_its_thread_does_not_make_its_worker_look_dead,
    r06_the_run_of_a_blocked_handler_ends_when_its_time_is_up,
    r11_a_run_that_outlives_too_many_workers_is_given_up,
    r12_a_worker_whose_row_is_gone_is_dead_even_if_its_name_lives_on,
    r17_handlers_that_hold_every_connection_do_not_stop_the_heartbeat,
    a_live_workers_run_is_never_taken_over_however_long_it_runs,
    a_worker_that_was_cut_off_stops_its_handlers_and_goes_on_afterwards,
    a_worker_without_tables_says_so,
    r58_a_worker_that_overslept_its_lease_stops_its_handlers,
    r58_a_handler_that_overslept_its_lease_begins_no_step,
    closed_deduplication_windows_are_cleared_away,
    r40_a_run_whose_key_others_wait_for_is_taken_over_and_keeps_it,
    r46_a_run_that_is_deleted_or_edited_while_it_runs_does_no_harm,
    r64_a_run_that_cannot_be_taken_over_does_not_keep_others_from_it,
    runs_that_wait_in_a_foreign_pool_are_brought_home,
    r13_a_claim_whose_answer_was_lost_does_not_keep_its_run,
    a_worker_leaves_the_table_when_it_stops,
    work_of_another_process_is_noticed,
    the_backoff_is_a_time_of_the_databases_clock,
}

/// Runs until it is let go.
#[derive(Clone)]
struct Wait {
    began: Arc<AtomicU32>,
    dropped: Arc<AtomicU32>,
    go: Arc<Semaphore>,
}

impl Wait {
    fn new() -> Self {
        Self {
            began: Arc::default(),
            dropped: Arc::default(),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    fn began(&self) -> u32 {
        self.began.load(Ordering::SeqCst)
    }
}

struct CountDrop(Arc<AtomicU32>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl JobHandler for Wait {
    const TYPE: &'static str = "wait";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        self.began.fetch_add(1, Ordering::SeqCst);
        let _count = CountDrop(self.dropped.clone());
        self.go.acquire().await?.forget();
        Ok(())
    }
}

const LEASE: Duration = Duration::from_millis(1500);

fn builder(runtime: &runtime_sea::Runtime, wait: &Wait) -> runtime_sea::WorkerBuilder {
    runtime
        .worker()
        .job(wait.clone())
        .shutdown_grace(Duration::from_millis(200))
        .concurrency(2)
}

fn worker(runtime: &runtime_sea::Runtime, wait: &Wait) -> Worker {
    builder(runtime, wait).build().unwrap()
}

/// Notices a dead worker soon.
fn watchful(runtime: &runtime_sea::Runtime, wait: &Wait) -> Worker {
    builder(runtime, wait).lease(LEASE).build().unwrap()
}

async fn start(bed: &TestBed) -> RunId {
    bed.runtime
        .jobs()
        .start::<Wait>(bed.runtime.db(), ())
        .await
        .unwrap()
        .run_id
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

/// Makes the database believe that a run is held by a worker that has died.
async fn as_if_its_worker_had_died(bed: &TestBed) {
    bed.sql(
        "UPDATE job_run SET status = 'running', attempt = attempt + 1, fence = fence + 1, \
         worker_id = id, claimed_at = created_at, started_at = created_at",
    )
    .await;
}

async fn r01_a_dead_workers_run_is_taken_over_and_its_history_shows_the_lost_attempt(bed: TestBed) {
    let id = start(&bed).await;
    as_if_its_worker_had_died(&bed).await;
    let wait = Wait::new();
    wait.go.add_permits(1);
    let running = Running::start(watchful(&bed.runtime, &wait));
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
    let run = bed.run(id).await.run;
    assert_eq!((run.attempt, run.recoveries), (2, 1));
    assert_eq!(run.errors.len(), 1);
    assert_eq!(
        (run.errors[0].attempt, run.errors[0].outcome.as_str()),
        (1, "lost")
    );
}

/// Blocks its thread until it is let go.
#[derive(Clone, Default)]
struct Block {
    blocked: Arc<AtomicU32>,
    go: Arc<AtomicBool>,
}

impl Block {
    fn block_until_let_go(&self) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        while !self.go.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn let_go(&self) {
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
struct LetGo(Block);

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
    let builder = bed.runtime.worker().job(block.clone()).lease(LEASE);
    let running = Running::start(builder.build().unwrap());
    let url = bed.url.clone();
    let rival = std::thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio.block_on(async {
            let runtime = runtime_sea::Runtime::new(runtime_sea::connect(&url).await.unwrap());
            let running = Running::start(runtime.worker().lease(LEASE).build().unwrap());
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

async fn r11_a_run_that_outlives_too_many_workers_is_given_up(bed: TestBed) {
    let id = start(&bed).await;
    bed.sql("UPDATE job_run SET recoveries = 3, attempt = 3")
        .await;
    as_if_its_worker_had_died(&bed).await;
    let wait = Wait::new();
    let running = Running::start(watchful(&bed.runtime, &wait));
    bed.until_status(id, RunStatus::Failed).await;
    running.stop().await;
    let run = bed.run(id).await.run;
    assert_eq!(run.recoveries, 4);
    assert_eq!(wait.began(), 0);
    let error = run.error.unwrap();
    assert!(error.contains("4 workers died"), "{error}");
}

async fn r12_a_worker_whose_row_is_gone_is_dead_even_if_its_name_lives_on(bed: TestBed) {
    let id = start(&bed).await;
    as_if_its_worker_had_died(&bed).await;
    let wait = Wait::new();
    wait.go.add_permits(1);
    // Two workers of one name: neither is taken for the dead one, nor for the other.
    let same_name = |runtime: &runtime_sea::Runtime| {
        runtime
            .worker()
            .job(wait.clone())
            .lease(LEASE)
            .name("pod-1")
            .build()
            .unwrap()
    };
    let first = Running::start(same_name(&bed.runtime));
    let second = Running::start(same_name(&bed.other_process().await));
    bed.until_status(id, RunStatus::Completed).await;
    assert_eq!(bed.run(id).await.run.recoveries, 1);
    first.stop().await;
    second.stop().await;
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
    let builder = small.worker().job(Hold(hold.clone())).lease(LEASE);
    let holding = Running::start(builder.concurrency(16).build().unwrap());
    let rival = Running::start(bed.runtime.worker().lease(LEASE).build().unwrap());
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

async fn a_live_workers_run_is_never_taken_over_however_long_it_runs(bed: TestBed) {
    let wait = Wait::new();
    let id = start(&bed).await;
    let busy = Running::start(watchful(&bed.runtime, &wait));
    until("it runs", async || wait.began() == 1).await;
    // As if it had run for a year.
    bed.sql("UPDATE job_run SET claimed_at = '2025-01-01 00:00:00'")
        .await;
    let rival = Running::start(watchful(&bed.other_process().await, &wait));
    until_the_dead_are_looked_for(&bed.runtime).await;
    assert_eq!(wait.began(), 1);
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.attempt, run.recoveries), (1, 0));
    busy.stop().await;
    rival.stop().await;
}

async fn a_worker_that_was_cut_off_stops_its_handlers_and_goes_on_afterwards(bed: TestBed) {
    let wait = Wait::new();
    let id = start(&bed).await;
    let running = Running::start(watchful(&bed.runtime, &wait));
    until("it runs", async || wait.began() == 1).await;
    // No heartbeat can be written any more; everything else goes on.
    bed.sql("ALTER TABLE job_worker RENAME TO job_worker_away")
        .await;
    until("the handler is stopped", async || {
        wait.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    until("nothing is claimed", async || {
        bed.status(id).await == RunStatus::Pending
    })
    .await;
    assert_eq!(bed.run(id).await.run.attempt, 0);
    bed.sql("ALTER TABLE job_worker_away RENAME TO job_worker")
        .await;
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

// As when its process or machine was stopped for a while: its own clock need not show it.
async fn r58_a_worker_that_overslept_its_lease_stops_its_handlers(bed: TestBed) {
    let wait = Wait::new();
    let id = start(&bed).await;
    let running = Running::start(worker(&bed.runtime, &wait));
    until("it runs", async || wait.began() == 1).await;
    bed.sql("UPDATE job_worker SET expires_at = '2025-01-01 00:00:00'")
        .await;
    until("the handler is stopped", async || {
        wait.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

/// Begins a step once it is told to stop, and returns at once when it is executed again.
struct Late {
    began: Arc<AtomicU32>,
    executed: Arc<AtomicU32>,
}

impl JobHandler for Late {
    const TYPE: &'static str = "late";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        if self.began.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        ctx.cancelled().cancelled().await;
        ctx.step("late", || async {
            self.executed.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::convert::Infallible>(())
        })
        .await
    }
}

async fn r58_a_handler_that_overslept_its_lease_begins_no_step(bed: TestBed) {
    let (began, executed) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
    let late = Late {
        began: began.clone(),
        executed: executed.clone(),
    };
    let running = Running::start(bed.runtime.worker().job(late).build().unwrap());
    let jobs = bed.runtime.jobs();
    let id = jobs
        .start::<Late>(bed.runtime.db(), ())
        .await
        .unwrap()
        .run_id;
    until("it runs", async || began.load(Ordering::SeqCst) == 1).await;
    bed.sql("UPDATE job_worker SET expires_at = '2025-01-01 00:00:00'")
        .await;
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
    assert_eq!(executed.load(Ordering::SeqCst), 0);
}

async fn closed_deduplication_windows_are_cleared_away(bed: TestBed) {
    let windows = async || {
        let rows = job_dedupe::Entity::find().order_by_asc(job_dedupe::Column::Key);
        let rows = rows.all(bed.runtime.db()).await.unwrap();
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    let id = start(&bed).await;
    for (key, end) in [("closed", 2025), ("open", 2037)] {
        let window = job_dedupe::ActiveModel {
            key: Set(key.to_owned()),
            run_id: Set(id.into()),
            expires_at: Set(format!("{end}-01-01T00:00:00Z").parse().unwrap()),
        };
        job_dedupe::Entity::insert(window)
            .exec_without_returning(bed.runtime.db())
            .await
            .unwrap();
    }
    let wait = Wait::new();
    let running = Running::start(watchful(&bed.runtime, &wait));
    until("the closed one is gone", async || {
        windows().await == ["open"]
    })
    .await;
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

struct Echo;

impl JobHandler for Echo {
    const TYPE: &'static str = "echo";
    type Input = String;
    type Output = String;

    async fn run(&self, _ctx: &JobContext, text: String) -> JobResult<String> {
        Ok(text)
    }
}

#[test]
fn r50_a_result_that_the_database_refuses_fails_its_run_and_holds_up_no_other() {
    crate::support::on_sqlite(async |bed: TestBed| {
        bed.sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON job_run WHEN NEW.output LIKE '%poison%' \
             BEGIN SELECT RAISE(ABORT, 'no poison here'); END",
        )
        .await;
        let (db, jobs) = (bed.runtime.db(), bed.runtime.jobs());
        let poison = jobs.start::<Echo>(db, "poison".to_owned()).await.unwrap();
        let fine = jobs.start::<Echo>(db, "fine".to_owned()).await.unwrap();
        let running = Running::start(bed.runtime.worker().job(Echo).build().unwrap());
        bed.until_status(fine.run_id, RunStatus::Completed).await;
        bed.until_status(poison.run_id, RunStatus::Failed).await;
        let error = bed.run(poison.run_id).await.run.error.unwrap();
        assert!(error.contains("no poison here"), "{error}");
        running.stop().await;
    });
}

// The statement has committed, then the connection broke: the run is a live worker's that knows nothing of it.
async fn r13_a_claim_whose_answer_was_lost_does_not_keep_its_run(bed: TestBed) {
    let wait = Wait::new();
    let running = Running::start(worker(&bed.runtime, &wait));
    let known = start(&bed).await;
    bed.until_status(known, RunStatus::Running).await;
    bed.runtime.jobs().pause_pool("batch").await.unwrap();
    let lost = start(&bed).await;
    bed.sql(
        "UPDATE job_run SET status = 'running', attempt = 1, fence = 1, claimed_at = created_at, \
         worker_id = (SELECT id FROM job_worker) WHERE status = 'pending'",
    )
    .await;
    bed.runtime.jobs().resume_pool("batch").await.unwrap();
    until("the lost run has begun", async || wait.began() == 2).await;
    wait.go.add_permits(2);
    bed.until_status(lost, RunStatus::Completed).await;
    bed.until_status(known, RunStatus::Completed).await;
    assert_eq!(bed.run(lost).await.run.attempt, 1);
    assert_eq!(bed.run(known).await.run.attempt, 1);
    running.stop().await;
}

async fn a_worker_without_tables_says_so(bed: TestBed) {
    bed.sql("ALTER TABLE job_worker RENAME TO job_worker_away")
        .await;
    let refused = worker(&bed.runtime, &Wait::new())
        .run(CancellationToken::new())
        .await;
    assert!(
        matches!(refused, Err(WorkerError::Register(_))),
        "{refused:?}"
    );
}

async fn a_worker_leaves_the_table_when_it_stops(bed: TestBed) {
    use sea_orm::EntityTrait;

    let workers = || async {
        let found = runtime_sea::jobs::entities::job_worker::Entity::find();
        found.all(bed.runtime.db()).await.unwrap().len()
    };
    let running = Running::start(worker(&bed.runtime, &Wait::new()));
    until("it is in the table", async || workers().await == 1).await;
    running.stop().await;
    assert_eq!(workers().await, 0);
}

async fn work_of_another_process_is_noticed(bed: TestBed) {
    let wait = Wait::new();
    wait.go.add_permits(1);
    let running = Running::start(worker(&bed.runtime, &wait));
    let other = bed.other_process().await;
    let tx = runtime_sea::begin(other.db()).await.unwrap();
    let id = other.jobs().start::<Wait>(&tx, ()).await.unwrap().run_id;
    tx.commit().await.unwrap();
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

struct Later;

impl JobHandler for Later {
    const TYPE: &'static str = "later";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().retry(Retry::fixed(2, Duration::from_secs(3600)))
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Err(runtime_sea::JobError::retryable("not now"))
    }
}

async fn the_backoff_is_a_time_of_the_databases_clock(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let options = StartOptions::new().priority(1);
    let id = jobs
        .start_with::<Later>(bed.runtime.db(), (), options)
        .await
        .unwrap()
        .run_id;
    bed.runtime
        .worker()
        .job(Later)
        .build()
        .unwrap()
        .drain_until_idle()
        .await
        .unwrap();
    let run = bed.run(id).await.run;
    assert_eq!(
        (run.status, run.readiness.as_str()),
        (RunStatus::Pending, "scheduled")
    );
    let wait = run.run_at - run.claimed_at.unwrap();
    // An hour, a quarter more or less, and what the test took.
    assert!((2700..4600).contains(&wait.num_seconds()), "{wait}");
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

#[test]
fn r13_a_worker_survives_the_loss_of_every_connection() {
    crate::support::on_postgres(async |bed| {
        let wait = Wait::new();
        wait.go.add_permits(3);
        let running = Running::start(worker(&bed.runtime, &wait));
        let first = start(&bed).await;
        bed.until_status(first, RunStatus::Completed).await;
        for _ in 0..2 {
            // From outside, as a restart of the server or a failover does it.
            let admin = bed.other_process().await;
            let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            sea_orm::ConnectionTrait::execute_unprepared(admin.db(), terminate)
                .await
                .unwrap();
            let id = admin
                .jobs()
                .start::<Wait>(admin.db(), ())
                .await
                .unwrap()
                .run_id;
            until("the run is completed", async || {
                let run = admin.jobs().show(id).await.unwrap().unwrap().run;
                run.status == RunStatus::Completed
            })
            .await;
        }
        running.stop().await;
    });
}

#[test]
fn r22_a_start_announces_itself_to_other_processes_from_outside_its_transaction() {
    use sea_orm::sqlx::postgres::PgListener;

    crate::support::on_postgres(async |bed| {
        let mut listener = PgListener::connect(&bed.url).await.unwrap();
        listener.listen("runtime_sea").await.unwrap();
        let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
        bed.runtime.jobs().start::<Wait>(&tx, ()).await.unwrap();
        // The transaction is still open: a notification of its own could not arrive.
        listener.recv().await.unwrap();
        tx.commit().await.unwrap();
    });
}

/// Waits like [`Wait`], one after the other.
struct Serial(Wait);

impl JobHandler for Serial {
    const TYPE: &'static str = "serial_wait";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().concurrency(Collision::Queue, |_| "one".to_owned())
    }

    async fn run(&self, ctx: &JobContext, _: u32) -> JobResult<()> {
        self.0.run(ctx, ()).await
    }
}

async fn r40_a_run_whose_key_others_wait_for_is_taken_over_and_keeps_it(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let wait = Wait::new();
    let ids = jobs
        .start_many::<Serial>(bed.runtime.db(), 0..3)
        .await
        .unwrap();
    let first = ids[0].run_id;
    let other = start(&bed).await;
    let doomed = Running::start(
        bed.runtime
            .worker()
            .job(Serial(wait.clone()))
            .job(wait.clone())
            .build()
            .unwrap(),
    );
    until("both run and the others wait", async || {
        let blocked = jobs.list(RunFilter::new()).await.unwrap();
        let blocked = blocked.iter().filter(|run| run.readiness == "blocked");
        wait.began() == 2 && blocked.count() == 2
    })
    .await;
    doomed.task.abort();
    // In the name of a worker that nobody has heard of.
    bed.sql("UPDATE job_run SET worker_id = id WHERE status = 'running'")
        .await;
    let heir = Running::start(
        bed.runtime
            .worker()
            .job(Serial(wait.clone()))
            .job(wait.clone())
            .lease(LEASE)
            .build()
            .unwrap(),
    );
    until("both run again", async || wait.began() == 4).await;
    let run = bed.run(first).await.run;
    assert_eq!((run.status, run.recoveries), (RunStatus::Running, 1));
    wait.go.add_permits(10);
    for id in ids.iter().map(|it| it.run_id).chain([other]) {
        bed.until_status(id, RunStatus::Completed).await;
    }
    heir.stop().await;
}

async fn r46_a_run_that_is_deleted_or_edited_while_it_runs_does_no_harm(bed: TestBed) {
    let wait = Wait::new();
    let (deleted, edited) = (start(&bed).await, start(&bed).await);
    let running = Running::start(
        bed.runtime
            .worker()
            .job(wait.clone())
            .concurrency(3)
            .build()
            .unwrap(),
    );
    until("both run", async || wait.began() == 2).await;
    let db = bed.runtime.db();
    job_run::Entity::delete_by_id(deleted.0)
        .exec(db)
        .await
        .unwrap();
    bed.sql("UPDATE job_run SET status = 'failed', error = 'by hand'")
        .await;
    let other = start(&bed).await;
    wait.go.add_permits(3);
    bed.until_status(other, RunStatus::Completed).await;
    until("all handlers have returned", async || {
        wait.dropped.load(Ordering::SeqCst) == 3
    })
    .await;
    running.stop().await;
    assert_eq!(bed.runtime.jobs().show(deleted).await.unwrap(), None);
    let run = bed.run(edited).await.run;
    assert_eq!(
        (run.status, run.error.as_deref()),
        (RunStatus::Failed, Some("by hand"))
    );
}

async fn r64_a_run_that_cannot_be_taken_over_does_not_keep_others_from_it(bed: TestBed) {
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(start(&bed).await);
    }
    bed.sql("UPDATE job_run SET status = 'running', worker_id = id, attempt = 1, fence = 1")
        .await;
    // What PostgreSQL appends no error to.
    let update = job_run::ActiveModel {
        id: Set(ids[0].0),
        errors: Set(serde_json::json!({ "edited": "by hand" })),
        ..Default::default()
    };
    job_run::Entity::update(update)
        .exec(bed.runtime.db())
        .await
        .unwrap();
    let wait = Wait::new();
    wait.go.add_permits(10);
    let running = Running::start(watchful(&bed.runtime, &wait));
    for id in &ids[1..] {
        bed.until_status(*id, RunStatus::Completed).await;
    }
    running.stop().await;
}

async fn runs_that_wait_in_a_foreign_pool_are_brought_home(bed: TestBed) {
    let wait = Wait::new();
    wait.go.add_permits(10);
    // Its job is known, so that registering it again moves nothing.
    worker(&bed.runtime, &wait)
        .drain_until_idle()
        .await
        .unwrap();
    let id = start(&bed).await;
    bed.sql("UPDATE job_run SET pool = 'foreign'").await;
    let running = Running::start(worker(&bed.runtime, &wait));
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
    assert_eq!(bed.run(id).await.run.pool, "batch");
}
