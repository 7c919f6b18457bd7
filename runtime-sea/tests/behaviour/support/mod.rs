//! Runs each test on every database: in memory, on a fresh SQLite file, and on fresh databases of PostgreSQL and MySQL
//! or MariaDB where there is a server.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod dead;
pub(crate) mod measured;
pub(crate) mod not_in_memory;
pub(crate) mod open_telemetry;
pub(crate) mod statements;
pub(crate) mod warned;

use std::future::Future;
use std::sync::Once;
use std::time::Duration;

use codegen_tests::databases::{self, TestDatabase};
use runtime_sea::{
    MemoryRuntime, RunDetails, RunId, RunStatus, Runtime, TestClock, Worker, WorkerError,
    is_contention, migration,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::SchemaManager;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const IN_MEMORY: &str = "sqlite::memory:";

/// Executes a statement while workers may be at the same rows: where it is in their way, once more, as a person would.
pub(crate) async fn by_hand(db: &DatabaseConnection, sql: &str) {
    while let Err(error) = db.execute_unprepared(sql).await {
        assert!(is_contention(&error), "{sql}: {error}");
    }
}

/// A fresh database with the runtime's tables.
pub(crate) struct TestBed {
    pub(crate) url: String,
    pub(crate) runtime: Runtime,
    pub(crate) clock: TestClock,
}

impl TestBed {
    /// What an application's own tests use.
    pub(crate) async fn in_memory() -> Self {
        let memory = MemoryRuntime::new().await.unwrap();
        Self {
            url: IN_MEMORY.to_owned(),
            runtime: memory.runtime().clone(),
            clock: memory.clock().clone(),
        }
    }

    pub(crate) async fn on(url: String) -> Self {
        let db = runtime_sea::connect(&url).await.unwrap();
        let manager = SchemaManager::new(&db);
        migration::events::v1::up(&manager).await.unwrap();
        migration::jobs::v1::up(&manager).await.unwrap();
        migration::bridge::v1::up(&manager).await.unwrap();
        let clock = TestClock::start();
        let runtime = Runtime::new(db);
        Self {
            url,
            runtime,
            clock,
        }
    }

    /// Does something to the tables behind the runtime's back.
    pub(crate) async fn sql(&self, sql: &str) {
        let db = self.runtime.db();
        // MariaDB takes no time zone with a moment; its columns are in UTC.
        let sql = match db.get_database_backend() {
            DbBackend::MySql => sql.replace("+00:00'", "'"),
            _ => sql.to_owned(),
        };
        by_hand(db, &sql).await;
    }

    /// The number that a query gives.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let db = self.runtime.db();
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Another process's handle on the same database; in memory, what stands for one: another runtime.
    pub(crate) async fn other_process(&self) -> Runtime {
        let db = if self.url == IN_MEMORY {
            self.runtime.db().clone()
        } else {
            runtime_sea::connect(&self.url).await.unwrap()
        };
        Runtime::new(db)
    }

    pub(crate) async fn run(&self, id: RunId) -> RunDetails {
        self.runtime.jobs().show(id).await.unwrap().unwrap()
    }

    pub(crate) async fn status(&self, id: RunId) -> RunStatus {
        self.run(id).await.run.status
    }

    /// Waits until the run has this status.
    pub(crate) async fn until_status(&self, id: RunId, status: RunStatus) {
        until(&format!("run {id} is {status}"), async || {
            self.status(id).await == status
        })
        .await;
    }
}

/// A worker that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    pub(crate) fn start(worker: Worker) -> Self {
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        Self {
            shutdown,
            task: tokio::spawn(async move { worker.run(token).await }),
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Waits for a condition, for at most a minute.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            // A look is several statements: most of the tests' time would go into looking.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Waits for another millisecond, which is SQLite's moment: two things that must not happen at the same one.
pub(crate) async fn next_moment(runtime: &Runtime) {
    let moment = async || runtime.now().await.unwrap().timestamp_millis();
    let this = moment().await;
    while moment().await == this {}
}

/// Runs a test in memory.
pub(crate) fn in_memory<F: Future<Output = ()>>(test: impl FnOnce(TestBed) -> F) {
    run(async || test(TestBed::in_memory().await).await);
}

/// Runs a test on a SQLite file.
pub(crate) fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(TestBed) -> F) {
    on(&databases::sqlite().unwrap(), test);
}

/// Runs a test on PostgreSQL, or says that it was not run.
pub(crate) fn on_postgres<F: Future<Output = ()>>(test: impl FnOnce(TestBed) -> F) {
    if let Some(database) = databases::postgres().unwrap() {
        on(&database, test);
    }
}

/// Runs a test on MySQL or MariaDB, or says that it was not run.
pub(crate) fn on_mysql<F: Future<Output = ()>>(test: impl FnOnce(TestBed) -> F) {
    if let Some(database) = databases::mysql().unwrap() {
        on(&database, test);
    }
}

// The database outlives the Tokio runtime: dropping it talks to the server, which may not be done on one.
fn on<F: Future<Output = ()>>(database: &TestDatabase, test: impl FnOnce(TestBed) -> F) {
    run(async || test(TestBed::on(database.url.clone()).await).await);
}

fn run(test: impl AsyncFnOnce()) {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    observe();
    tokio.block_on(test());
    tokio.shutdown_timeout(Duration::from_secs(5));
}

// Once per process, before the first span of any test.
pub(crate) fn observe() {
    static OBSERVED: Once = Once::new();
    OBSERVED.call_once(|| {
        measured::install();
        let log = tracing_subscriber::fmt::layer()
            .with_test_writer()
            .with_filter(tracing_subscriber::EnvFilter::from_default_env());
        tracing_subscriber::registry()
            .with(open_telemetry::layer())
            .with(warned::layer())
            .with(log)
            .with(open_telemetry::Panicking)
            .init();
    });
}

/// Makes a test per database of each function.
#[macro_export]
macro_rules! on_each_database {
    ($($(#[$attribute:meta])* $test:ident),+ $(,)?) => {
        mod memory {
            $($crate::support::not_in_memory::test_in_memory! { $(#[$attribute])* $test })+
        }
        mod sqlite {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::on_sqlite(super::$test); })+
        }
        mod postgres {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::on_postgres(super::$test); })+
        }
        mod mysql {
            $($(#[$attribute])* #[test] fn $test() { $crate::support::on_mysql(super::$test); })+
        }
    };
}

/// Does something while the worker runs, then shuts it down.
pub(crate) async fn while_working<T>(worker: Worker, work: impl AsyncFnOnce() -> T) -> T {
    let shutdown = CancellationToken::new();
    let stop_on_drop = shutdown.clone().drop_guard();
    let running = tokio::spawn(async move { worker.run(shutdown).await });
    let result = work().await;
    drop(stop_on_drop);
    running.await.unwrap().unwrap();
    result
}
