//! Steps and children of a run.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{TestBed, by_hand};
use runtime_sea::{
    JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunFilter, RunId, RunStatus,
};
use sea_orm::ConnectionTrait;

crate::on_each_database! {
    a_completed_step_is_not_executed_again,
    a_failed_step_is_executed_again_and_remembered,
    r03_a_worker_that_lost_its_run_writes_no_step_child_or_result,
    r15_storing_a_step_again_after_a_lost_answer_is_a_success,
    r60_a_step_name_used_twice_is_detected,
    r51_a_step_whose_name_cannot_be_stored_is_not_executed,
    a_stored_output_that_does_not_fit_its_type_is_an_error_not_a_second_execution,
    a_child_is_spawned_once_however_often_its_parent_is_tried,
    a_deduplicated_child_stays_the_same_on_every_attempt,
    the_idempotency_key_of_a_step_is_the_same_on_every_attempt,
}

/// A run whose behaviour is a closure.
#[derive(Default, Clone)]
struct Effects {
    executed: Arc<Mutex<Vec<String>>>,
    children: Arc<Mutex<Vec<RunId>>>,
}

impl Effects {
    fn note(&self, what: impl Into<String>) {
        self.executed.lock().unwrap().push(what.into());
    }

    fn notes(&self) -> Vec<String> {
        self.executed.lock().unwrap().clone()
    }
}

struct TwoSteps(Effects);

impl JobHandler for TwoSteps {
    const TYPE: &'static str = "two_steps";
    type Input = u32;
    type Output = u32;

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(3, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, input: u32) -> JobResult<u32> {
        let doubled = ctx
            .step("double", || async {
                self.0.note("double");
                Ok::<_, JobError>(input * 2)
            })
            .await?;
        let sum = ctx
            .step("add", || async {
                self.0.note(format!("add on attempt {}", ctx.attempt()));
                if ctx.attempt() < 3 {
                    return Err(std::io::Error::other("not yet"));
                }
                Ok(doubled + 1)
            })
            .await?;
        Ok(sum)
    }
}

async fn start<J: JobHandler>(bed: &TestBed, input: J::Input) -> RunId {
    bed.runtime
        .jobs()
        .start::<J>(bed.runtime.db(), input)
        .await
        .unwrap()
        .run_id
}

async fn drain<J: JobHandler>(bed: &TestBed, job: J) {
    let worker = bed.runtime.worker().job(job).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn a_completed_step_is_not_executed_again(bed: TestBed) {
    let effects = Effects::default();
    let id = start::<TwoSteps>(&bed, 20).await;
    drain(&bed, TwoSteps(effects.clone())).await;
    let details = bed.run(id).await;
    assert_eq!(details.run.output, Some(41.into()));
    assert_eq!(details.run.attempt, 3);
    assert_eq!(
        effects.notes(),
        [
            "double",
            "add on attempt 1",
            "add on attempt 2",
            "add on attempt 3"
        ]
    );
    assert_eq!(details.steps[0].name, "double");
    assert_eq!(
        (details.steps[0].executions, details.steps[0].attempt),
        (1, 1)
    );
}

async fn a_failed_step_is_executed_again_and_remembered(bed: TestBed) {
    let id = start::<TwoSteps>(&bed, 20).await;
    drain(&bed, TwoSteps(Effects::default())).await;
    let details = bed.run(id).await;
    let add = &details.steps[1];
    assert_eq!(
        (add.name.as_str(), add.status.as_str()),
        ("add", "completed")
    );
    assert_eq!((add.executions, add.attempt), (3, 3));
    assert_eq!(details.run.errors[0].error, "step `add`: not yet");
}

/// Loses its run to another worker, then goes on as if nothing had happened.
struct Usurped(Effects);

impl JobHandler for Usurped {
    const TYPE: &'static str = "usurped";
    type Input = String;
    type Output = ();

    async fn run(&self, ctx: &JobContext, act: String) -> JobResult<()> {
        if ctx.attempt() > 1 {
            self.0.note("second attempt");
            return Ok(());
        }
        // What the maintenance of another worker does, and that worker's claim.
        let usurp = "UPDATE job_run SET fence = fence + 1, recoveries = recoveries + 1";
        by_hand(ctx.db(), usurp).await;
        match act.as_str() {
            "step" => {
                let stored = ctx.step("late", || async { Ok::<_, JobError>(1) }).await;
                self.0.note(format!("step: {}", stored.unwrap_err()));
            }
            "child" => {
                let spawned = ctx.spawn_child::<Child>("late", 1).await;
                self.0.note(format!("child: {}", spawned.unwrap_err()));
            }
            _ => {}
        }
        match act.as_str() {
            "fail" => Err(JobError::non_retryable("stale")),
            _ => Ok(()),
        }
    }
}

async fn r03_a_worker_that_lost_its_run_writes_no_step_child_or_result(bed: TestBed) {
    for act in ["step", "child", "complete", "fail"] {
        let effects = Effects::default();
        let id = start::<Usurped>(&bed, act.to_owned()).await;
        let worker = bed
            .runtime
            .worker()
            .job(Usurped(effects.clone()))
            .build()
            .unwrap();
        let shutdown = tokio_util::sync::CancellationToken::new();
        let running = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { worker.run(shutdown).await }
        });
        crate::support::until("the usurpation", async || {
            bed.run(id).await.run.recoveries == 1
        })
        .await;
        // A graceful shutdown writes every ending that there is.
        shutdown.cancel();
        running.await.unwrap().unwrap();
        let details = bed.run(id).await;
        assert_eq!(details.run.status, RunStatus::Running, "{act}: {details:?}");
        assert_eq!(details.run.output, None, "{act}");
        assert_eq!(details.run.error, None, "{act}");
        assert!(details.steps.is_empty(), "{act}: {details:?}");
        assert!(details.children.is_empty(), "{act}: {details:?}");
        let lost = "another worker has taken over this run";
        match act {
            "step" | "child" => assert_eq!(effects.notes(), [format!("{act}: {lost}")]),
            _ => assert!(effects.notes().is_empty()),
        }
        // Its worker is gone from the table: the next one takes the run over.
        drain_lost(&bed, Usurped(effects.clone())).await;
        bed.until_status(id, RunStatus::Completed).await;
        assert_eq!(effects.notes().last().unwrap(), "second attempt");
        bed.sql("DELETE FROM job_run").await;
    }
}

