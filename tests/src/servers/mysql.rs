//! A MariaDB or MySQL of a test's own.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;

use super::{Stop, directory, free_port};
use crate::databases::{mysql_execute, not_run};
use crate::tool;

/// How long a started server may take to answer.
const START: Duration = Duration::from_secs(60);

/// Names the `mysqld` of MySQL itself, which takes the place of MariaDB then.
const VARIABLE: &str = "CODEGEN_TEST_MYSQLD";

/// What servers are made from.
#[derive(Debug, Clone)]
pub(crate) enum MySqlBinaries {
    /// `mariadb-install-db` and `mariadbd`.
    MariaDb {
        install: Utf8PathBuf,
        program: Utf8PathBuf,
    },
    /// `mysqld`.
    MySql { program: Utf8PathBuf },
}

/// A MariaDB with throw-away data, or a MySQL where `CODEGEN_TEST_MYSQLD` names its `mysqld`. It stops when this is
/// dropped, or when this process ends, however it ends.
#[derive(Debug)]
pub struct MySqlServer {
    binaries: MySqlBinaries,
    dir: Utf8PathBuf,
    port: u16,
    runs_as_root: bool,
    next: AtomicU32,
    server: Mutex<Option<Child>>,
    watchdog: Child,
}

impl MySqlServer {
    /// Starts a server from installed binaries; `None` (and a line that says so) where there are none.
    ///
    /// # Errors
    /// If it does not start, or if there are no binaries and `CI=true`.
    pub fn start() -> Result<Option<Self>> {
        if let Some(binaries) = Self::binaries() {
            return Self::start_from(binaries).map(Some);
        }
        not_run("a MariaDB of the test's own: no binaries are installed (install MariaDB)")
            .map_err(anyhow::Error::msg)?;
        Ok(None)
    }

    pub(crate) fn binaries() -> Option<MySqlBinaries> {
        if let Some(program) = Self::named() {
            return Some(program);
        }
        let find = |name: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path)
                .filter_map(|dir| Utf8PathBuf::from_path_buf(dir).ok())
                .chain(["/usr/sbin".into()])
                .map(|dir| dir.join(name))
                .find(|program| program.exists())
        };
        Some(MySqlBinaries::MariaDb {
            install: find("mariadb-install-db")?,
            program: find("mariadbd")?,
        })
    }

    /// The MySQL that the environment asks for.
    pub(crate) fn named() -> Option<MySqlBinaries> {
        let program = std::env::var(VARIABLE).ok()?.into();
        Some(MySqlBinaries::MySql { program })
    }

    pub(crate) fn start_from(binaries: MySqlBinaries) -> Result<Self> {
        let dir = directory("codegen-mysql-")?;
        let runs_as_root = tool::run(Command::new("id").arg("-u"))?.trim() == "0";
        // Its standard input closes when this process ends, and then it stops the server.
        let watch = "cat >/dev/null; kill -KILL \"$(cat \"$1/pid\")\"; rm -rf \"$1\"";
        let watchdog = Command::new("sh")
            .args(["-c", watch, "watchdog", dir.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self {
            binaries,
            dir,
            port: free_port()?,
            runs_as_root,
            next: AtomicU32::new(0),
            server: Mutex::default(),
            watchdog,
        };
        let mut initialise = match &server.binaries {
            MySqlBinaries::MariaDb { install, .. } => {
                let mut initialise = Command::new(install);
                initialise
                    .args(["--no-defaults", "--auth-root-authentication-method=normal"])
                    .arg("--skip-test-db");
                initialise
            }
            MySqlBinaries::MySql { program } => {
                let mut initialise = Command::new(program);
                initialise.args(["--no-defaults", "--initialize-insecure"]);
                initialise
            }
        };
        initialise.arg(server.data()).args(server.user());
        server.keep_to_itself(&mut initialise);
        tool::run(&mut initialise)?;
        server.start_again()?;
        Ok(server)
    }

    fn data(&self) -> String {
        format!("--datadir={}", self.dir.join("data"))
    }

    // It refuses to run as root unless it is told so.
    fn user(&self) -> Option<&'static str> {
        self.runs_as_root.then_some("--user=root")
    }

    // A server that starts removes what it takes for its own leftovers from the directory for temporary files.
    fn keep_to_itself(&self, command: &mut Command) {
        command.env("TMPDIR", &self.dir);
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
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
        mysql_execute(&self.url("mysql"), &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Executes statements as the administrator.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn execute(&self, sql: &str) -> Result<()> {
        mysql_execute(&self.url("mysql"), sql)
    }

    /// Makes a database as [`fresh_database`](Self::fresh_database) does, whose address is that of an account without
    /// an administrator's rights: a server that is read-only takes nothing from it.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn fresh_database_of_an_app(&self) -> Result<String> {
        let url = self.fresh_database()?;
        let name = url.rsplit('/').next().unwrap_or_default();
        self.execute(&format!("CREATE USER {name}@'%'"))?;
        self.execute(&format!("GRANT ALL ON {name}.* TO {name}@'%'"))?;
        Ok(url.replace("root@", &format!("{name}@")))
    }

    /// Stops it, until [`start_again`](Self::start_again).
    ///
    /// # Errors
    /// If it cannot be told to stop.
    pub fn stop(&self, stop: Stop) -> Result<()> {
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut server) = server else {
            return Ok(());
        };
        let signal = match stop {
            Stop::Fast => "TERM",
            Stop::Immediate => "KILL",
        };
        let kill = format!("kill -{signal} {}", server.id());
        tool::run(Command::new("sh").args(["-c", &kill]))?;
        server.wait()?;
        Ok(())
    }

    /// Starts it again on the same port, and waits until it answers.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&self) -> Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))
            .context("the server's log")?;
        let (program, special) = match &self.binaries {
            MySqlBinaries::MariaDb { program, .. } => (program, None),
            // A port of its second protocol, which another server may have.
            MySqlBinaries::MySql { program } => (program, Some("--mysqlx=OFF")),
        };
        let mut command = Command::new(program);
        self.keep_to_itself(&mut command);
        let mut server = command
            .args([
                "--no-defaults",
                &self.data(),
                "--bind-address=127.0.0.1",
                &format!("--port={}", self.port),
                &format!("--socket={}", self.dir.join("socket")),
                &format!("--pid-file={}", self.dir.join("pid")),
            ])
            // What is committed survives the server, but need not survive a crash of this machine.
            .args(["--innodb-flush-log-at-trx-commit=2", "--skip-log-bin"])
            .arg("--max-connections=1000")
            .args(special)
            .args(self.user())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let began = Instant::now();
        while let Err(error) = mysql_execute(&self.url("mysql"), "SELECT 1") {
            if began.elapsed() > START || server.try_wait()?.is_some() {
                let log = fs_err::read_to_string(self.dir.join("log")).unwrap_or_default();
                bail!("MariaDB or MySQL does not start: {error:#}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }
}

impl Drop for MySqlServer {
    fn drop(&mut self) {
        // The watchdog removes its files.
        let _ = self.stop(Stop::Immediate);
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}
