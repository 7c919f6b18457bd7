//! A database that is away for a while, or may not write.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use codegen_tests::servers::{MySqlServer, PostgresServer, Stop};
use runtime_sea::{JobContext, JobHandler, JobResult, RunStatus, Runtime};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::customer::Customer;
use crate::databases::on_tokio;
use crate::oracle;
use crate::process::Process;
use crate::support::{TestBed, until};
use crate::witness;

const AWAY: Duration = Duration::from_secs(30);

/// What a worker may say while its database is away: its loops are a dozen or two, and each tells a failure once per
/// doubling.
const LINES: usize = 100;

/// A stopping worker gives handlers their grace, 25 s here, and the database a little time.
const BOUND: Duration = Duration::from_secs(50);

/// A server of the test's own.
enum Server {
    Postgres(PostgresServer),
    MariaDb(MySqlServer),
}

impl Server {
    fn postgres() -> Option<Self> {
        PostgresServer::start().unwrap().map(Self::Postgres)
    }

    fn mariadb() -> Option<Self> {
        MySqlServer::start().unwrap().map(Self::MariaDb)
    }

    fn fresh_database(&self) -> String {
        match self {
            Self::Postgres(server) => server.fresh_database().unwrap(),
            Self::MariaDb(server) => server.fresh_database_of_an_app().unwrap(),
        }
    }

    // These block.

    /// As a failover to a standby that is promoted later.
    fn let_write(&self, url: &str, may_write: bool) {
        let database = url.rsplit_once('/').unwrap().1;
        tokio::task::block_in_place(|| match self {
            // Every session is a new one.
            Self::Postgres(server) => {
                let read_only = if may_write { "off" } else { "on" };
                for sql in [
                    format!(
                        "ALTER DATABASE {database} SET default_transaction_read_only = {read_only}"
                    ),
                    format!(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = '{database}'"
                    ),
                ] {
                    server.execute(&sql).unwrap();
                }
            }
            // Sessions stay.
            Self::MariaDb(server) => {
                let read_only = format!("SET GLOBAL read_only = {}", u8::from(!may_write));
                server.execute(&read_only).unwrap();
            }
        });
    }

    fn stop(&self) {
        tokio::task::block_in_place(|| match self {
            Self::Postgres(server) => server.stop(Stop::Immediate).unwrap(),
            Self::MariaDb(server) => server.stop(Stop::Immediate).unwrap(),
        });
    }

    fn start_again(&self) {
        tokio::task::block_in_place(|| match self {
            Self::Postgres(server) => server.start_again().unwrap(),
            Self::MariaDb(server) => server.start_again().unwrap(),
        });
    }
}

#[test]
fn r13_a_postgres_that_is_away_for_half_a_minute_is_waited_for_without_a_flood_of_lines() {
    on_tokio(is_waited_for(Server::postgres(), Outage::Away));
}

#[test]
fn r13_a_mariadb_that_is_away_for_half_a_minute_is_waited_for_without_a_flood_of_lines() {
    on_tokio(is_waited_for(Server::mariadb(), Outage::Away));
}

#[test]
fn r16_a_postgres_that_may_not_write_is_waited_for_without_a_flood_of_lines() {
    on_tokio(is_waited_for(Server::postgres(), Outage::ReadOnly));
}

#[test]
fn r16_a_mariadb_that_may_not_write_is_waited_for_without_a_flood_of_lines() {
    on_tokio(is_waited_for(Server::mariadb(), Outage::ReadOnly));
}

#[derive(Clone, Copy)]
enum Outage {
    Away,
    ReadOnly,
}

