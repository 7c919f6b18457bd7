//! MySQL and MariaDB.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::mysql::MySqlDatabaseError;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};

use super::{CONNECT, CROWDED, Cleanup, TestDatabase, not_run};
use crate::servers::{MySqlBinaries, MySqlServer};

/// A fresh database on MySQL or MariaDB, or `None` (and a line that says so) if there is no server.
///
/// # Errors
/// If the server refuses, or if there is none and `CI=true`.
pub fn mysql() -> Result<Option<TestDatabase>> {
    mysql_server()?.map(fresh).transpose()
}

/// A fresh database on the MySQL server that `DATABASE_URL` names, else like [`mysql()`].
///
/// # Errors
/// If the server refuses.
pub fn mysql_from_environment() -> Result<Option<TestDatabase>> {
    match std::env::var("DATABASE_URL") {
        Ok(server) if server.starts_with("mysql") => fresh(&server).map(Some),
        _ => mysql(),
    }
}

/// The address of a server's own database: of `CODEGEN_TEST_MYSQL_URL`, of a MySQL started from the `mysqld` that
/// `CODEGEN_TEST_MYSQLD` names, of a local server whose root has no password, or of a MariaDB started from installed
/// binaries. What is started stops with this process.
///
/// # Errors
/// If there is none and `CI=true`, or if what was named or found does not work.
pub fn mysql_server() -> Result<Option<&'static str>> {
    static SERVER: OnceLock<Result<Option<String>, String>> = OnceLock::new();
    let server = SERVER
        .get_or_init(|| {
            let found = find().map_err(|error| format!("{error:#}"))?;
            if found.is_none() {
                not_run(
                    "MySQL: no server answers and no binaries are installed (set CODEGEN_TEST_MYSQL_URL, or install MariaDB)",
                )?;
            }
            Ok(found)
        })
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(server.as_deref())
}

fn fresh(server: &str) -> Result<TestDatabase> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "codegen_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    // A crashed test process with the same id may have left one behind.
    execute(
        server,
        &format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}"),
    )?;
    let (base, _) = server
        .rsplit_once('/')
        .context("the server's address names no database")?;
    Ok(TestDatabase {
        url: format!("{base}/{name}"),
        cleanup: Cleanup::MySql {
            server: server.to_owned(),
            name,
        },
    })
}

/// Drops a database that [`fresh`] has made.
pub(super) fn drop_database(server: &str, name: &str) -> Result<()> {
    execute(server, &format!("DROP DATABASE IF EXISTS {name}"))
}

fn find() -> Result<Option<String>> {
    if let Ok(url) = std::env::var("CODEGEN_TEST_MYSQL_URL") {
        execute(&url, "SELECT 1").context("CODEGEN_TEST_MYSQL_URL")?;
        return Ok(Some(url));
    }
    if let Some(binaries) = MySqlServer::named() {
        return start(binaries).map(Some);
    }
    let url = "mysql://root@127.0.0.1:3306/mysql";
    if execute(url, "SELECT 1").is_ok() {
        return Ok(Some(url.to_owned()));
    }
    MySqlServer::binaries().map(start).transpose()
}

// On a thread of its own, because a test may ask from within its own Tokio runtime.
pub(crate) fn execute(url: &str, sql: &str) -> Result<()> {
    let work = || -> Result<()> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async {
                let start = Instant::now();
                let mut connection = loop {
                    let connect = MySqlConnection::connect(url);
                    match tokio::time::timeout(CONNECT, connect).await? {
                        // Other tests have all the connections that the server gives; they will end.
                        Err(error) if is_crowded(&error) && start.elapsed() < CROWDED => {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                        connection => break connection?,
                    }
                };
                connection.execute(AssertSqlSafe(sql)).await?;
                connection.close().await?;
                Ok(())
            })
    };
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| bail!("the connection panicked"))
}

fn is_crowded(error: &sqlx::Error) -> bool {
    const TOO_MANY_CONNECTIONS: u16 = 1040;
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
        .is_some_and(|error| error.number() == TOO_MANY_CONNECTIONS)
}

// It stops when this process ends, however it ends.
fn start(binaries: MySqlBinaries) -> Result<String> {
    let server = MySqlServer::start_from(binaries)?;
    let url = server.url("mysql");
    std::mem::forget(server);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_started_from_binaries_answers() -> Result<()> {
        let Some(binaries) = MySqlServer::binaries() else {
            return not_run("MariaDB's binaries are not installed").map_err(anyhow::Error::msg);
        };
        let url = start(binaries)?;
        execute(&url, "CREATE DATABASE fresh")
    }

    #[test]
    fn each_database_is_a_new_one() -> Result<()> {
        let (Some(a), Some(b)) = (mysql()?, mysql()?) else {
            return Ok(());
        };
        execute(&a.url, "CREATE TABLE t (id INT)")?;
        execute(&b.url, "CREATE TABLE t (id INT)")
    }
}
