//! Replays of runs that have children.

use crate::replay::{Effects, Keyed, replay, start};

use std::time::Duration;

use crate::support::{TestBed, while_working};
use runtime_sea::jobs::Cancelled;
use runtime_sea::{
    JobContext, JobError, JobHandler, JobPolicy, JobResult, ParentClose, Replay, Replayed, Retry,
    RunStatus, StartOptions, Worker,
};
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    a_replayed_run_finds_its_children_again,
    a_retried_run_takes_the_children_back_that_were_cancelled_with_it,
    a_child_that_a_replay_finds_takes_over_the_deduplication_window,
    children_that_are_still_stopping_when_their_parent_is_retried_go_on,
    a_child_that_somebody_cancelled_stays_cancelled_when_its_parent_is_retried,
}

struct Parent(Effects);
struct Child(Effects);

impl JobHandler for Parent {
    const TYPE: &'static str = "parent";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let id = ctx.spawn_child::<Child>("now", ()).await?;
        let later = StartOptions::new().delay(Duration::from_secs(3600));
        ctx.spawn_child_with::<Child>("later", (), later).await?;
        self.0.note(&id.to_string());
        if *self.0.broken.lock().unwrap() {
            return Err(JobError::retryable("broken"));
        }
        Ok(())
    }
}

impl JobHandler for Child {
    const TYPE: &'static str = "child";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let note = async || {
            self.0.note("child");
            Ok::<_, JobError>(())
        };
        ctx.step("note", note).await
    }
}

async fn drain_both(bed: &TestBed, effects: &Effects) {
    let worker = bed
        .runtime
        .worker()
        .job(Parent(effects.clone()))
        .job(Child(effects.clone()))
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn a_replayed_run_finds_its_children_again(bed: TestBed) {
    let effects = Effects::default();
    let id = start::<Parent>(&bed, ()).await;
    drain_both(&bed, &effects).await;
    let child = bed.run(id).await.children[0].id;
    let mut notes = effects.take();
    notes.sort();
    assert_eq!(notes, [child.to_string(), "child".to_owned()]);
    assert_eq!(replay(&bed, id, Replay::Scratch).await, Replayed::Pending);
    drain_both(&bed, &effects).await;
    assert_eq!(effects.take(), [child.to_string()]);
    assert_eq!(bed.run(id).await.children.len(), 2);
}

async fn a_retried_run_takes_the_children_back_that_were_cancelled_with_it(bed: TestBed) {
    let effects = Effects::default();
    effects.break_it(true);
    let jobs = bed.runtime.jobs();
    let id = start::<Parent>(&bed, ()).await;
    drain_both(&bed, &effects).await;
    let children = bed.run(id).await.children;
    let later = children
        .iter()
        .find(|it| it.child_name.as_deref() == Some("later"))
        .unwrap();
    assert_eq!(later.status, RunStatus::Canceled);
    effects.break_it(false);
    assert_eq!(jobs.retry(id).await.unwrap(), Replayed::Pending);
    drain_both(&bed, &effects).await;
    assert_eq!(bed.status(id).await, RunStatus::Completed);
    assert_eq!(bed.status(later.id).await, RunStatus::Completed);
    // Somebody's own decision stays.
    let other = start::<Parent>(&bed, ()).await;
    effects.break_it(true);
    drain_both(&bed, &effects).await;
    let children = bed.run(other).await.children;
    bed.sql("UPDATE job_run SET closed_by_parent = false WHERE status = 'canceled'")
        .await;
    jobs.retry(other).await.unwrap();
    for child in children {
        assert!(bed.status(child.id).await.is_final());
    }
}

struct Spawns;

impl JobHandler for Spawns {
    const TYPE: &'static str = "spawns";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.spawn_child::<Keyed<'d'>>("child", 1).await.map(drop)
    }
}

