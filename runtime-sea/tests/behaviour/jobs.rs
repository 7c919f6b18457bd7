//! Starting, executing and retrying runs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::TestBed;
use chrono::{TimeDelta, Utc};
use runtime_sea::worker::BuildError;
use runtime_sea::{
    JobContext, JobHandler, JobPolicy, JobResult, RunStatus, StartError, StartOptions,
};
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    a_started_run_is_executed_once_and_keeps_its_output,
    a_run_started_in_a_rolled_back_transaction_does_not_exist,
    a_run_waits_for_its_time,
    higher_priority_goes_first,
    r51_input_with_a_nul_character_is_refused,
    a_job_in_a_reserved_pool_is_refused,
    nothing_is_claimed_from_a_paused_pool,
    a_run_shows_its_scope_tags_and_tenant,
}

#[derive(Default, Clone)]
pub(crate) struct Double {
    calls: Arc<AtomicU32>,
}

impl JobHandler for Double {
    const TYPE: &'static str = "double";
    type Input = u32;
    type Output = u32;

    async fn run(&self, _ctx: &JobContext, input: u32) -> JobResult<u32> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(input * 2)
    }
}

async fn a_started_run_is_executed_once_and_keeps_its_output(bed: TestBed) {
    let double = Double::default();
    let started = bed
        .runtime
        .jobs()
        .start::<Double>(bed.runtime.db(), 21)
        .await
        .unwrap();
    assert!(!started.deduplicated);
    let worker = bed.runtime.worker().job(double.clone()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    worker.drain_until_idle().await.unwrap();
    let details = bed.run(started.run_id).await;
    assert_eq!(details.run.status, RunStatus::Completed);
    assert_eq!(details.run.output, Some(42.into()));
    assert_eq!(details.run.attempt, 1);
    assert_eq!(double.calls.load(Ordering::SeqCst), 1);
}

async fn a_run_started_in_a_rolled_back_transaction_does_not_exist(bed: TestBed) {
    let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
    let gone = bed.runtime.jobs().start::<Double>(&tx, 1).await.unwrap();
    tx.rollback().await.unwrap();
    let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
    let kept = bed.runtime.jobs().start::<Double>(&tx, 1).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bed.runtime.jobs().show(gone.run_id).await.unwrap(), None);
    assert_eq!(bed.status(kept.run_id).await, RunStatus::Pending);
}

async fn a_run_waits_for_its_time(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let db = bed.runtime.db();
    let start = async |options| {
        jobs.start_with::<Double>(db, 1, options)
            .await
            .unwrap()
            .run_id
    };
    let later = start(StartOptions::new().delay(Duration::from_secs(3600))).await;
    let tomorrow = start(StartOptions::new().run_at(Utc::now() + TimeDelta::days(1))).await;
    let past = start(StartOptions::new().run_at(Utc::now() - TimeDelta::days(1))).await;
    let soon = start(StartOptions::new().delay(Duration::from_millis(300))).await;
    let worker = bed.runtime.worker().job(Double::default()).build().unwrap();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone().drop_guard();
    let running = tokio::spawn(async move { worker.run(shutdown).await });
    bed.until_status(soon, RunStatus::Completed).await;
    bed.until_status(past, RunStatus::Completed).await;
    drop(stop);
    running.await.unwrap().unwrap();
    for id in [later, tomorrow] {
        let run = bed.run(id).await.run;
        assert_eq!((run.status, run.attempt), (RunStatus::Pending, 0));
    }
    let run = bed.run(soon).await.run;
    assert!(run.started_at.unwrap() >= run.run_at, "{run:?}");
}

/// Notes the order in which its runs are executed.
#[derive(Default, Clone)]
struct Note {
    order: Arc<Mutex<Vec<u32>>>,
}

impl JobHandler for Note {
    const TYPE: &'static str = "note";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::new()
            .pool("interactive")
            .scope("number", |number| *number)
    }

    async fn run(&self, _ctx: &JobContext, number: u32) -> JobResult<()> {
        self.order.lock().unwrap().push(number);
        Ok(())
    }
}

