//! Replays and retries of runs that are over.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{TestBed, until, while_working};
use runtime_sea::jobs::Cancelled;
use runtime_sea::{
    Collision, JobContext, JobError, JobHandler, JobPolicy, JobResult, Replay, Replayed, Retry,
    RunId, RunStatus,
};

crate::on_each_database! {
    a_replay_executes_again_what_it_is_asked_to,
    a_retried_run_has_all_its_attempts_again_and_keeps_its_history,
    only_a_run_that_is_over_is_replayed,
    of_two_replays_at_once_one_counts,
    a_replayed_run_waits_for_its_concurrency_key,
    a_replay_is_refused_while_a_rejecting_key_is_taken,
    a_replay_is_refused_while_its_deduplication_window_is_open_for_another_run,
    a_replayed_run_has_its_whole_time_again,
    a_retried_run_begins_the_wait_anew_that_it_was_cancelled_in,
}

#[derive(Clone, Default)]
pub(crate) struct Effects {
    notes: Arc<Mutex<Vec<String>>>,
    pub(crate) broken: Arc<Mutex<bool>>,
}

impl Effects {
    pub(crate) fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }

    pub(crate) fn break_it(&self, broken: bool) {
        *self.broken.lock().unwrap() = broken;
    }
}

struct Steps(Effects);

impl JobHandler for Steps {
    const TYPE: &'static str = "steps";
    type Input = ();
    type Output = u32;

    fn policy() -> JobPolicy<()> {
        JobPolicy::new()
            .retry(Retry::fixed(2, Duration::ZERO))
            .timeout(Duration::from_secs(60))
    }

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<u32> {
        let note = |text: &'static str| {
            let effects = self.0.clone();
            move || async move {
                effects.note(text);
                Ok::<_, JobError>(())
            }
        };
        ctx.step("one", note("one")).await?;
        ctx.step("two", note("two")).await?;
        self.0.note("between");
        if *self.0.broken.lock().unwrap() {
            return Err(JobError::retryable("broken"));
        }
        ctx.step("three", note("three")).await?;
        Ok(ctx.attempt())
    }
}

pub(crate) async fn start<J: JobHandler>(bed: &TestBed, input: J::Input) -> RunId {
    let jobs = bed.runtime.jobs();
    jobs.start::<J>(bed.runtime.db(), input)
        .await
        .unwrap()
        .run_id
}

