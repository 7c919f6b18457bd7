//! Code that changes while runs are under way, and runs that put themselves off.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::migrations::TABLES;
use crate::support::{TestBed, until, while_working};
use runtime_sea::{
    Collision, Event, EventEnvelope, EventRoute, JobContext, JobError, JobHandler, JobPolicy,
    JobResult, Replay, Replayed, Retention, Retry, RunFilter, RunId, RunStatus,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

crate::on_each_database! {
    r59_a_run_whose_steps_changed_fails_and_reuses_nothing,
    r59_a_run_of_a_later_version_is_left_to_newer_workers,
    r59_a_run_of_an_earlier_version_can_go_its_own_way,
    r61_an_older_program_works_on_tables_that_a_newer_one_has_added_to,
    r60_steps_that_overlap_may_change_places,
    r60_steps_have_their_place_where_they_are_called,
}

type Executed = Arc<Mutex<Vec<String>>>;

/// Goes through its steps in the order that this version of it has; fails at the end of its first attempt.
struct Ordered {
    steps: Vec<&'static str>,
    executed: Executed,
}

impl JobHandler for Ordered {
    const TYPE: &'static str = "ordered";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(5, Duration::from_secs(3600)))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        for name in &self.steps {
            match name.split_once(' ') {
                Some(("sleep", name)) => ctx.sleep(name, Duration::ZERO).await?,
                Some(("child", name)) => {
                    ctx.spawn_child::<Idle>(name, ()).await?;
                }
                _ => {
                    ctx.step(name, || async {
                        self.executed.lock().unwrap().push((*name).to_owned());
                        Ok::<_, JobError>(())
                    })
                    .await?;
                }
            }
        }
        if ctx.attempt() == 1 {
            return Err(JobError::retryable("a new version is deployed"));
        }
        Ok(())
    }
}

struct Idle;

impl JobHandler for Idle {
    const TYPE: &'static str = "idle";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

pub(crate) async fn start<J: JobHandler>(bed: &TestBed, input: J::Input) -> RunId {
    let started = bed.runtime.jobs().start::<J>(bed.runtime.db(), input).await;
    started.unwrap().run_id
}

pub(crate) async fn drain<J: JobHandler>(bed: &TestBed, job: J) {
    let worker = bed.runtime.worker().job(job).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn make_ready(bed: &TestBed) {
    bed.sql("UPDATE job_run SET readiness = 'ready' WHERE status = 'pending'")
        .await;
}

async fn r59_a_run_whose_steps_changed_fails_and_reuses_nothing(bed: TestBed) {
    let before = ["a", "b", "sleep nap", "child c"];
    for (now, complaint) in [
        (vec!["b", "a"], "number 1 was `a` and is `b` now"),
        (vec!["x", "b"], "number 1 was `a` and is `x` now"),
        (vec!["a", "sleep nap"], "number 2 was `b` and is `nap` now"),
        (
            vec!["a", "b", "x", "sleep nap"],
            "number 3 was `nap` and is `x` now",
        ),
        (vec!["a", "b", "nap"], "`nap` was a sleep and is a step now"),
        (
            vec!["a", "b", "sleep nap", "child d"],
            "number 4 was `child:c` and is `child:d` now",
        ),
    ] {
        let id = start::<Ordered>(&bed, ()).await;
        let version = |steps: &[&'static str]| {
            let executed = Executed::default();
            let steps = steps.to_vec();
            (
                Ordered {
                    steps,
                    executed: executed.clone(),
                },
                executed,
            )
        };
        drain(&bed, version(&before).0).await;
        make_ready(&bed).await;
        let (changed, executed) = version(&now);
        drain(&bed, changed).await;
        let run = bed.run(id).await.run;
        assert_eq!((run.status, run.attempt), (RunStatus::Failed, 2), "{now:?}");
        let error = run.error.unwrap();
        assert!(error.contains(complaint), "{now:?}: {error}");
        assert!(executed.lock().unwrap().is_empty(), "{now:?}");
    }
    // What comes after the steps of before is new, and welcome.
    let id = start::<Ordered>(&bed, ()).await;
    for steps in [before.to_vec(), [before.as_slice(), &["d"]].concat()] {
        let executed = Executed::default();
        drain(&bed, Ordered { steps, executed }).await;
        make_ready(&bed).await;
    }
    assert_eq!(bed.status(id).await, RunStatus::Completed);
}

struct Old;

impl JobHandler for Old {
    const TYPE: &'static str = "versioned";
    type Input = ();
    type Output = u32;

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(2, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        Ok(ctx.version())
    }
}

struct New;

impl JobHandler for New {
    const TYPE: &'static str = "versioned";
    const VERSION: u32 = 2;
    type Input = ();
    type Output = u32;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        Ok(ctx.version() * 10)
    }
}

async fn r59_a_run_of_a_later_version_is_left_to_newer_workers(bed: TestBed) {
    let new = start::<New>(&bed, ()).await;
    let old = start::<Old>(&bed, ()).await;
    drain(&bed, Old).await;
    let run = bed.run(new).await.run;
    assert_eq!(
        (run.status, run.version, run.attempt),
        (RunStatus::Pending, 2, 0)
    );
    assert_eq!(bed.run(old).await.run.output, Some(1.into()));
    drain(&bed, New).await;
    assert_eq!(bed.run(new).await.run.output, Some(20.into()));
}

async fn r59_a_run_of_an_earlier_version_can_go_its_own_way(bed: TestBed) {
    let id = start::<Old>(&bed, ()).await;
    drain(&bed, New).await;
    assert_eq!(bed.run(id).await.run.output, Some(10.into()));
}

#[derive(Debug, Serialize, Deserialize)]
struct Happened {
    key: String,
}

impl Event for Happened {
    const TYPE: &'static str = "happened";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

#[derive(Debug, Serialize, Deserialize)]
struct Answered {}

impl Event for Answered {
    const TYPE: &'static str = "answered";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

/// Does something of everything.
struct Everything;

impl JobHandler for Everything {
    const TYPE: &'static str = "everything";
    type Input = String;
    type Output = u32;

