//! Worker processes: this test binary, started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use runtime_sea::{Runtime, failpoint};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::customer::Customer;
use crate::support::{TestBed, until};
use crate::workload::host;

const URL: &str = "RUNTIME_SEA_WORKER_URL";
const NAME: &str = "RUNTIME_SEA_WORKER_NAME";
const ROUNDS: &str = "RUNTIME_SEA_WORKER_ROUNDS";

/// Soon noticed when it dies, and not taken for dead on a busy machine.
pub(crate) const LEASE: Duration = Duration::from_millis(1500);

/// How long it lets handlers finish that is asked to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// Not a test: the process that the tests start. It does nothing unless it is told the database.
#[test]
fn worker_process() {
    let (Ok(url), Ok(name)) = (std::env::var(URL), std::env::var(NAME)) else {
        return;
    };
    let rounds = std::env::var(ROUNDS).unwrap().parse().unwrap();
    // Nobody leaves processes behind: its input ends with whoever started it.
    std::thread::spawn(|| {
        let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::abort();
    });
    let _ = tracing_subscriber::fmt()
        .with_env_filter("warn,runtime_sea=debug")
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .try_init();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    tokio.block_on(async {
        let runtime = Runtime::new(runtime_sea::connect(&url).await.unwrap());
        let worker = host(&runtime, &name).lease(LEASE).shutdown_grace(GRACE);
        let worker = worker.build().unwrap();
        let mut customer = Customer::new(runtime);
        if let Ok(failpoint) = std::env::var(failpoint::VARIABLE) {
            customer = customer.brief();
            if failpoint.starts_with("stop") {
                customer = customer.that_may_be_stopped();
            }
        }
        let customer = tokio::spawn(async move {
            for round in 0..rounds {
                customer.ask(round).await;
            }
        });
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                while terminate.recv().await.is_some() {
                    shutdown.cancel();
                }
            }
        });
        worker.run(shutdown).await.unwrap();
        customer.abort();
    });
}

/// A worker process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a worker, which also asks for so many rounds of work; `failpoint` as [`failpoint::VARIABLE`] takes it.
    pub(crate) fn start(
        bed: &TestBed,
        name: &str,
        logs: &Path,
        rounds: u32,
        failpoint: Option<&str>,
    ) -> Self {
        let log = logs.join(format!("{name}.log"));
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "process::worker_process", "--nocapture"])
            .env(URL, &bed.url)
            .env(NAME, name)
            .env(ROUNDS, rounds.to_string())
            .env_remove(failpoint::VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file);
        if let Some(failpoint) = failpoint {
            command.env(failpoint::VARIABLE, failpoint);
        }
        Self {
            child: command.spawn().unwrap(),
            log,
        }
    }

    pub(crate) fn kill(&mut self) {
        let _already_dead = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh")
            .args(["-c", &kill])
            .stderr(Stdio::null())
            .status();
        assert!(sent.is_ok(), "there is no shell");
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let pid = self.child.id();
        // The state follows the name in parentheses. Where there is no `/proc`, `ps` knows it.
        if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            return stat
                .rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'));
        }
        let state = Command::new("ps")
            .args(["-o", "state=", "-p", &pid.to_string()])
            .output();
        state.is_ok_and(|output| output.stdout.starts_with(b"T"))
    }

    /// Whether it ended within the time.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let ended = async {
            loop {
                if let Some(status) = self.exited() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(time, ended).await.ok()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn terminate(&mut self) {
        self.signal("TERM");
        let mut status = None;
        until("the process has stopped", async || {
            status = self.exited();
            status.is_some()
        })
        .await;
        assert!(
            status.is_some_and(|it| it.success()),
            "{status:?}\n{}",
            self.last_words()
        );
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