async fn drain<J: JobHandler>(bed: &TestBed, job: J) {
    let worker = bed.runtime.worker().job(job).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

pub(crate) async fn replay(bed: &TestBed, id: RunId, replay: Replay) -> Replayed {
    bed.runtime.jobs().replay(id, replay).await.unwrap()
}

async fn a_replay_executes_again_what_it_is_asked_to(bed: TestBed) {
    let effects = Effects::default();
    let id = start::<Steps>(&bed, ()).await;
    drain(&bed, Steps(effects.clone())).await;
    assert_eq!(effects.take(), ["one", "two", "between", "three"]);
    for (from, executed) in [
        (Replay::LastCheckpoint, vec!["between"]),
        (Replay::LastStep, vec!["between", "three"]),
        (Replay::Scratch, vec!["one", "two", "between", "three"]),
    ] {
        assert_eq!(replay(&bed, id, from).await, Replayed::Pending);
        let run = bed.run(id).await.run;
        assert_eq!((run.status, run.output), (RunStatus::Pending, None));
        drain(&bed, Steps(effects.clone())).await;
        assert_eq!(effects.take(), executed, "{from:?}");
        let run = bed.run(id).await.run;
        assert_eq!((run.status, run.attempt), (RunStatus::Completed, 1));
        assert_eq!(run.output, Some(1.into()));
    }
}

async fn a_retried_run_has_all_its_attempts_again_and_keeps_its_history(bed: TestBed) {
    let effects = Effects::default();
    effects.break_it(true);
    let jobs = bed.runtime.jobs();
    let id = start::<Steps>(&bed, ()).await;
    drain(&bed, Steps(effects.clone())).await;
    assert_eq!(bed.status(id).await, RunStatus::Failed);
    assert_eq!(effects.take(), ["one", "two", "between", "between"]);
    bed.sql("UPDATE job_run SET recoveries = 4").await;
    assert_eq!(jobs.retry(id).await.unwrap(), Replayed::Pending);
    assert_eq!(bed.run(id).await.run.recoveries, 0);
    drain(&bed, Steps(effects.clone())).await;
    assert_eq!(bed.status(id).await, RunStatus::Failed);
    assert_eq!(effects.take(), ["between", "between"]);
    effects.break_it(false);
    assert_eq!(replay(&bed, id, Replay::LastStep).await, Replayed::Pending);
    drain(&bed, Steps(effects.clone())).await;
    assert_eq!(effects.take(), ["two", "between", "three"]);
    let run = bed.run(id).await.run;
    assert_eq!((run.status, run.error), (RunStatus::Completed, None));
    let attempts: Vec<_> = run.errors.iter().map(|error| error.attempt).collect();
    assert_eq!(attempts, [1, 2, 1, 2]);
    assert_eq!(
        jobs.retry(id).await.unwrap(),
        Replayed::Refused(RunStatus::Completed)
    );
}

async fn only_a_run_that_is_over_is_replayed(bed: TestBed) {
    let id = start::<Steps>(&bed, ()).await;
    for status in [RunStatus::Pending, RunStatus::Running] {
        bed.sql(&format!("UPDATE job_run SET status = '{status}'"))
            .await;
        assert_eq!(
            replay(&bed, id, Replay::Scratch).await,
            Replayed::Refused(status)
        );
    }
    let unknown = RunId(uuid::Uuid::now_v7());
    assert_eq!(
        replay(&bed, unknown, Replay::Scratch).await,
        Replayed::NotFound
    );
}

async fn of_two_replays_at_once_one_counts(bed: TestBed) {
    let id = start::<Steps>(&bed, ()).await;
    drain(&bed, Steps(Effects::default())).await;
    let other = bed.other_process().await;
    let (one, two) = (bed.runtime.jobs(), other.jobs());
    let (one, two) = tokio::join!(one.replay(id, Replay::Scratch), two.retry(id));
    // A retry does not touch a completed run, and neither touches one that is pending again.
    assert_eq!(one.unwrap(), Replayed::Pending);
    assert!(matches!(two.unwrap(), Replayed::Refused(_)));
    bed.runtime.jobs().cancel(id).await.unwrap();
    let (one, two) = (bed.runtime.jobs(), other.jobs());
    let (one, two) = tokio::join!(one.retry(id), two.retry(id));
    let mut outcomes = [one.unwrap(), two.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome != Replayed::Pending);
    assert_eq!(
        outcomes,
        [Replayed::Pending, Replayed::Refused(RunStatus::Pending)]
    );
}

/// The input of a run that ends only when it is told to.
const UNTIL_CANCELLED: u32 = 99;

pub(crate) struct Keyed<const COLLISION: char>;

impl<const COLLISION: char> JobHandler for Keyed<COLLISION> {
    const TYPE: &'static str = match COLLISION {
        'q' => "queued",
        'r' => "rejected",
        _ => "deduplicated",
    };
    type Input = u32;
    type Output = u32;

    fn policy() -> JobPolicy<u32> {
        let policy = JobPolicy::<u32>::new();
        match COLLISION {
            'q' => policy.concurrency(Collision::Queue, |_| "queue".to_owned()),
            'r' => policy.concurrency(Collision::Reject, |_| "reject".to_owned()),
            _ => policy.dedupe(Duration::from_secs(60), |_| "dedupe".to_owned()),
        }
    }

    async fn run(&self, ctx: &JobContext, number: u32) -> JobResult<u32> {
        if number == UNTIL_CANCELLED {
            ctx.cancelled().cancelled().await;
            return Err(JobError::retryable("cancelled"));
        }
        Ok(number)
    }
}

