//! A pooler of a test's own.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;

use super::{PostgresServer, directory, free_port, postgres::as_owner};
use crate::databases::not_run;
use crate::tool;

/// Names the program where it is not Debian's.
const VARIABLE: &str = "CODEGEN_TEST_PGBOUNCER";

/// How long it may take to listen.
const START: Duration = Duration::from_secs(30);

/// A `PgBouncer` in front of a server of a test's own. It stops when this is dropped, or when this process ends, however
/// it ends.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    watchdog: Child,
}

impl PgBouncer {
    /// Starts one; `None` (and a line that says so) where it is not installed. `settings` are lines of its section
    /// `[pgbouncer]`.
    ///
    /// # Errors
    /// If it does not start, or if it is not installed and `CI=true`.
    pub fn start(server: &PostgresServer, settings: &str) -> Result<Option<Self>> {
        let Some(program) = program() else {
            not_run(
                "PostgreSQL behind a pooler: PgBouncer is not installed (install it, or set CODEGEN_TEST_PGBOUNCER)",
            )
            .map_err(anyhow::Error::msg)?;
            return Ok(None);
        };
        let port = free_port()?;
        let dir = directory("codegen-pgbouncer-")?;
        let users = dir.join("users");
        fs_err::write(&users, "\"postgres\" \"\"\n")?;
        let config = dir.join("pgbouncer.ini");
        let behind = server.port();
        fs_err::write(
            &config,
            format!(
                "[databases]\n* = host=127.0.0.1 port={behind}\n\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = trust\nauth_file = {users}\n{settings}\n"
            ),
        )?;
        // The account that it runs under may not see where it lies.
        let program = {
            let copy = dir.join("pgbouncer");
            fs_err::copy(&program, &copy)?;
            copy
        };
        // It refuses to run as root.
        let runs_as_postgres = tool::run(Command::new("id").arg("-u"))?.trim() == "0";
        if runs_as_postgres {
            tool::run(Command::new("chown").args(["-R", "postgres", dir.as_str()]))?;
        }
        // Its standard input closes when this process ends, and then it stops the pooler.
        let watch = "\"$1\" -q \"$2/pgbouncer.ini\" 2>\"$2/log\" </dev/null & \
                     cat >/dev/null; kill $!; wait; rm -rf \"$2\"";
        let watchdog = as_owner(runs_as_postgres, "sh")
            .current_dir("/")
            .args(["-c", watch, "watchdog", program.as_str(), dir.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pooler = Self { port, watchdog };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > START {
                let log = fs_err::read_to_string(dir.join("log")).unwrap_or_default();
                bail!("PgBouncer does not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(pooler))
    }

    /// The version that is installed, such as `(1, 21)`; `None` where none is.
    ///
    /// # Errors
    /// If it does not say.
    pub fn version() -> Result<Option<(u32, u32)>> {
        let Some(program) = program() else {
            return Ok(None);
        };
        let said = tool::run(Command::new(program).arg("--version"))?;
        let number = |text: Option<&str>| text?.parse().ok();
        let mut numbers = said
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("PgBouncer "))
            .unwrap_or_default()
            .split('.');
        let version = number(numbers.next()).zip(number(numbers.next()));
        version
            .with_context(|| format!("`pgbouncer --version` says no version: {said}"))
            .map(Some)
    }

    /// Says that a test is left out although there is a pooler: not every system has one that can do everything.
    pub fn skipped(what: &str) {
        // Not by a macro: the test harness would keep what a passing test prints to itself.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: PostgreSQL behind a pooler, {what}"
        );
    }

    /// The address of the server's database, through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // The watchdog does the rest.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn program() -> Option<Utf8PathBuf> {
    if let Ok(program) = std::env::var(VARIABLE) {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter_map(|dir| Utf8PathBuf::from_path_buf(dir).ok())
        .chain(["/usr/sbin".into()])
        .map(|dir| dir.join("pgbouncer"))
        .find(|program| program.exists())
}