/// Runs a worker until it has taken over and finished what a dead one left.
async fn drain_lost<J: JobHandler>(bed: &TestBed, job: J) {
    let worker = bed
        .runtime
        .worker()
        .job(job)
        .lease(Duration::from_secs(1))
        .build()
        .unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    crate::support::until("every run is over", async || {
        let runs = bed.runtime.jobs().list(RunFilter::new()).await.unwrap();
        runs.iter().all(|run| run.status.is_final())
    })
    .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

/// Finds that its step is stored already, under its own claim: the answer to the first write was lost.
struct Unanswered;

impl JobHandler for Unanswered {
    const TYPE: &'static str = "unanswered";
    type Input = ();
    type Output = u32;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        ctx.step("once", || async {
            ctx.db()
                .execute_unprepared(
                    "INSERT INTO job_step (run_id, name, kind, position, status, output, executions, attempt, fence, started_at, finished_at) \
                     SELECT id, 'once', 'step', 0, 'completed', '7', 1, 1, fence, claimed_at, claimed_at FROM job_run",
                )
                .await?;
            Ok::<_, JobError>(7)
        })
        .await
    }
}

async fn r15_storing_a_step_again_after_a_lost_answer_is_a_success(bed: TestBed) {
    let id = start::<Unanswered>(&bed, ()).await;
    drain(&bed, Unanswered).await;
    let details = bed.run(id).await;
    assert_eq!(details.run.output, Some(7.into()), "{details:?}");
    assert_eq!(details.run.attempt, 1);
    assert_eq!(details.steps.len(), 1);
}

struct SameName;

impl JobHandler for SameName {
    const TYPE: &'static str = "same_name";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        for _ in 0..2 {
            ctx.step("again", || async { Ok::<_, JobError>(()) })
                .await?;
        }
        Ok(())
    }
}

async fn r60_a_step_name_used_twice_is_detected(bed: TestBed) {
    let id = start::<SameName>(&bed, ()).await;
    drain(&bed, SameName).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 1));
    assert!(run.error.unwrap().contains("`again` was used twice"));
}

/// Its second version expects another type from the step that its first version has completed.
struct Changed(Effects);

impl JobHandler for Changed {
    const TYPE: &'static str = "changed";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(2, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        self.0.note("attempt");
        if ctx.attempt() == 1 {
            ctx.step("count", || async { Ok::<_, JobError>("three".to_owned()) })
                .await?;
            return Err(JobError::retryable("deployed meanwhile"));
        }
        let _count: u32 = ctx
            .step("count", || async {
                self.0.note("executed again");
                Ok::<_, JobError>(3)
            })
            .await?;
        Ok(())
    }
}

