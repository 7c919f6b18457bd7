//! Waiting for children.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::TestBed;
use runtime_sea::{
    ChildOutcome, JobContext, JobError, JobHandler, JobPolicy, JobResult, Retry, RunId, RunStatus,
    Worker,
};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    a_parent_that_waits_for_its_children_holds_no_slot,
    r43_two_last_children_wake_the_parent_once,
    r43_a_parent_whose_childrens_end_told_nobody_is_found,
    r44_children_that_end_before_the_wait_are_seen,
    r45_a_child_that_fails_for_good_is_a_typed_failure,
    a_parent_may_spawn_and_wait_again,
    the_output_of_one_child_is_waited_for_alone,
    a_deduplicated_child_is_waited_for,
    a_child_that_was_not_spawned_is_a_clear_error,
}

#[derive(Default, Clone)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Does what its input says.
struct Child(Option<Arc<Barrier>>);

impl JobHandler for Child {
    const TYPE: &'static str = "child";
    type Input = String;
    type Output = usize;

    fn policy() -> JobPolicy<String> {
        JobPolicy::<Self::Input>::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, act: String) -> JobResult<usize> {
        if let Some(barrier) = &self.0 {
            barrier.wait().await;
        }
        match act.as_str() {
            "fail" => Err(JobError::retryable("no luck")),
            "sleep" => {
                ctx.sleep("nap", Duration::from_secs(3600)).await?;
                Ok(0)
            }
            _ => Ok(act.len()),
        }
    }
}

struct Parent(Notes);

impl JobHandler for Parent {
    const TYPE: &'static str = "parent";
    type Input = Vec<String>;
    type Output = Vec<String>;

    fn policy() -> JobPolicy<Self::Input> {
        JobPolicy::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, acts: Vec<String>) -> JobResult<Vec<String>> {
        self.0.add("begin");
        for act in &acts {
            ctx.spawn_child::<Child>(act, act.clone()).await?;
        }
        let ended = ctx.wait_for_children().await?;
        self.0.add("woken");
        Ok(ended
            .into_iter()
            .map(|it| format!("{} {}", it.name, it.status))
            .collect())
    }
}

async fn start<J: JobHandler>(bed: &TestBed, input: J::Input) -> RunId {
    let started = bed.runtime.jobs().start::<J>(bed.runtime.db(), input).await;
    started.unwrap().run_id
}

fn worker(bed: &TestBed, notes: &Notes) -> Worker {
    let builder = bed.runtime.worker().concurrency(1).job(Child(None));
    let builder = builder
        .job(Parent(notes.clone()))
        .job(Picky)
        .job(Twice)
        .job(Shared);
    builder.job(Sharing).build().unwrap()
}

async fn drain(bed: &TestBed, notes: &Notes) {
    worker(bed, notes).drain_until_idle().await.unwrap();
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn a_parent_that_waits_for_its_children_holds_no_slot(bed: TestBed) {
    let notes = Notes::default();
    let id = start::<Parent>(&bed, words(&["b", "a"])).await;
    // One slot for the parent and its children.
    drain(&bed, &notes).await;
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.attempt), (RunStatus::Completed, 1));
    assert_eq!(
        run.output,
        Some(serde_json::json!(["a completed", "b completed"]))
    );
    assert_eq!(notes.all(), ["begin", "begin", "woken"]);
}