async fn a_replayed_run_waits_for_its_concurrency_key(bed: TestBed) {
    type Queued = Keyed<'q'>;
    let worker = bed.runtime.worker().job(Keyed::<'q'>).build().unwrap();
    while_working(worker, async || {
        let first = start::<Queued>(&bed, 1).await;
        bed.until_status(first, RunStatus::Completed).await;
        let second = start::<Queued>(&bed, UNTIL_CANCELLED).await;
        bed.until_status(second, RunStatus::Running).await;
        assert_eq!(
            replay(&bed, first, Replay::Scratch).await,
            Replayed::Pending
        );
        until("it waits for the key", async || {
            bed.run(first).await.run.readiness == "blocked"
        })
        .await;
        bed.runtime.jobs().cancel(second).await.unwrap();
        bed.until_status(first, RunStatus::Completed).await;
        assert_eq!(bed.status(second).await, RunStatus::Canceled);
    })
    .await;
}

async fn a_replay_is_refused_while_a_rejecting_key_is_taken(bed: TestBed) {
    type Rejected = Keyed<'r'>;
    let first = start::<Rejected>(&bed, 1).await;
    drain(&bed, Keyed::<'r'>).await;
    let second = start::<Rejected>(&bed, 2).await;
    let jobs = bed.runtime.jobs();
    assert_eq!(
        replay(&bed, first, Replay::Scratch).await,
        Replayed::KeyTaken(second)
    );
    assert_eq!(bed.status(first).await, RunStatus::Completed);
    jobs.cancel(second).await.unwrap();
    // Of two that want it at once, one gets it.
    let (one, two) = tokio::join!(
        jobs.replay(first, Replay::Scratch),
        jobs.replay(second, Replay::Scratch)
    );
    let outcomes = [one.unwrap(), two.unwrap()];
    assert!(
        outcomes == [Replayed::Pending, Replayed::KeyTaken(first)]
            || outcomes == [Replayed::KeyTaken(second), Replayed::Pending],
        "{outcomes:?}"
    );
    assert!(jobs.start::<Rejected>(bed.runtime.db(), 3).await.is_err());
}

async fn a_replay_is_refused_while_its_deduplication_window_is_open_for_another_run(bed: TestBed) {
    type Deduplicated = Keyed<'d'>;
    let first = start::<Deduplicated>(&bed, 1).await;
    drain(&bed, Keyed::<'d'>).await;
    // In its own window.
    assert_eq!(
        replay(&bed, first, Replay::Scratch).await,
        Replayed::Pending
    );
    drain(&bed, Keyed::<'d'>).await;
    bed.sql("UPDATE job_dedupe SET expires_at = '2020-01-01 00:00:00'")
        .await;
    let second = start::<Deduplicated>(&bed, 2).await;
    assert_eq!(
        replay(&bed, first, Replay::Scratch).await,
        Replayed::Deduplicated(second)
    );
}

async fn a_replayed_run_has_its_whole_time_again(bed: TestBed) {
    let id = start::<Steps>(&bed, ()).await;
    drain(&bed, Steps(Effects::default())).await;
    bed.sql("UPDATE job_run SET deadline_at = '2020-01-01 00:00:00'")
        .await;
    replay(&bed, id, Replay::Scratch).await;
    drain(&bed, Steps(Effects::default())).await;
    assert_eq!(bed.status(id).await, RunStatus::Completed);
}

struct Sleeper;

impl JobHandler for Sleeper {
    const TYPE: &'static str = "sleeper";
    type Input = ();
    type Output = ();

    async fn run(&self, ctx: &JobContext, (): ()) -> JobResult<()> {
        ctx.sleep("rest", Duration::from_secs(3600)).await
    }
}

async fn a_retried_run_begins_the_wait_anew_that_it_was_cancelled_in(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    for clear_up in [false, true] {
        let id = start::<Sleeper>(&bed, ()).await;
        drain(&bed, Sleeper).await;
        assert_eq!(bed.status(id).await, RunStatus::Waiting);
        let until = bed.run(id).await.steps[0].wake_at;
        assert_eq!(jobs.cancel(id).await.unwrap(), Cancelled::AtOnce);
        if clear_up {
            // A worker sees to the waits of runs that are over.
            drain(&bed, Sleeper).await;
        }
        assert_eq!(jobs.retry(id).await.unwrap(), Replayed::Pending);
        drain(&bed, Sleeper).await;
        let details = bed.run(id).await;
        assert_eq!(details.run.status, RunStatus::Waiting);
        assert_eq!(details.steps[0].status, "waiting");
        assert!(details.steps[0].wake_at > until);
        jobs.cancel(id).await.unwrap();
    }
}
