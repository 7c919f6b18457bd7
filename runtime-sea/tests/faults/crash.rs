//! Real worker processes, killed with SIGKILL.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{TestBed, until};
use runtime_sea::{JobContext, JobError, JobHandler, JobResult, RunId, RunStatus};
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    r01_a_worker_killed_in_the_middle_of_a_step_loses_nothing_and_repeats_no_finished_step,
    r11_a_run_that_kills_its_worker_every_time_is_given_up,
}

const URL: &str = "RUNTIME_SEA_CRASH_URL";
const NOTES: &str = "RUNTIME_SEA_CRASH_NOTES";
const LEASE: Duration = Duration::from_millis(1500);

/// Notes each effect in a file, which outlives every process.
#[derive(Clone)]
struct Import {
    notes: PathBuf,
    hangs: bool,
}

impl Import {
    fn note(&self, what: &str) -> std::io::Result<()> {
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.notes)?;
        writeln!(file, "{what}")
    }
}

impl JobHandler for Import {
    const TYPE: &'static str = "import";
    type Input = ();
    type Output = u32;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        let fetched = ctx
            .step("fetch", || async {
                self.note("fetch")?;
                Ok::<_, JobError>(41)
            })
            .await?;
        ctx.spawn_child::<Import2>("report", ()).await?;
        let stored = ctx
            .step("store", || async {
                self.note("store begins")?;
                if self.hangs {
                    std::future::pending::<()>().await;
                }
                self.note("store ends")?;
                Ok::<_, JobError>(fetched + 1)
            })
            .await?;
        Ok(stored)
    }
}

#[derive(Clone)]
struct Import2(Import);

impl JobHandler for Import2 {
    const TYPE: &'static str = "import_report";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        self.0.note("report")?;
        Ok(())
    }
}

/// Kills its process.
struct Poison;

impl JobHandler for Poison {
    const TYPE: &'static str = "poison";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        std::process::abort()
    }
}

/// Not a test: the process that the tests kill. It does nothing unless it is told the database.
#[test]
fn worker_process() {
    let (Ok(url), Ok(notes)) = (std::env::var(URL), std::env::var(NOTES)) else {
        return;
    };
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio.block_on(async {
        let runtime = runtime_sea::Runtime::new(runtime_sea::connect(&url).await.unwrap());
        let import = Import {
            notes: notes.into(),
            hangs: true,
        };
        let worker = runtime
            .worker()
            .job(import)
            .job(Poison)
            .lease(LEASE)
            .build()
            .unwrap();
        worker.run(CancellationToken::new()).await.unwrap();
    });
}

fn spawn_worker(bed: &TestBed, notes: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::worker_process", "--nocapture"])
        .env(URL, &bed.url)
        .env(NOTES, notes)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn notes(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

async fn start<J: JobHandler<Input = ()>>(bed: &TestBed) -> RunId {
    bed.runtime
        .jobs()
        .start::<J>(bed.runtime.db(), ())
        .await
        .unwrap()
        .run_id
}

async fn r01_a_worker_killed_in_the_middle_of_a_step_loses_nothing_and_repeats_no_finished_step(
    bed: TestBed,
) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    let id = start::<Import>(&bed).await;
    let mut process = spawn_worker(&bed, &path);
    until("the process is in the second step", async || {
        notes(&path).iter().any(|note| note == "store begins")
    })
    .await;
    // SIGKILL: no destructor runs, nothing is flushed.
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(bed.status(id).await, RunStatus::Running);

    let import = Import {
        notes: path.clone(),
        hangs: false,
    };
    let survivor = bed
        .runtime
        .worker()
        .job(import.clone())
        .job(Import2(import))
        .lease(LEASE)
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { survivor.run(shutdown).await }
    });
    bed.until_status(id, RunStatus::Completed).await;
    until("the child is completed", async || {
        bed.run(id)
            .await
            .children
            .iter()
            .all(|child| child.status == RunStatus::Completed)
    })
    .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();

    let count = |what: &str| notes(&path).iter().filter(|note| *note == what).count();
    assert_eq!(count("fetch"), 1, "a finished step was executed again");
    assert_eq!((count("store begins"), count("store ends")), (2, 1));
    assert_eq!(count("report"), 1);
    let details = bed.run(id).await;
    assert_eq!(details.run.output, Some(42.into()));
    assert_eq!((details.run.attempt, details.run.recoveries), (2, 1));
    assert_eq!(details.run.errors[0].outcome, "lost");
    assert_eq!(details.children.len(), 1);
}

async fn r11_a_run_that_kills_its_worker_every_time_is_given_up(bed: TestBed) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes");
    let id = start::<Poison>(&bed).await;
    let import = start::<Import>(&bed).await;
    let mut restarts = 0;
    while bed.status(id).await != RunStatus::Failed {
        // A supervisor that restarts the worker whenever it dies.
        let mut process = spawn_worker(&bed, &path);
        until("the process died, or the run was given up", async || {
            process.try_wait().unwrap().is_some() || bed.status(id).await == RunStatus::Failed
        })
        .await;
        let _already_dead = process.kill();
        process.wait().unwrap();
        restarts += 1;
        assert!(restarts < 20, "the run goes on killing workers");
    }
    let run = bed.run(id).await.run;
    assert_eq!(run.recoveries, 4);
    assert!(run.errors.iter().all(|error| error.outcome == "lost"));
    // Its neighbour, which died with it each time, was given up or goes on, but is not lost.
    assert!(bed.run(import).await.run.recoveries <= 4);
}