async fn a_stored_output_that_does_not_fit_its_type_is_an_error_not_a_second_execution(
    bed: TestBed,
) {
    let effects = Effects::default();
    let id = start::<Changed>(&bed, ()).await;
    drain(&bed, Changed(effects.clone())).await;
    let run = bed.run(id).await.run;
    assert_eq!(run.status, RunStatus::Failed);
    assert!(
        run.error
            .unwrap()
            .contains("does not fit its type any more")
    );
    assert_eq!(effects.notes(), ["attempt", "attempt"]);
}

struct Child(Arc<AtomicU32>);

impl JobHandler for Child {
    const TYPE: &'static str = "child";
    type Input = u32;
    type Output = u32;

    async fn run(&self, _ctx: &JobContext, input: u32) -> JobResult<u32> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(input)
    }
}

struct Parent(Effects);

impl JobHandler for Parent {
    const TYPE: &'static str = "parent";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(3, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        for name in ["left", "right"] {
            let id = ctx.spawn_child::<Child>(name, ctx.attempt()).await?;
            self.0.children.lock().unwrap().push(id);
        }
        if ctx.attempt() < 3 {
            return Err(JobError::retryable("again"));
        }
        Ok(())
    }
}

async fn a_child_is_spawned_once_however_often_its_parent_is_tried(bed: TestBed) {
    let effects = Effects::default();
    let executed = Arc::new(AtomicU32::new(0));
    let id = start::<Parent>(&bed, ()).await;
    let worker = bed
        .runtime
        .worker()
        .job(Parent(effects.clone()))
        .job(Child(executed.clone()))
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    let details = bed.run(id).await;
    assert_eq!(details.run.status, RunStatus::Completed);
    let children: Vec<_> = details.children.iter().map(|child| child.id).collect();
    assert_eq!(children.len(), 2);
    assert_eq!(*effects.children.lock().unwrap(), children.repeat(3));
    assert_eq!(executed.load(Ordering::SeqCst), 2);
    let left = &details.children[0];
    assert_eq!(left.child_name.as_deref(), Some("left"));
    assert_eq!((left.parent_run_id, left.root_run_id), (Some(id), id));
}

struct Shared;

impl JobHandler for Shared {
    const TYPE: &'static str = "shared";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().dedupe(Duration::from_secs(3600), |()| "shared".to_owned())
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

struct Sharing(Effects);

impl JobHandler for Sharing {
    const TYPE: &'static str = "sharing";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(2, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let id = ctx.spawn_child::<Shared>("shared", ()).await?;
        self.0.children.lock().unwrap().push(id);
        // The window closes before the second attempt.
        ctx.db()
            .execute_unprepared("DELETE FROM job_dedupe")
            .await?;
        if ctx.attempt() == 1 {
            return Err(JobError::retryable("again"));
        }
        Ok(())
    }
}

async fn a_deduplicated_child_stays_the_same_on_every_attempt(bed: TestBed) {
    let effects = Effects::default();
    let first = start::<Shared>(&bed, ()).await;
    start::<Sharing>(&bed, ()).await;
    let worker = bed
        .runtime
        .worker()
        .job(Shared)
        .job(Sharing(effects.clone()))
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*effects.children.lock().unwrap(), [first, first]);
}

struct Keyed(Effects);

impl JobHandler for Keyed {
    const TYPE: &'static str = "keyed";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().retry(Retry::fixed(2, Duration::ZERO))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        self.0.note(ctx.idempotency_key("charge"));
        if ctx.attempt() == 1 {
            return Err(JobError::retryable("again"));
        }
        self.0.note(ctx.idempotency_key("refund"));
        Ok(())
    }
}

async fn the_idempotency_key_of_a_step_is_the_same_on_every_attempt(bed: TestBed) {
    let effects = Effects::default();
    start::<Keyed>(&bed, ()).await;
    drain(&bed, Keyed(effects.clone())).await;
    let keys = effects.notes();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

struct LongStep(Effects);

impl JobHandler for LongStep {
    const TYPE: &'static str = "long_step";
    type Input = String;
    type Output = ();

    async fn run(&self, ctx: &JobContext, name: String) -> JobResult<()> {
        ctx.step(&name, || async {
            self.0.note("executed");
            Ok::<_, JobError>(())
        })
        .await
    }
}

async fn r51_a_step_whose_name_cannot_be_stored_is_not_executed(bed: TestBed) {
    let effects = Effects::default();
    let id = start::<LongStep>(&bed, "x".repeat(300)).await;
    drain(&bed, LongStep(effects.clone())).await;
    let run = bed.run(id).await.run;
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.error.unwrap().contains("300 characters"));
    assert_eq!(effects.notes(), Vec::<String>::new());
}
