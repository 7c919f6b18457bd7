//! Several worker processes, killed, stopped and terminated at random while the database loses its sessions and is
//! stopped and started again. At the end the oracle finds no promise broken.
//!
//! `CHAOS_SECONDS` says for how long (40 unless set), `CHAOS_SEED` repeats the choices of an earlier run.

use std::ops::Range;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use codegen_tests::databases;
use codegen_tests::servers::{MySqlServer, PostgresServer, Stop};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::ConnectionTrait;

use crate::customer::Customer;
use crate::databases::on_tokio;
use crate::oracle;
use crate::process::Process;
use crate::support::TestBed;
use crate::witness;

const WORKERS: usize = 4;

/// How long the workers may take to finish when nothing disturbs them any more.
const CALM: Duration = Duration::from_secs(120);

#[test]
fn on_sqlite_nothing_is_lost_repeated_or_mixed_up() {
    let database = databases::sqlite().unwrap();
    on_tokio(chaos(&database.url, &Server::None));
}

#[test]
fn on_postgres_nothing_is_lost_repeated_or_mixed_up() {
    if let Some(server) = PostgresServer::start().unwrap() {
        let url = server.fresh_database().unwrap();
        on_tokio(chaos(&url, &Server::Postgres(server)));
    }
}

#[test]
fn on_mariadb_nothing_is_lost_repeated_or_mixed_up() {
    if let Some(server) = MySqlServer::start().unwrap() {
        let url = server.fresh_database().unwrap();
        on_tokio(chaos(&url, &Server::MariaDb(server)));
    }
}

enum Server {
    /// The database is a file.
    None,
    Postgres(PostgresServer),
    MariaDb(MySqlServer),
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Terminate,
    Pause,
    EndSessions,
    Restart(Stop),
}

impl Server {
    /// What may happen, each as often as it stands here.
    fn faults(&self) -> &'static [Fault] {
        use Fault::{EndSessions, Kill, Pause, Restart, Terminate};

        match self {
            // A paused process may have the write lock, and then everybody pauses.
            Self::None => &[Kill, Kill, Kill, Terminate, Pause],
            Self::Postgres(_) | Self::MariaDb(_) => &[
                Kill,
                Kill,
                Kill,
                Kill,
                Terminate,
                Terminate,
                Pause,
                Pause,
                Pause,
                EndSessions,
                EndSessions,
                EndSessions,
                Restart(Stop::Fast),
                Restart(Stop::Immediate),
            ],
        }
    }

    fn restart(&self, stop: Stop, pause: Duration) {
        match self {
            Self::None => {}
            Self::Postgres(server) => {
                server.stop(stop).unwrap();
                std::thread::sleep(pause);
                server.start_again().unwrap();
            }
            Self::MariaDb(server) => {
                server.stop(stop).unwrap();
                std::thread::sleep(pause);
                server.start_again().unwrap();
            }
        }
    }
}

/// One place for a worker process; whoever dies is replaced.
struct Slot<'a> {
    bed: &'a TestBed,
    logs: &'a Path,
    number: usize,
    starts: u32,
    process: Process,
}

impl<'a> Slot<'a> {
    fn new(bed: &'a TestBed, logs: &'a Path, number: usize) -> Self {
        Self {
            bed,
            logs,
            number,
            starts: 1,
            process: Process::start(bed, &format!("worker {number}.1"), logs, 0, None),
        }
    }

    fn replace(&mut self) {
        self.starts += 1;
        let name = format!("worker {}.{}", self.number, self.starts);
        self.process = Process::start(self.bed, &name, self.logs, 0, None);
    }

    // A worker waits a database out, but one that starts without one may give up.
    fn replace_if_gone(&mut self) {
        if let Some(status) = self.process.exited() {
            tracing::info!(number = self.number, %status, "gone");
            self.replace();
        }
    }
}