async fn higher_priority_goes_first(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    for (number, priority) in [(1, 0), (2, 5), (3, -5), (4, 5)] {
        let options = StartOptions::new().priority(priority);
        jobs.start_with::<Note>(bed.runtime.db(), number, options)
            .await
            .unwrap();
    }
    let note = Note::default();
    let worker = bed
        .runtime
        .worker()
        .job(note.clone())
        .concurrency(1)
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*note.order.lock().unwrap(), [2, 4, 1, 3]);
}

struct Text;

impl JobHandler for Text {
    const TYPE: &'static str = "text";
    type Input = String;
    type Output = String;

    async fn run(&self, _ctx: &JobContext, text: String) -> JobResult<String> {
        Ok(format!("{text}\0"))
    }
}

async fn r51_input_with_a_nul_character_is_refused(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let refused = jobs
        .start::<Text>(bed.runtime.db(), "a\0b".to_owned())
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::Input { .. }), "{refused}");
    let id = jobs
        .start::<Text>(bed.runtime.db(), "fine".to_owned())
        .await
        .unwrap()
        .run_id;
    bed.runtime
        .worker()
        .job(Text)
        .build()
        .unwrap()
        .drain_until_idle()
        .await
        .unwrap();
    let run = bed.run(id).await.run;
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.error.unwrap().contains("NUL character"));
}

struct Reserved;

impl JobHandler for Reserved {
    const TYPE: &'static str = "reserved";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().pool("events_change")
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn a_job_in_a_reserved_pool_is_refused(bed: TestBed) {
    let refused = bed.runtime.worker().job(Reserved).build().unwrap_err();
    assert!(
        matches!(refused, BuildError::ReservedPool { .. }),
        "{refused}"
    );
    let refused = bed
        .runtime
        .jobs()
        .start::<Reserved>(bed.runtime.db(), ())
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::Policy { .. }), "{refused}");
    let twice = bed
        .runtime
        .worker()
        .job(Note::default())
        .job(Note::default())
        .build()
        .unwrap_err();
    assert!(matches!(twice, BuildError::DuplicateJob { .. }), "{twice}");
}

async fn nothing_is_claimed_from_a_paused_pool(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    jobs.pause_pool("interactive").await.unwrap();
    let paused = jobs
        .start::<Note>(bed.runtime.db(), 1)
        .await
        .unwrap()
        .run_id;
    let other = jobs
        .start::<Double>(bed.runtime.db(), 1)
        .await
        .unwrap()
        .run_id;
    let worker = bed
        .runtime
        .worker()
        .job(Note::default())
        .job(Double::default())
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(paused).await, RunStatus::Pending);
    assert_eq!(bed.status(other).await, RunStatus::Completed);
    jobs.resume_pool("interactive").await.unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(bed.status(paused).await, RunStatus::Completed);
}

async fn a_run_shows_its_scope_tags_and_tenant(bed: TestBed) {
    let options = StartOptions::new()
        .tag("nightly")
        .tag("slow")
        .tenant(Some("acme"));
    let jobs = bed.runtime.jobs();
    let id = jobs
        .start_with::<Note>(bed.runtime.db(), 7, options)
        .await
        .unwrap()
        .run_id;
    let run = bed.run(id).await.run;
    assert_eq!(
        run.scope_type.zip(run.scope_id),
        Some(("number".to_owned(), "7".to_owned()))
    );
    assert_eq!(run.tags, ["nightly", "slow"]);
    assert_eq!(run.tenant_id.as_deref(), Some("acme"));
    assert_eq!(run.root_run_id, id);
    let found = jobs
        .list(runtime_sea::RunFilter::new().scope("number", 7))
        .await
        .unwrap();
    assert_eq!(found.iter().map(|run| run.id).collect::<Vec<_>>(), [id]);
}
