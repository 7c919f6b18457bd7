//! Real worker processes, killed with SIGKILL.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{GRACE, Process};
use crate::support::{TestBed, until, while_working};
use crate::witness;
use crate::workload::Endless;
use runtime_sea::{JobContext, JobError, JobHandler, JobResult, RunId, RunStatus};
use sea_orm::ConnectionTrait;
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    r01_a_worker_killed_in_the_middle_of_a_step_loses_nothing_and_repeats_no_finished_step,
    r02_a_worker_killed_after_a_steps_effect_executes_it_again_with_the_same_key,
    r09_a_busy_process_that_is_told_to_stop_twice_ends_in_order,
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

/// Has an effect in a step, and kills its process before the step is on record.
struct Charge {
    dies: bool,
}

impl JobHandler for Charge {
    const TYPE: &'static str = "charge";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let key = ctx.idempotency_key("charge");
        ctx.step("charge", || async {
            let note = format!("INSERT INTO charges (idempotency_key) VALUES ('{key}')");
            ctx.db().execute_unprepared(&note).await?;
            if self.dies {
                std::process::abort();
            }
            Ok::<_, JobError>(())
        })
        .await
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
            .job(Charge { dies: true })
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

async fn r02_a_worker_killed_after_a_steps_effect_executes_it_again_with_the_same_key(
    bed: TestBed,
) {
    let dir = tempfile::tempdir().unwrap();
    bed.sql("CREATE TABLE charges (idempotency_key VARCHAR(64) NOT NULL)")
        .await;
    let id = start::<Charge>(&bed).await;
    let mut process = spawn_worker(&bed, &dir.path().join("notes"));
    until("the process has died", async || {
        process.try_wait().unwrap().is_some()
    })
    .await;
    assert_eq!(bed.count("SELECT COUNT(*) FROM charges").await, 1);
    assert!(bed.run(id).await.steps.is_empty());

    let survivor = bed.runtime.worker().job(Charge { dies: false });
    let survivor = survivor.lease(LEASE).build().unwrap();
    while_working(survivor, async || {
        bed.until_status(id, RunStatus::Completed).await;
    })
    .await;
    assert_eq!(bed.count("SELECT COUNT(*) FROM charges").await, 2);
    let keys = "SELECT COUNT(DISTINCT idempotency_key) FROM charges";
    assert_eq!(bed.count(keys).await, 1);
    let details = bed.run(id).await;
    assert_eq!((details.run.attempt, details.run.recoveries), (2, 1));
    assert_eq!(details.steps.len(), 1);
}

async fn r09_a_busy_process_that_is_told_to_stop_twice_ends_in_order(bed: TestBed) {
    witness::create_tables(bed.runtime.db()).await;
    let logs = tempfile::tempdir().unwrap();
    let jobs = bed.runtime.jobs();
    let started = jobs.start::<Endless>(bed.runtime.db(), ()).await.unwrap();
    let mut process = Process::start(&bed, "busy", logs.path(), 0, None);
    bed.until_status(started.run_id, RunStatus::Running).await;
    process.signal("TERM");
    // The grace goes on, and so does the run.
    tokio::time::sleep(GRACE / 3).await;
    assert_eq!(bed.status(started.run_id).await, RunStatus::Running);
    process.terminate().await;
    let run = bed.run(started.run_id).await.run;
    assert_eq!(
        (run.status, run.attempt, run.recoveries),
        (RunStatus::Pending, 0, 0)
    );
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
