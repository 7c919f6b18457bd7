//! A network that loses answers and connections, with and without saying so.

use std::time::Duration;

use codegen_tests::servers::{MySqlServer, PostgresServer};
use runtime_sea::{JobContext, JobHandler, JobResult, RunFilter, RunStatus, Runtime, WorkerError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::customer::Customer;
use crate::databases::{Databases, on_tokio};
use crate::oracle;
use crate::process::LEASE;
use crate::proxy::Proxy;
use crate::support::{TestBed, until};
use crate::witness;
use crate::workload::host;

/// As the runtime's: the longest pause between two looks, and some for the machine.
const NOT_LATE: Duration = Duration::from_secs(5);

struct Nothing;

impl JobHandler for Nothing {
    const TYPE: &'static str = "nothing";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

/// Works until it is cancelled.
struct Endless;

impl JobHandler for Endless {
    const TYPE: &'static str = "endless";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.cancelled().cancelled().await;
        Err(runtime_sea::JobError::retryable("told to stop"))
    }
}

struct Working {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Working {
    fn start(runtime: &Runtime) -> Self {
        let worker = runtime
            .worker()
            .job(Nothing)
            .job(Endless)
            .lease(LEASE)
            .shutdown_grace(Duration::from_secs(1))
            .build()
            .unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { worker.run(shutdown).await }
        });
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Starts a run in another process and waits until it is completed. Returns how long that took by the database's clock.
async fn run_one(bed: &TestBed) -> Duration {
    let jobs = bed.runtime.jobs();
    let run = jobs.start::<Nothing>(bed.runtime.db(), ()).await.unwrap();
    bed.until_status(run.run_id, RunStatus::Completed).await;
    let run = bed.run(run.run_id).await.run;
    (run.started_at.unwrap() - run.created_at).to_std().unwrap()
}

fn postgres(test: impl AsyncFnOnce(TestBed, Proxy)) {
    let Some(Databases::Postgres(server)) = Databases::postgres() else {
        return;
    };
    let url = server.fresh_database().unwrap();
    on_tokio(async {
        let proxy = Proxy::to(server.port()).await;
        test(TestBed::on(url).await, proxy).await;
    });
}

#[test]
fn r19_a_listener_that_is_cut_off_comes_back() {
    postgres(async |bed, proxy| {
        let url = proxy.through(&bed.url);
        let runtime = Runtime::new(runtime_sea::connect(&url).await.unwrap());
        let working = Working::start(&runtime);
        until("the worker listens", async || proxy.listens() == 1).await;
        proxy.cut_listeners();
        assert!(run_one(&bed).await < NOT_LATE);
        until("it listens again", async || proxy.listens() > 1).await;
        assert!(run_one(&bed).await < NOT_LATE);
        working.stop().await;
    });
}

#[test]
fn r20_a_listener_that_dies_silently_comes_back_and_nothing_is_late_meanwhile() {
    postgres(async |bed, proxy| {
        let url = proxy.through(&bed.url);
        let runtime = Runtime::new(runtime_sea::connect(&url).await.unwrap());
        let working = Working::start(&runtime);
        until("the worker listens", async || proxy.listens() == 1).await;
        proxy.silence_listeners();
        until("it listens again", async || {
            assert!(run_one(&bed).await < NOT_LATE);
            proxy.listens() > 1
        })
        .await;
        working.stop().await;
    });
}

#[test]
fn r20_a_worker_whose_every_connection_dies_silently_comes_back() {
    postgres(async |bed, proxy| {
        let url = proxy.through(&bed.url);
        let runtime = Runtime::new(runtime_sea::connect(&url).await.unwrap());
        let working = Working::start(&runtime);
        until("the worker listens", async || proxy.listens() == 1).await;
        run_one(&bed).await;
        proxy.silence();
        let jobs = bed.runtime.jobs();
        let run = jobs.start::<Nothing>(bed.runtime.db(), ()).await.unwrap();
        // There is no other worker: this one has to notice by itself.
        let completed = async {
            while bed.status(run.run_id).await != RunStatus::Completed {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(150), completed)
            .await
            .unwrap();
        working.stop().await;
    });
}

#[test]
fn r21_a_worker_without_notifications_finds_work_and_cancellations_by_polling() {
    postgres(async |bed, proxy| {
        let url = proxy.through(&bed.url);
        let db = runtime_sea::connect(&url).await.unwrap();
        let runtime = Runtime::builder(db).notifications(false).build();
        let working = Working::start(&runtime);
        assert!(run_one(&bed).await < NOT_LATE);
        // A start of its own process too.
        let jobs = runtime.jobs();
        let endless = jobs
            .start::<Endless>(runtime.db(), ())
            .await
            .unwrap()
            .run_id;
        bed.until_status(endless, RunStatus::Running).await;
        bed.runtime.jobs().cancel(endless).await.unwrap();
        bed.until_status(endless, RunStatus::Canceled).await;
        working.stop().await;
        assert_eq!((proxy.listens(), proxy.notifies()), (0, 0));
    });
}

#[test]
fn r14_r15_answers_to_commits_that_are_lost_on_postgres_lose_and_repeat_nothing() {
    if let Some(server) = PostgresServer::start().unwrap() {
        let url = server.fresh_database().unwrap();
        on_tokio(lost_answers(&url, server.port()));
    }
}

#[test]
fn r14_r15_answers_to_commits_that_are_lost_on_mariadb_lose_and_repeat_nothing() {
    if let Some(server) = MySqlServer::start().unwrap() {
        let url = server.fresh_database().unwrap();
        on_tokio(lost_answers(&url, server.port()));
    }
}

// The worker's and its customer's connections break after the server has got a commit and before its answer is there.
async fn lost_answers(url: &str, port: u16) {
    const ROUNDS: u32 = 3;
    // What a worker has to write once more is not a failed attempt. What fails for good reason says so.
    const REASONS: [&str; 3] = ["step `convert`: not yet", "cancelled ", "its time was up"];

    let bed = TestBed::on(url.to_owned()).await;
    witness::create_tables(bed.runtime.db()).await;
    let proxy = Proxy::to(port).await;
    let url = proxy.through(url);
    let runtime = Runtime::new(runtime_sea::connect(&url).await.unwrap());
    let worker = host(&runtime, "worker").lease(LEASE).build().unwrap();
    let shutdown = CancellationToken::new();
    let working = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    proxy.lose_answers_to_commits(7);
    let customer = Customer::new(runtime);
    for round in 0..ROUNDS {
        customer.ask(round).await;
    }
    until("everything is done", async || {
        oracle::is_settled(bed.runtime.db()).await.unwrap()
    })
    .await;
    shutdown.cancel();
    working.await.unwrap().unwrap();
    let verdict = oracle::check(bed.runtime.db()).await;
    assert!(verdict.broken.is_empty(), "{verdict}");
    assert!(proxy.lost() > 20, "{} answers were lost", proxy.lost());
    for run in bed.runtime.jobs().list(RunFilter::new()).await.unwrap() {
        for error in &run.errors {
            let is_expected = REASONS.iter().any(|it| error.error.starts_with(it));
            assert!(is_expected, "{} {error:?}", run.job_type);
        }
    }
}