async fn chaos(url: &str, server: &Server) {
    let seed = number("CHAOS_SEED").unwrap_or_else(rand::random);
    let seconds = number("CHAOS_SECONDS").unwrap_or(40);
    let mut random = StdRng::seed_from_u64(seed);
    let bed = TestBed::on(url.to_owned()).await;
    witness::create_tables(bed.runtime.db()).await;
    let logs = tempfile::tempdir().unwrap();
    let mut slots: Vec<_> = (0..WORKERS)
        .map(|number| Slot::new(&bed, logs.path(), number))
        .collect();

    let until = Instant::now() + Duration::from_secs(seconds);
    let customer = tokio::spawn({
        let customer = Customer::new(bed.runtime.clone());
        async move {
            let mut round = 0;
            while Instant::now() < until {
                customer.ask(round).await;
                round += 1;
                // About as much as is done meanwhile: the rest has to be waited for.
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            round
        }
    });
    let mut faults = 0;
    while Instant::now() < until {
        pause(&mut random, 200..1200).await;
        for slot in &mut slots {
            slot.replace_if_gone();
        }
        let possible = server.faults();
        let fault = possible[random.random_range(0..possible.len())];
        let victim = &mut slots[random.random_range(0..WORKERS)];
        tracing::info!(?fault, victim = victim.number, "fault");
        faults += 1;
        match fault {
            Fault::Kill => {
                victim.process.kill();
                victim.replace();
            }
            Fault::Terminate => {
                victim.process.signal("TERM");
            }
            Fault::Pause => {
                victim.process.signal("STOP");
                pause(&mut random, 100..4000).await;
                victim.process.signal("CONT");
            }
            Fault::EndSessions => end_sessions(&bed, server).await,
            Fault::Restart(stop) => {
                let away = Duration::from_millis(random.random_range(0..2500));
                tokio::task::block_in_place(|| server.restart(stop, away));
            }
        }
    }
    let rounds = customer.await.unwrap();
    let calm = Instant::now();
    let mut settled = false;
    while !settled && calm.elapsed() < CALM {
        for slot in &mut slots {
            slot.replace_if_gone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        settled = oracle::is_settled(bed.runtime.db()).await.unwrap_or(false);
    }
    let took = calm.elapsed();
    for slot in &mut slots {
        slot.process.signal("TERM");
    }
    for slot in &mut slots {
        let status = slot.process.ends_within(CALM).await;
        assert!(
            status.is_some_and(|it: ExitStatus| it.success()),
            "{status:?} (CHAOS_SEED={seed})\n{}",
            slot.process.last_words()
        );
    }
    let verdict = oracle::check(bed.runtime.db()).await;
    let report = format!(
        "CHAOS_SEED={seed}: {rounds} rounds, {faults} faults, finished after {took:?}: {verdict}"
    );
    // Shown where the test fails, and with `--nocapture`.
    tracing::info!("{report}");
    assert!(settled && verdict.broken.is_empty(), "{report}");
    // A stale effect is held against nobody: were most of them stale, the rest would prove little.
    let counts = verdict.effects - verdict.stale;
    assert!(verdict.effects > 0 && counts >= verdict.stale, "{report}");
}

async fn pause(random: &mut StdRng, milliseconds: Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(milliseconds))).await;
}

/// About half of the sessions that anybody has, the test's own included. The database may be away just now.
async fn end_sessions(bed: &TestBed, server: &Server) {
    let db = bed.runtime.db();
    match server {
        Server::None => {}
        Server::Postgres(_) => {
            let _ = db
                .execute_unprepared(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5",
                )
                .await;
        }
        Server::MariaDb(_) => {
            let sessions = db
                .query_all_raw(sea_orm::Statement::from_string(
                    sea_orm::DbBackend::MySql,
                    "SELECT CAST(ID AS SIGNED) AS id FROM information_schema.processlist \
                     WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND RAND() < 0.5",
                ))
                .await
                .unwrap_or_default();
            for session in sessions {
                let id: i64 = session.try_get("", "id").unwrap();
                // It may be gone already.
                let _ = db.execute_unprepared(&format!("KILL {id}")).await;
            }
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