async fn is_waited_for(server: Option<Server>, outage: Outage) {
    let Some(server) = server else { return };
    let url = tokio::task::block_in_place(|| server.fresh_database());
    let bed = TestBed::on(url).await;
    witness::create_tables(bed.runtime.db()).await;
    let logs = tempfile::tempdir().unwrap();
    let mut worker = Process::start(&bed, "worker", logs.path(), 0, None);
    let customer = Customer::new(bed.runtime.clone());
    let is_settled = async || oracle::is_settled(bed.runtime.db()).await.unwrap_or(false);
    customer.ask(0).await;
    let half_way = lines(logs.path()).len();
    match outage {
        Outage::Away => server.stop(),
        Outage::ReadOnly => server.let_write(&bed.url, false),
    }
    tokio::time::sleep(AWAY).await;
    match outage {
        Outage::Away => server.start_again(),
        Outage::ReadOnly => server.let_write(&bed.url, true),
    }
    customer.ask(1).await;
    until("everything is done", is_settled).await;
    assert!(worker.exited().is_none(), "{}", worker.last_words());
    let lines = lines(logs.path()).split_off(half_way);
    worker.terminate().await;
    let verdict = oracle::check(bed.runtime.db()).await;
    assert!(verdict.broken.is_empty(), "{verdict}");
    assert!(!lines.is_empty(), "it was not away");
    assert!(
        lines.len() < LINES,
        "{}:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

/// The warnings and errors of the worker's log, but for those that sqlx has for each connection that it loses.
fn lines(logs: &Path) -> Vec<String> {
    let of_connection = ["sqlx::postgres::notice", "sqlx_core::pool::connection"];
    let log = std::fs::read_to_string(logs.join("worker.log")).unwrap();
    log.lines()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .filter(|line| !of_connection.iter().any(|it| line.contains(it)))
        .map(str::to_owned)
        .collect()
}

#[test]
fn r10_a_shutdown_while_postgres_is_away_takes_bounded_time() {
    on_tokio(shut_down_without(Server::postgres()));
}

#[test]
fn r10_a_shutdown_while_mariadb_is_away_takes_bounded_time() {
    on_tokio(shut_down_without(Server::mariadb()));
}

async fn shut_down_without(server: Option<Server>) {
    let Some(server) = server else { return };
    let url = tokio::task::block_in_place(|| server.fresh_database());
    let bed = TestBed::on(url).await;
    witness::create_tables(bed.runtime.db()).await;
    let logs = tempfile::tempdir().unwrap();
    let mut worker = Process::start(&bed, "worker", logs.path(), 0, None);
    Customer::new(bed.runtime.clone()).ask(0).await;
    server.stop();
    worker.signal("TERM");
    let status = worker.ends_within(BOUND).await;
    assert!(
        status.is_some_and(|it| it.success()),
        "{status:?}\n{}",
        worker.last_words()
    );
}

/// Returns when it may.
struct Gate(Arc<Semaphore>);

impl JobHandler for Gate {
    const TYPE: &'static str = "gate";
    type Input = ();
    type Output = u32;

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<u32> {
        self.0.acquire().await?.forget();
        Ok(7)
    }
}

#[test]
fn r16_a_postgres_that_may_not_write_for_a_while_loses_no_result() {
    on_tokio(no_result_is_lost(Server::postgres()));
}

#[test]
fn r16_a_mariadb_that_may_not_write_for_a_while_loses_no_result() {
    on_tokio(no_result_is_lost(Server::mariadb()));
}

async fn no_result_is_lost(server: Option<Server>) {
    let Some(server) = server else { return };
    let url = tokio::task::block_in_place(|| server.fresh_database());
    let bed = TestBed::on(url.clone()).await;
    let go = Arc::new(Semaphore::new(0));
    let runtime = Runtime::new(runtime_sea::connect(&url).await.unwrap());
    // Nobody takes the run over meanwhile.
    let lease = Duration::from_secs(60);
    let builder = runtime.worker().job(Gate(go.clone())).lease(lease);
    let worker = builder.build().unwrap();
    let shutdown = CancellationToken::new();
    let working = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    let jobs = bed.runtime.jobs();
    let run = jobs.start::<Gate>(bed.runtime.db(), ()).await.unwrap();
    bed.until_status(run.run_id, RunStatus::Running).await;
    server.let_write(&url, false);
    go.add_permits(1);
    // Longer than a refused result is tried.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(bed.status(run.run_id).await, RunStatus::Running);
    server.let_write(&url, true);
    bed.until_status(run.run_id, RunStatus::Completed).await;
    let run = bed.run(run.run_id).await.run;
    assert_eq!((run.output, run.attempt), (Some(7.into()), 1));
    shutdown.cancel();
    working.await.unwrap().unwrap();
}
