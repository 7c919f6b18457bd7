//! Servers of a test's own, which it may stop, kill and start again.

mod mysql;
mod pgbouncer;
mod postgres;

use anyhow::Result;
use camino::Utf8PathBuf;

pub(crate) use mysql::MySqlBinaries;
pub use mysql::MySqlServer;
pub use pgbouncer::PgBouncer;
pub use postgres::PostgresServer;

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It ends every session and shuts down in order.
    Fast,
    /// It drops everything, as in a crash, and recovers at the next start.
    Immediate,
}

/// A port that nobody listens on.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// A directory that the server's watchdog removes.
fn directory(prefix: &str) -> Result<Utf8PathBuf> {
    let dir = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
    Utf8PathBuf::from_path_buf(dir)
        .map_err(|_| anyhow::anyhow!("the temporary directory is not UTF-8"))
}