    fn policy() -> JobPolicy<String> {
        JobPolicy::<String>::new()
            .retry(Retry::fixed(2, Duration::ZERO))
            .concurrency(Collision::Queue, Clone::clone)
            .dedupe(Duration::from_secs(60), Clone::clone)
            .on::<Happened>(|event| Some(event.payload.key.clone()))
    }

    async fn run(&self, ctx: &JobContext, key: String) -> JobResult<u32> {
        ctx.step("step", || async { Ok::<_, JobError>(()) }).await?;
        ctx.spawn_child::<Idle>("child", ()).await?;
        ctx.child_output::<Idle>("child").await?.completed()?;
        ctx.sleep("nap", Duration::ZERO).await?;
        let minute = Duration::from_secs(60);
        ctx.wait_for_event::<Answered>(&key, minute).await?;
        if ctx.attempt() == 1 {
            return Err(JobError::retryable("once more"));
        }
        Ok(ctx.attempt())
    }
}

// The older program runs while the newer one migrates, as in a rolling deployment.
async fn r61_an_older_program_works_on_tables_that_a_newer_one_has_added_to(bed: TestBed) {
    let (db, jobs, events) = (bed.runtime.db(), bed.runtime.jobs(), bed.runtime.events());
    let delivered = Executed::default();
    let notes = delivered.clone();
    let worker = bed
        .runtime
        .worker()
        .job(Everything)
        .job(Idle)
        .subscribe("s", move |event: EventEnvelope<Happened>| {
            notes.lock().unwrap().push(event.payload.key);
            async { Ok(()) }
        })
        .lease(Duration::from_secs(2))
        .build()
        .unwrap();
    let round = async |key: &str| {
        let event = Happened {
            key: key.to_owned(),
        };
        events.publish_detached(key, event).await.unwrap();
        let mut id = None;
        until("its run is there", async || {
            let runs = jobs.list(RunFilter::new().job_type("everything")).await;
            let runs = runs.unwrap().into_iter();
            id = runs.filter(|it| it.input == key).map(|it| it.id).next();
            id.is_some()
        })
        .await;
        let id = id.unwrap();
        let same = jobs.start::<Everything>(db, key.to_owned()).await.unwrap();
        assert_eq!(same.run_id, id);
        events.publish_detached(key, Answered {}).await.unwrap();
        bed.until_status(id, RunStatus::Completed).await;
        assert_eq!(bed.run(id).await.run.output, Some(2.into()));
        until("it is delivered", async || {
            delivered.lock().unwrap().iter().any(|it| it == key)
        })
        .await;
        id
    };
    while_working(worker, async || {
        round("before").await;
        for table in TABLES {
            for column in [
                "later_note VARCHAR(20)",
                "later_count INTEGER DEFAULT 7 NOT NULL",
            ] {
                bed.sql(&format!("ALTER TABLE {table} ADD COLUMN {column}"))
                    .await;
            }
        }
        bed.sql("CREATE TABLE later (id INTEGER PRIMARY KEY)").await;
        let id = round("after").await;
        assert_eq!(
            jobs.replay(id, Replay::Scratch).await.unwrap(),
            Replayed::Pending
        );
        bed.until_status(id, RunStatus::Completed).await;
        // A run of a worker that died.
        jobs.pause_pool("batch").await.unwrap();
        let lost = jobs.start::<Idle>(db, ()).await.unwrap().run_id;
        bed.sql(
            "UPDATE job_run SET status = 'running', attempt = 1, fence = 1, worker_id = id, \
             claimed_at = created_at, started_at = created_at WHERE status = 'pending'",
        )
        .await;
        jobs.resume_pool("batch").await.unwrap();
        bed.until_status(lost, RunStatus::Completed).await;
        assert_eq!(bed.run(lost).await.run.recoveries, 1);
    })
    .await;
    let kept = "SELECT COUNT(*) FROM job_run WHERE later_note IS NULL AND later_count = 7";
    assert_eq!(bed.count(kept).await, 5);
    bed.sql("UPDATE job_run SET finished_at = '2020-01-01 00:00:00'")
        .await;
    assert_eq!(jobs.prune(Retention::new()).await.unwrap().runs, 5);
}

/// Two sequences beside each other; which one is first is up to chance.
struct Beside;

impl JobHandler for Beside {
    const TYPE: &'static str = "beside";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(4, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let go = Notify::new();
        // The left goes first on every second attempt.
        let left_first = ctx.attempt().is_multiple_of(2);
        let done = || async { Ok::<_, JobError>(()) };
        let side = async |side: &str, is_first: bool| {
            ctx.step(&format!("{side} 1"), done).await?;
            if !is_first {
                go.notified().await;
            }
            ctx.step(&format!("{side} 2"), done).await?;
            ctx.step(&format!("{side} 3 of attempt {}", ctx.attempt()), done)
                .await?;
            if is_first {
                go.notify_one();
            }
            Ok::<_, JobError>(())
        };
        tokio::try_join!(side("left", left_first), side("right", !left_first))?;
        if ctx.attempt() < 4 {
            return Err(JobError::retryable("again"));
        }
        Ok(())
    }
}

async fn r60_steps_that_overlap_may_change_places(bed: TestBed) {
    let id = start::<Beside>(&bed, ()).await;
    drain(&bed, Beside).await;
    let details = bed.run(id).await;
    assert_eq!(details.run.status, RunStatus::Completed, "{details:?}");
    assert!(details.steps.iter().all(|step| step.executions == 1));
}

/// Steps whose futures are made in one order and finish in another.
struct Called;

impl JobHandler for Called {
    const TYPE: &'static str = "called";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let first = ctx.step("first", || async { Ok::<_, JobError>(()) });
        let second = ctx.step("second", || async { Ok::<_, JobError>(()) });
        second.await?;
        first.await
    }
}

async fn r60_steps_have_their_place_where_they_are_called(bed: TestBed) {
    let id = start::<Called>(&bed, ()).await;
    drain(&bed, Called).await;
    let places: Vec<_> = bed
        .run(id)
        .await
        .steps
        .into_iter()
        .map(|step| (step.name, step.position))
        .collect();
    assert_eq!(places, [("first".to_owned(), 0), ("second".to_owned(), 1)]);
}
