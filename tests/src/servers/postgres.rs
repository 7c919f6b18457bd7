//! A PostgreSQL of a test's own.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::{Stop, directory, free_port};
use crate::databases::{not_run, postgres_binaries, postgres_execute};
use crate::tool;

/// A PostgreSQL with a throw-away cluster. It stops when this is dropped, or when this process ends, however it ends.
#[derive(Debug)]
pub struct PostgresServer {
    bin: Utf8PathBuf,
    dir: Utf8PathBuf,
    port: u16,
    runs_as_postgres: bool,
    next: AtomicU32,
    watchdog: Child,
}

impl PostgresServer {
    /// Starts a server from installed binaries; `None` (and a line that says so) where there are none.
    ///
    /// # Errors
    /// If it does not start, or if there are no binaries and `CI=true`.
    pub fn start() -> Result<Option<Self>> {
        if let Some(bin) = postgres_binaries() {
            return Self::start_from(&bin).map(Some);
        }
        not_run("a PostgreSQL of the test's own: no binaries are installed (install PostgreSQL)")
            .map_err(anyhow::Error::msg)?;
        Ok(None)
    }

    pub(crate) fn start_from(bin: &Utf8Path) -> Result<Self> {
        let port = free_port()?;
        let dir = directory("codegen-postgres-")?;
        // PostgreSQL refuses to run as root.
        let runs_as_postgres = tool::run(Command::new("id").arg("-u"))?.trim() == "0";
        if runs_as_postgres {
            tool::run(Command::new("chown").args(["postgres", dir.as_str()]))?;
        }
        let data = dir.join("data");
        let mut initdb = as_owner(runs_as_postgres, bin.join("initdb").as_str());
        initdb
            .current_dir(&dir)
            .args(["--auth", "trust", "--username", "postgres", "--no-sync"])
            .args(["--pgdata", data.as_str()]);
        tool::run(&mut initdb)?;
        // Its standard input closes when this process ends, and then it stops the server.
        let watch = "cat >/dev/null; \"$1/pg_ctl\" stop --silent --mode immediate --pgdata \"$2/data\"; rm -rf \"$2\"";
        let watchdog = as_owner(runs_as_postgres, "sh")
            .current_dir("/")
            .args(["-c", watch, "watchdog", bin.as_str(), dir.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self {
            bin: bin.to_owned(),
            dir,
            port,
            runs_as_postgres,
            next: AtomicU32::new(0),
            watchdog,
        };
        server.start_again()?;
        Ok(server)
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a database. It is gone with the server.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn fresh_database(&self) -> Result<String> {
        let name = format!("fresh_{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Executes statements in the maintenance database. Blocks.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn execute(&self, sql: &str) -> Result<()> {
        postgres_execute(&self.url("postgres"), sql)
    }

    /// Stops it, until [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// If it does not stop.
    pub fn stop(&self, stop: Stop) -> Result<()> {
        let mode = match stop {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.pg_ctl(&["stop", "--mode", mode])
    }

    /// Starts it again on the same port, and waits until it answers.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&self) -> Result<()> {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=500 -c shared_buffers=64MB",
            self.port, self.dir
        );
        let log = self.dir.join("log");
        self.pg_ctl(&["start", "--options", &options, "--log", log.as_str()])
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        let data = self.dir.join("data");
        let done = as_owner(self.runs_as_postgres, self.bin.join("pg_ctl").as_str())
            .current_dir(&self.dir)
            .args(arguments)
            .args(["--wait", "--silent", "--pgdata", data.as_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("pg_ctl")?;
        if !done.success() {
            bail!(
                "pg_ctl {}:\n{}",
                arguments.join(" "),
                fs_err::read_to_string(self.dir.join("log")).unwrap_or_default()
            );
        }
        Ok(())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // The watchdog does the rest.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

pub(super) fn as_owner(runs_as_postgres: bool, program: &str) -> Command {
    if runs_as_postgres {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", program]);
        command
    } else {
        Command::new(program)
    }
}