async fn r43_two_last_children_wake_the_parent_once(bed: TestBed) {
    let notes = Notes::default();
    let barrier = Arc::new(Barrier::new(2));
    let other = bed.other_process().await;
    let shutdown = CancellationToken::new();
    // One slot each: the two children end at the same time on two workers.
    let running: Vec<_> = [&bed.runtime, &other]
        .into_iter()
        .map(|runtime| {
            let child = Child(Some(barrier.clone()));
            let builder = runtime.worker().concurrency(1).job(child);
            let worker = builder.build().unwrap();
            let shutdown = shutdown.clone();
            tokio::spawn(async move { worker.run(shutdown).await })
        })
        .chain([{
            let builder = bed.runtime.worker().job(Parent(notes.clone()));
            let worker = builder.build().unwrap();
            let shutdown = shutdown.clone();
            tokio::spawn(async move { worker.run(shutdown).await })
        }])
        .collect();
    for round in 1..=15 {
        let id = start::<Parent>(&bed, words(&["left", "right"])).await;
        bed.until_status(id, RunStatus::Completed).await;
        let count = |note| notes.all().iter().filter(|it| *it == note).count();
        // At most one suspension each: the parent may also find its children ended already.
        assert_eq!(count("woken"), round);
        assert!(count("begin") <= 2 * round);
    }
    shutdown.cancel();
    for running in running {
        running.await.unwrap().unwrap();
    }
}

async fn r43_a_parent_whose_childrens_end_told_nobody_is_found(bed: TestBed) {
    let notes = Notes::default();
    let id = start::<Parent>(&bed, words(&["sleep"])).await;
    drain(&bed, &notes).await;
    assert_eq!(bed.status(id).await, RunStatus::Waiting);
    // As by a worker that died right after it had ended the child.
    bed.sql("UPDATE job_run SET status = 'completed', output = '0' WHERE job_type = 'child'")
        .await;
    drain(&bed, &notes).await;
    assert_eq!(bed.status(id).await, RunStatus::Completed);
    assert_eq!(notes.all(), ["begin", "begin", "woken"]);
}

async fn r44_children_that_end_before_the_wait_are_seen(bed: TestBed) {
    let notes = Notes::default();
    let id = start::<Slow>(&bed, ()).await;
    let builder = bed.runtime.worker().job(Child(None));
    let worker = builder.job(Slow(notes.clone())).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(id).await.run;
    assert_eq!(run.output, Some(serde_json::json!(5)), "{run:?}");
    // It never was suspended.
    assert_eq!(notes.all(), ["begin"]);
}

struct Slow(Notes);

