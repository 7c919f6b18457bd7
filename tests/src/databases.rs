//! Databases for tests: found, or started from installed binaries; one fresh database per test.
//!
//! A database that cannot be had is reported as `NOT RUN`; with `CI=true` that is a failure.

mod mysql;
mod pgvector;
mod texts;

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use postgres::NoTls;
use postgres::error::SqlState;

use crate::servers::PostgresServer;

pub(crate) use mysql::execute as mysql_execute;
pub use mysql::{mysql, mysql_from_environment, mysql_server};
pub use pgvector::postgres_with_pgvector;
pub(crate) use texts::{mysql as mysql_texts, postgres as postgres_texts, sqlite as sqlite_texts};

/// How long a server may take to answer, on a machine that has much else to do.
const CONNECT: Duration = Duration::from_secs(30);

/// How long a test waits for a server that has no connection left.
const CROWDED: Duration = Duration::from_secs(60);

/// A database that exists until this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its address, as `DATABASE_URL` takes it.
    pub url: String,
    cleanup: Cleanup,
}

#[derive(Debug)]
enum Cleanup {
    Directory { _dir: tempfile::TempDir },
    MySql { server: String, name: String },
    Postgres { server: String, name: String },
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A database that stays behind on a test server harms nobody.
        let _ = match &self.cleanup {
            Cleanup::Directory { .. } => Ok(()),
            Cleanup::MySql { server, name } => mysql::drop_database(server, name),
            Cleanup::Postgres { server, name } => postgres_execute(
                server,
                &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            ),
        };
    }
}

/// A fresh SQLite file.
///
/// # Errors
/// If no temporary directory can be made.
pub fn sqlite() -> Result<TestDatabase> {
    let dir = tempfile::tempdir()?;
    let path = Utf8Path::from_path(dir.path()).context("the temporary directory is not UTF-8")?;
    Ok(TestDatabase {
        url: format!("sqlite://{}?mode=rwc", path.join("test.db")),
        cleanup: Cleanup::Directory { _dir: dir },
    })
}

/// A fresh PostgreSQL database, or `None` (and a line that says so) if there is no server.
///
/// # Errors
/// If the server refuses, or if there is none and `CI=true`.
pub fn postgres() -> Result<Option<TestDatabase>> {
    postgres_server()?.map(fresh).transpose()
}

fn fresh(server: &str) -> Result<TestDatabase> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "codegen_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    // A crashed test process with the same id may have left one behind.
    postgres_execute(
        server,
        &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
    )?;
    postgres_execute(server, &format!("CREATE DATABASE {name}"))?;
    let (base, _) = server
        .rsplit_once('/')
        .context("the server's address names no database")?;
    Ok(TestDatabase {
        url: format!("{base}/{name}"),
        cleanup: Cleanup::Postgres {
            server: server.to_owned(),
            name,
        },
    })
}

/// A fresh database on the PostgreSQL server that `DATABASE_URL` names, else like [`postgres()`].
///
/// # Errors
/// If the server refuses.
pub fn postgres_from_environment() -> Result<Option<TestDatabase>> {
    match std::env::var("DATABASE_URL") {
        Ok(server) if server.starts_with("postgres") => fresh(&server).map(Some),
        _ => postgres(),
    }
}

/// The address of a PostgreSQL server's maintenance database: of `CODEGEN_TEST_POSTGRES_URL`, of a local server
/// that trusts us, or of one started from installed binaries that stops with this process.
///
/// # Errors
/// If there is none and `CI=true`, or if what was named or found does not work.
pub fn postgres_server() -> Result<Option<&'static str>> {
    static SERVER: OnceLock<Result<Option<String>, String>> = OnceLock::new();
    let server = SERVER
        .get_or_init(|| {
            let found = find_postgres().map_err(|error| format!("{error:#}"))?;
            if found.is_none() {
                not_run(
                    "PostgreSQL: no server answers and no binaries are installed (set CODEGEN_TEST_POSTGRES_URL, or install PostgreSQL)",
                )?;
            }
            Ok(found)
        })
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(server.as_deref())
}

/// Says that something is left out; in CI, where everything is required, that is an error.
pub(crate) fn not_run(what: &str) -> Result<(), String> {
    if std::env::var("CI").as_deref() == Ok("true") {
        return Err(what.to_owned());
    }
    // Not by a macro: the test harness would keep what a passing test prints to itself.
    writeln!(std::io::stderr(), "NOT RUN: {what}").map_err(|error| error.to_string())
}

fn find_postgres() -> Result<Option<String>> {
    if let Ok(url) = std::env::var("CODEGEN_TEST_POSTGRES_URL") {
        postgres_execute(&url, "SELECT 1").context("CODEGEN_TEST_POSTGRES_URL")?;
        return Ok(Some(url));
    }
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    for user in ["postgres", &user] {
        let url = format!("postgres://{user}@127.0.0.1:5432/postgres");
        if postgres_execute(&url, "SELECT 1").is_ok() {
            return Ok(Some(url));
        }
    }
    postgres_binaries()
        .map(|bin| start_postgres(&bin))
        .transpose()
}

pub(crate) fn postgres_execute(url: &str, sql: &str) -> Result<()> {
    postgres_client(url)?.batch_execute(sql)?;
    Ok(())
}

fn postgres_client(url: &str) -> Result<postgres::Client> {
    let mut config: postgres::Config = url.parse()?;
    config.connect_timeout(CONNECT);
    let start = Instant::now();
    loop {
        match config.connect(NoTls) {
            // Other tests have all the connections that the server gives; they will end.
            Err(error)
                if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
                    && start.elapsed() < CROWDED =>
            {
                std::thread::sleep(Duration::from_millis(100));
            }
            client => break Ok(client?),
        }
    }
}

/// The directory of `initdb` and `pg_ctl`: Debian's newest version, or that of the `PATH`.
pub(crate) fn postgres_binaries() -> Option<Utf8PathBuf> {
    let mut found: Vec<(u32, Utf8PathBuf)> = Utf8Path::new("/usr/lib/postgresql")
        .read_dir_utf8()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let bin = entry.path().join("bin");
            let version = entry.file_name().parse().ok()?;
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin).or_else(|| {
        std::env::split_paths(&std::env::var_os("PATH")?)
            .filter_map(|dir| Utf8PathBuf::from_path_buf(dir).ok())
            .find(|dir| dir.join("initdb").exists() && dir.join("pg_ctl").exists())
    })
}

/// Starts a server that stops when this process ends, however it ends.
fn start_postgres(bin: &Utf8Path) -> Result<String> {
    let server = PostgresServer::start_from(bin)?;
    let url = server.url("postgres");
    std::mem::forget(server);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_started_from_binaries_answers() -> Result<()> {
        let Some(bin) = postgres_binaries() else {
            return not_run("PostgreSQL's binaries are not installed").map_err(anyhow::Error::msg);
        };
        let url = start_postgres(&bin)?;
        postgres_execute(&url, "CREATE DATABASE fresh")
    }

    #[test]
    fn each_database_is_a_new_one() -> Result<()> {
        let (Some(a), Some(b)) = (postgres()?, postgres()?) else {
            return Ok(());
        };
        postgres_execute(&a.url, "CREATE TABLE t (id INT)")?;
        postgres_execute(&b.url, "CREATE TABLE t (id INT)")
    }
}
