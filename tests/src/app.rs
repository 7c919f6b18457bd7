//! A generated app as a running process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::tool;

/// Who every request is taken to come from.
pub const DEVELOPER: &str = "018f0000-0000-7000-8000-000000000001";
/// Whom every request is taken to act for.
const TENANT: &str = "acme";
/// How long an app may take to say where it listens.
const START: Duration = Duration::from_secs(60);
/// How long an app may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// How long [`App::wait_for`] waits for what it was told to expect.
const PATIENCE: Duration = Duration::from_secs(60);

/// A generated app's binary with its settings.
#[derive(Debug, Clone)]
pub struct App {
    /// The executable.
    pub binary: Utf8PathBuf,
    /// Where it runs.
    pub workspace: Utf8PathBuf,
    /// Its database.
    pub database_url: String,
}

impl App {
    /// A run of the binary with these words, to its end; returns its standard output.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        self.run_with(words, &[])
    }

    /// The same with other variables in its environment.
    ///
    /// # Errors
    /// If it fails; with all that it printed.
    pub fn run_with(&self, words: &[&str], environment: &[(&str, &str)]) -> Result<String> {
        let environment = environment.iter().copied();
        tool::run(self.command().args(words).envs(environment))
    }

    /// Like [`App::run`] with `--json`, parsed.
    ///
    /// # Errors
    /// If it fails or prints no JSON.
    pub fn json(&self, words: &[&str]) -> Result<Value> {
        let mut words = words.to_vec();
        words.push("--json");
        let text = self.run(&words)?;
        serde_json::from_str(&text).with_context(|| format!("no JSON from {words:?}: {text}"))
    }

    /// Starts `serve` on a free port and waits until it listens.
    ///
    /// # Errors
    /// If it stops or stays silent instead.
    pub fn serve(&self) -> Result<Server> {
        self.serve_with(&[])
    }

    /// The same without a worker.
    ///
    /// # Errors
    /// If it stops or stays silent instead.
    pub fn serve_only(&self) -> Result<Server> {
        self.listening(&["serve", "--no-worker"], &[])
    }

    /// Starts `serve` with other variables in its environment.
    ///
    /// # Errors
    /// If it stops or stays silent instead.
    pub fn serve_with(&self, environment: &[(&str, &str)]) -> Result<Server> {
        self.listening(&["serve"], environment)
    }

    fn listening(&self, words: &[&str], environment: &[(&str, &str)]) -> Result<Server> {
        let log = self.log("serve");
        let environment = environment.iter().copied();
        let mut process = self.start(
            self.command()
                .args(words)
                .env("HOST", "127.0.0.1")
                .env("DEVELOPMENT_ACTOR", DEVELOPER)
                .env("DEVELOPMENT_TENANT", TENANT)
                .env("PORT", "0")
                .envs(environment)
                .stdout(Stdio::piped()),
            &log,
        )?;
        let stdout = process
            .child
            .stdout
            .take()
            .context("the app has no standard output")?;
        let (found, address) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(at) = line.find("http://") {
                    let address = line[at..].split_whitespace().next().unwrap_or_default();
                    // The receiver is gone once the first address arrived; later ones are of no use.
                    let _ = found.send(address.to_owned());
                }
            }
        });
        match address.recv_timeout(START) {
            Ok(address) => Ok(Server { process, address }),
            Err(_) => bail!(
                "the app does not listen; it said:\n{}",
                fs_err::read_to_string(log)?
            ),
        }
    }

    /// Starts `worker` with these words behind it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn work(&self, words: &[&str]) -> Result<Process> {
        let mut command = self.command();
        command.arg("worker").args(words).stdout(Stdio::null());
        self.start(&mut command, &self.log("worker"))
    }

    /// A file for what is said on standard error: one for each kind of database, on which the app may run at a time.
    fn log(&self, command: &str) -> Utf8PathBuf {
        let scheme = self.database_url.split(':').next().unwrap_or_default();
        self.workspace.join(format!("{command}-{scheme}.log"))
    }

    fn start(&self, command: &mut Command, log: &Utf8Path) -> Result<Process> {
        let child = command
            .stdin(Stdio::null())
            .stderr(fs_err::File::create(log)?.into_parts().0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary))?;
        Ok(Process {
            child,
            log: log.to_owned(),
        })
    }

    /// Asks until the answer is there, and returns it.
    ///
    /// # Errors
    /// If asking fails, or the answer does not come in a minute.
    pub fn wait_for<T>(
        &self,
        what: &str,
        mut ask: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask(self)? {
                return Ok(answer);
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "{what} did not happen in {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(&self.workspace)
            .env("DATABASE_URL", &self.database_url);
        command
    }
}

/// Builds the app of a workspace and returns its binary, whose name is `name`.
///
/// # Errors
/// If it does not build.
pub fn build(workspace: &Utf8Path, name: &str) -> Result<Utf8PathBuf> {
    build_with(workspace, name, &[])
}

/// The same with other words for cargo.
///
/// # Errors
/// If it does not build.
pub fn build_with(workspace: &Utf8Path, name: &str, words: &[&str]) -> Result<Utf8PathBuf> {
    tool::run(
        tool::cargo_in(workspace)
            .args(["build", "--bin", name])
            .args(words),
    )?;
    Ok(built(name))
}

/// The binary that cargo has built, as it does for the tests of its package, too.
pub fn built(name: &str) -> Utf8PathBuf {
    tool::generated_target_dir().join("debug").join(name)
}

/// A running app; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Utf8PathBuf,
}

impl Process {
    /// Sends SIGTERM.
    ///
    /// # Errors
    /// If the app has stopped already.
    pub fn terminate(&self) -> Result<()> {
        tool::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        Ok(())
    }

    /// Sends SIGTERM and waits until the app has stopped by itself.
    ///
    /// # Errors
    /// If it does not, or stops with an error.
    pub fn stop(mut self) -> Result<()> {
        // Nothing to tell one that was told before and has stopped.
        if self.child.try_wait()?.is_none() {
            self.terminate()?;
        }
        let status = self.end()?;
        ensure!(status.success(), "the app stopped with {status}");
        Ok(())
    }

    /// Waits until the app has ended by itself with an error, and returns what it said.
    ///
    /// # Errors
    /// If it goes on, or ends well.
    pub fn refused(mut self) -> Result<String> {
        let status = self.end()?;
        ensure!(!status.success(), "the app accepted what it was told");
        Ok(fs_err::read_to_string(&self.log)?)
    }

    fn end(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(start.elapsed() < STOP, "the app does not stop in {STOP:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error here means that it has stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An app that listens.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// Where it listens, such as `http://127.0.0.1:41234`.
    pub address: String,
}

impl Server {
    /// Sends a JSON request and returns the status and the body.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        self.request_with(method, path, &[], body)
    }

    /// The same with these headers.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn request_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Value)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => agent.run(
                request
                    .header("content-type", "application/json")
                    .body(body.to_string())?,
            ),
            None => agent.run(request.body(())?),
        }
        .with_context(|| format!("{method} {path}"))?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).map_err(|_| anyhow!("{method} {path}: no JSON: {text}"))?
        };
        Ok((status, body))
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// If the app has stopped already.
    pub fn terminate(&self) -> Result<()> {
        self.process.terminate()
    }

    /// Sends SIGTERM and waits until the app has stopped by itself.
    ///
    /// # Errors
    /// If it does not, or stops with an error.
    pub fn stop(self) -> Result<()> {
        self.process.stop()
    }
}
