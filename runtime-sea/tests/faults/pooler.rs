//! PostgreSQL behind a real pooler.

use codegen_tests::servers::{PgBouncer, PostgresServer};
use runtime_sea::{JobHandler, RunFilter, RunStatus, Runtime, migration};
use sea_orm::DbErr;
use sea_orm_migration::SchemaManager;
use tokio_util::sync::CancellationToken;

use crate::customer::Customer;
use crate::databases::on_tokio;
use crate::oracle;
use crate::process::LEASE;
use crate::support::{TestBed, until};
use crate::witness;
use crate::workload::{Tick, host};

/// Fewer sessions than one pool has connections, and the least recently used one for each transaction: what a
/// connection left in its session is never found again.
const BY_TRANSACTION: &str = "pool_mode = transaction\ndefault_pool_size = 6\n\
    server_round_robin = 1\nmax_prepared_statements = 200\n\
    ignore_startup_parameters = extra_float_digits";

const SESSIONS: i64 = 6;

/// What a pooler can do that keeps no prepared statements.
const BY_SESSION: &str = "pool_mode = session\ndefault_pool_size = 100\n\
    ignore_startup_parameters = extra_float_digits";

/// What `max_prepared_statements` came with.
const KEEPS_STATEMENTS: (u32, u32) = (1, 21);

#[test]
fn r21_everything_works_behind_a_pooler_that_hands_out_a_session_per_transaction() {
    if let Some(version) = PgBouncer::version().unwrap()
        && version < KEEPS_STATEMENTS
    {
        PgBouncer::skipped(&format!(
            "a session per transaction: PgBouncer {}.{} keeps no prepared statements, 1.21 does (set CODEGEN_TEST_PGBOUNCER)",
            version.0, version.1
        ));
        return;
    }
    behind(BY_TRANSACTION, false, async |bed| {
        let sessions = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND backend_type = 'client backend'";
        let sessions = bed.count(sessions).await;
        assert!(sessions <= SESSIONS, "{sessions} sessions");
    });
}

#[test]
fn r21_everything_works_behind_a_pooler_that_hands_out_sessions() {
    behind(BY_SESSION, true, async |_bed| {});
}

/// Migrates, and has two workers do the whole workload, all through the pooler.
fn behind(settings: &str, notifications: bool, look: impl AsyncFnOnce(&TestBed)) {
    const ROUNDS: u32 = 3;

    let Some(server) = PostgresServer::start().unwrap() else {
        return;
    };
    let Some(pooler) = PgBouncer::start(&server, settings).unwrap() else {
        return;
    };
    let direct = server.fresh_database().unwrap();
    let (_, database) = direct.rsplit_once('/').unwrap();
    let url = pooler.url(database);
    on_tokio(async {
        let process = async || {
            Runtime::builder(runtime_sea::connect(&url).await.unwrap())
                .notifications(notifications)
                .build()
        };
        let migrations = [process().await, process().await];
        let [one, other] = migrations.each_ref().map(migrate);
        let (one, other) = tokio::join!(one, other);
        one.unwrap();
        other.unwrap();
        let bed = TestBed::on(url.clone()).await;
        witness::create_tables(bed.runtime.db()).await;

        let shutdown = CancellationToken::new();
        let mut workers = Vec::new();
        for name in ["one", "other"] {
            let worker = host(&process().await, name).lease(LEASE).build().unwrap();
            let shutdown = shutdown.clone();
            workers.push(tokio::spawn(async move { worker.run(shutdown).await }));
        }
        let customer = Customer::new(process().await);
        for round in 0..ROUNDS {
            customer.ask(round).await;
        }
        let ticks = RunFilter::new().job_type(Tick::TYPE);
        until("the schedule has made two runs", async || {
            let ticks = bed.runtime.jobs().list(ticks.clone()).await.unwrap();
            ticks
                .iter()
                .filter(|it| it.status == RunStatus::Completed)
                .count()
                > 1
        })
        .await;
        assert!(bed.runtime.jobs().pause_schedule("job/tick").await.unwrap());
        until("everything is done", async || {
            oracle::is_settled(bed.runtime.db()).await.unwrap()
        })
        .await;
        look(&bed).await;
        shutdown.cancel();
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
        let verdict = oracle::check(bed.runtime.db()).await;
        assert!(verdict.broken.is_empty(), "{verdict}");
    });
}

async fn migrate(runtime: &Runtime) -> Result<(), DbErr> {
    let db = runtime.db();
    migration::exclusively(db, async || {
        let manager = SchemaManager::new(db);
        migration::events::v1::up(&manager).await?;
        migration::jobs::v1::up(&manager).await?;
        migration::bridge::v1::up(&manager).await
    })
    .await
}