async fn a_child_that_a_replay_finds_takes_over_the_deduplication_window(bed: TestBed) {
    let id = start::<Spawns>(&bed, ()).await;
    let spawns = async || {
        let worker = bed.runtime.worker().job(Spawns).job(Keyed::<'d'>);
        worker.build().unwrap().drain_until_idle().await.unwrap();
    };
    spawns().await;
    let child = bed.run(id).await.children[0].id;
    bed.sql("UPDATE job_dedupe SET expires_at = '2020-01-01 00:00:00'")
        .await;
    assert_eq!(replay(&bed, id, Replay::Scratch).await, Replayed::Pending);
    spawns().await;
    assert_eq!(bed.run(id).await.children.len(), 1);
    // The window that the replay has opened anew is for the child, not for a run that was never stored.
    assert_eq!(start::<Keyed<'d'>>(&bed, 2).await, child);
}

/// What the test and its handlers tell one another.
#[derive(Clone, Default)]
struct Signals {
    child_runs: CancellationToken,
    child_stops: CancellationToken,
    child_may_stop: CancellationToken,
    parent_may_fail: CancellationToken,
}

struct FailsOnce(Signals);
struct StopsSlowly(Signals);

impl JobHandler for FailsOnce {
    const TYPE: &'static str = "fails_once";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        let once = StartOptions::new().parent_close(ParentClose::Cancel);
        ctx.spawn_child_with::<StopsSlowly>("slow", (), once)
            .await?;
        if !self.0.parent_may_fail.is_cancelled() {
            self.0.parent_may_fail.cancelled().await;
            return Err(JobError::retryable("broken"));
        }
        Ok(())
    }
}

impl JobHandler for StopsSlowly {
    const TYPE: &'static str = "stops_slowly";
    type Input = ();
    type Output = u32;

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        if self.0.child_runs.is_cancelled() {
            return Ok(ctx.attempt());
        }
        self.0.child_runs.cancel();
        ctx.cancelled().cancelled().await;
        self.0.child_stops.cancel();
        self.0.child_may_stop.cancelled().await;
        Err(JobError::retryable("told to stop"))
    }
}

fn slow_tree(bed: &TestBed, signals: &Signals) -> Worker {
    let worker = bed.runtime.worker();
    let worker = worker.job(FailsOnce(signals.clone()));
    worker.job(StopsSlowly(signals.clone())).build().unwrap()
}

async fn children_that_are_still_stopping_when_their_parent_is_retried_go_on(bed: TestBed) {
    let signals = Signals::default();
    while_working(slow_tree(&bed, &signals), async || {
        let id = start::<FailsOnce>(&bed, ()).await;
        signals.child_runs.cancelled().await;
        signals.parent_may_fail.cancel();
        signals.child_stops.cancelled().await;
        bed.until_status(id, RunStatus::Failed).await;
        let retried = bed.runtime.jobs().retry(id).await.unwrap();
        assert_eq!(retried, Replayed::Pending);
        signals.child_may_stop.cancel();
        bed.until_status(id, RunStatus::Completed).await;
        let child = bed.run(id).await.children[0].id;
        bed.until_status(child, RunStatus::Completed).await;
        assert_eq!(bed.run(child).await.run.output, Some(1.into()));
    })
    .await;
}

async fn a_child_that_somebody_cancelled_stays_cancelled_when_its_parent_is_retried(bed: TestBed) {
    for before_its_parent in [true, false] {
        let signals = Signals::default();
        while_working(slow_tree(&bed, &signals), async || {
            let jobs = bed.runtime.jobs();
            let id = start::<FailsOnce>(&bed, ()).await;
            signals.child_runs.cancelled().await;
            let child = bed.run(id).await.children[0].id;
            if before_its_parent {
                jobs.cancel(child).await.unwrap();
            }
            signals.parent_may_fail.cancel();
            bed.until_status(id, RunStatus::Failed).await;
            if !before_its_parent && jobs.cancel(child).await.unwrap() != Cancelled::Requested {
                // This machine was too slow: the child has stopped already.
                return;
            }
            assert_eq!(jobs.retry(id).await.unwrap(), Replayed::Pending);
            signals.child_may_stop.cancel();
            bed.until_status(child, RunStatus::Canceled).await;
            bed.until_status(id, RunStatus::Completed).await;
            assert_eq!(bed.status(child).await, RunStatus::Canceled);
        })
        .await;
    }
}