async fn until_over(ctx: &JobContext, id: RunId) {
    let run = async || {
        let details = ctx.runtime().jobs().show(id).await.unwrap();
        details.unwrap().run
    };
    while !run().await.status.is_final() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl JobHandler for Slow {
    const TYPE: &'static str = "slow";
    type Input = ();
    type Output = usize;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<usize> {
        self.0.add("begin");
        let child = ctx
            .spawn_child::<Child>("child", "hello".to_owned())
            .await?;
        until_over(ctx, child).await;
        ctx.wait_for_children().await?;
        ctx.child_output::<Child>("child").await?.completed()
    }
}

async fn r45_a_child_that_fails_for_good_is_a_typed_failure(bed: TestBed) {
    let notes = Notes::default();
    let id = start::<Parent>(&bed, words(&["fail", "well"])).await;
    drain(&bed, &notes).await;
    let output = bed.run(id).await.run.output;
    assert_eq!(
        output,
        Some(serde_json::json!(["fail failed", "well completed"]))
    );
    for (act, expected) in [("fail", "failed: no luck"), ("well", "completed with 4")] {
        let id = start::<Picky>(&bed, (act.to_owned(), false)).await;
        drain(&bed, &notes).await;
        let output = bed.run(id).await.run.output;
        assert_eq!(output, Some(expected.into()));
    }
    let id = start::<Picky>(&bed, ("fail".to_owned(), true)).await;
    drain(&bed, &notes).await;
    let run = bed.run(id).await.run;
    // Not tried again: the child would not be, either.
    assert_eq!((run.status, run.attempt), (RunStatus::Failed, 1));
    assert_eq!(run.error.unwrap(), "a child has failed: no luck");
}

/// Tells how its child ended, or insists on its success.
struct Picky;

impl JobHandler for Picky {
    const TYPE: &'static str = "picky";
    type Input = (String, bool);
    type Output = String;

    async fn run(&self, ctx: &JobContext, (act, insist): Self::Input) -> JobResult<String> {
        if act != "none" {
            ctx.spawn_child::<Child>("child", act).await?;
        }
        let outcome = ctx.child_output::<Child>("child").await?;
        if insist {
            return Ok(outcome.completed()?.to_string());
        }
        Ok(match outcome {
            ChildOutcome::Completed(output) => format!("completed with {output}"),
            ChildOutcome::Failed { error } => format!("failed: {error}"),
            ChildOutcome::TimedOut => "timed out".to_owned(),
            ChildOutcome::Canceled => "canceled".to_owned(),
        })
    }
}

async fn a_child_that_was_not_spawned_is_a_clear_error(bed: TestBed) {
    let id = start::<Picky>(&bed, ("none".to_owned(), false)).await;
    drain(&bed, &Notes::default()).await;
    let run = bed.run(id).await.run;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(
        run.error.unwrap(),
        "this run has not spawned a child `child`"
    );
}

/// Waits for one child, then for another.
struct Twice;

impl JobHandler for Twice {
    const TYPE: &'static str = "twice";
    type Input = ();
    type Output = Vec<usize>;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<Vec<usize>> {
        ctx.spawn_child::<Child>("one", "one".to_owned()).await?;
        let one = ctx.wait_for_children().await?.len();
        ctx.spawn_child::<Child>("three", "three".to_owned())
            .await?;
        let two = ctx.wait_for_children().await?.len();
        Ok(vec![one, two])
    }
}

async fn a_parent_may_spawn_and_wait_again(bed: TestBed) {
    let id = start::<Twice>(&bed, ()).await;
    drain(&bed, &Notes::default()).await;
    let output = bed.run(id).await.run.output;
    assert_eq!(output, Some(serde_json::json!([1, 2])));
}

struct OneOfTwo;

impl JobHandler for OneOfTwo {
    const TYPE: &'static str = "one_of_two";
    type Input = ();
    type Output = usize;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<usize> {
        ctx.spawn_child::<Child>("long", "sleep".to_owned()).await?;
        ctx.spawn_child::<Child>("short", "short".to_owned())
            .await?;
        ctx.child_output::<Child>("short").await?.completed()
    }
}

async fn the_output_of_one_child_is_waited_for_alone(bed: TestBed) {
    let id = start::<OneOfTwo>(&bed, ()).await;
    let builder = bed.runtime.worker().job(OneOfTwo).job(Child(None));
    builder.build().unwrap().drain_until_idle().await.unwrap();
    let details = bed.run(id).await;
    assert_eq!(details.run.output, Some(5.into()), "{details:?}");
    assert_eq!(details.children[0].status, RunStatus::Waiting);
}

struct Shared;

impl JobHandler for Shared {
    const TYPE: &'static str = "shared";
    type Input = ();
    type Output = u32;

    fn policy() -> JobPolicy<()> {
        JobPolicy::<Self::Input>::new().dedupe(Duration::from_secs(3600), |()| "shared".to_owned())
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<u32> {
        Ok(7)
    }
}

struct Sharing;

impl JobHandler for Sharing {
    const TYPE: &'static str = "sharing";
    type Input = ();
    type Output = u32;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        ctx.spawn_child::<Shared>("shared", ()).await?;
        let ended = ctx.wait_for_children().await?;
        assert_eq!(ended[0].name, "shared");
        ctx.child_output::<Shared>("shared").await?.completed()
    }
}

async fn a_deduplicated_child_is_waited_for(bed: TestBed) {
    let first = start::<Sharing>(&bed, ()).await;
    let second = start::<Sharing>(&bed, ()).await;
    drain(&bed, &Notes::default()).await;
    for id in [first, second] {
        assert_eq!(bed.run(id).await.run.output, Some(7.into()));
    }
}
