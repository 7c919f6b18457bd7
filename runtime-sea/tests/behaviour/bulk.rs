//! Many runs at once, and runs of jobs whose code is elsewhere.

use std::time::Duration;

use crate::support::TestBed;
use crate::support::statements::Statements;
use runtime_sea::{
    Collision, Event, EventRoute, JobContext, JobHandler, JobPolicy, JobResult, RawRun, RunFilter,
    RunStatus, StartError, StartOptions, begin,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

crate::on_each_database! {
    many_runs_are_started_in_the_order_of_their_inputs,
    many_runs_are_started_by_few_statements,
    many_events_are_published_by_few_statements,
    many_runs_commit_or_vanish_with_their_transaction,
    many_large_runs_and_events_are_stored_all_or_none,
    many_runs_of_a_job_that_deduplicates_are_each_decided,
    of_many_runs_of_a_job_that_rejects_none_is_started_where_one_is_refused,
    many_runs_of_one_key_wait_for_each_other,
    r38_a_client_without_the_code_starts_runs_by_name,
    r38_a_client_is_refused_a_job_that_no_worker_has_registered,
    r38_a_client_gives_the_keys_that_only_the_code_could_compute,
}

struct Plain;

impl JobHandler for Plain {
    const TYPE: &'static str = "plain";
    type Input = u32;
    type Output = u32;

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new()
            .pool("numbers")
            .scope("number", |number| *number)
            .timeout(Duration::from_secs(90))
    }

    async fn run(&self, _ctx: &JobContext, number: u32) -> JobResult<u32> {
        Ok(number + 1)
    }
}

struct Once;

impl JobHandler for Once {
    const TYPE: &'static str = "once";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().dedupe(Duration::from_secs(60), u32::to_string)
    }

    async fn run(&self, _ctx: &JobContext, _: u32) -> JobResult<()> {
        Ok(())
    }
}

struct Keyed<const REJECT: bool>;

impl<const REJECT: bool> JobHandler for Keyed<REJECT> {
    const TYPE: &'static str = if REJECT { "rejecting" } else { "queueing" };
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        let collision = if REJECT {
            Collision::Reject
        } else {
            Collision::Queue
        };
        JobPolicy::<u32>::new().concurrency(collision, |number| format!("key {}", number % 10))
    }

    async fn run(&self, _ctx: &JobContext, _: u32) -> JobResult<()> {
        Ok(())
    }
}

async fn count(bed: &TestBed) -> usize {
    let filter = RunFilter::new().limit(10_000);
    bed.runtime.jobs().list(filter).await.unwrap().len()
}

async fn many_runs_are_started_in_the_order_of_their_inputs(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let options = StartOptions::new().priority(3).tag("many");
    // More than one statement takes.
    let started = jobs
        .start_many_with::<Plain>(bed.runtime.db(), 0..2500, options)
        .await
        .unwrap();
    assert_eq!(started.len(), 2500);
    assert!(started.is_sorted_by_key(|it| it.run_id));
    for number in [0, 1234, 2499] {
        let run = bed.run(started[number].run_id).await.run;
        assert_eq!(run.input, json!(number));
        assert_eq!((run.status, run.priority), (RunStatus::Pending, 3));
        assert_eq!(
            (run.pool.as_str(), run.tags),
            ("numbers", vec!["many".to_owned()])
        );
        assert_eq!(run.scope_id, Some(number.to_string()));
    }
    assert_eq!(count(&bed).await, 2500);
    let worker = bed.runtime.worker().job(Plain).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(started[2499].run_id).await.run;
    assert_eq!(run.output, Some(json!(2500)));
    let none = jobs.start_many::<Plain>(bed.runtime.db(), []).await;
    assert_eq!(none.unwrap(), []);
}

async fn many_runs_are_started_by_few_statements(bed: TestBed) {
    let (runtime, statements) = Statements::of(&bed.runtime);
    let (jobs, db) = (runtime.jobs(), runtime.db());
    let inserts = || statements.take_those("INSERT INTO").len();
    jobs.start::<Plain>(db, 0).await.unwrap();
    assert_eq!(inserts(), 1);
    jobs.start_many::<Plain>(db, 0..100).await.unwrap();
    assert_eq!(inserts(), 1);
    jobs.start_many::<Plain>(db, 0..2500).await.unwrap();
    let many = inserts();
    assert!((1..=10).contains(&many), "{many}");
}

async fn many_events_are_published_by_few_statements(bed: TestBed) {
    let (runtime, statements) = Statements::of(&bed.runtime);
    let tx = begin(runtime.db()).await.unwrap();
    for (events, most) in [(100, 1), (2500, 10)] {
        let text = String::new;
        let many = (0..events).map(|_| ("file", Filed { text: text() }));
        runtime.events().publish_many(&tx, many).await.unwrap();
        let inserts = statements.take_those("INSERT ").len();
        assert!((1..=most).contains(&inserts), "{inserts} for {events}");
    }
}

async fn many_runs_commit_or_vanish_with_their_transaction(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let tx = begin(bed.runtime.db()).await.unwrap();
    jobs.start_many::<Plain>(&tx, 0..10).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(count(&bed).await, 0);
    let tx = begin(bed.runtime.db()).await.unwrap();
    jobs.start_many::<Plain>(&tx, 0..10).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&bed).await, 10);
}

struct Large;

impl JobHandler for Large {
    const TYPE: &'static str = "large";
    type Input = String;
    type Output = ();

    async fn run(&self, _ctx: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Filed {
    text: String,
}

impl Event for Filed {
    const TYPE: &'static str = "filed";
    const ROUTE: EventRoute = EventRoute::audit();
}

async fn many_large_runs_and_events_are_stored_all_or_none(bed: TestBed) {
    let text = || "x".repeat(1_000_000);
    for commits in [false, true] {
        let tx = begin(bed.runtime.db()).await.unwrap();
        let inputs = std::iter::repeat_with(text).take(20);
        let jobs = bed.runtime.jobs();
        jobs.start_many::<Large>(&tx, inputs).await.unwrap();
        let events = (0..20).map(|_| ("file", Filed { text: text() }));
        let published = bed.runtime.events().publish_many(&tx, events).await;
        assert_eq!(published.unwrap().len(), 20);
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let stored = if commits { 20 } else { 0 };
        for table in ["job_run", "domain_events"] {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            assert_eq!(bed.count(&sql).await, stored);
        }
    }
}

async fn many_runs_of_a_job_that_deduplicates_are_each_decided(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let first = jobs.start::<Once>(bed.runtime.db(), 2).await.unwrap();
    let started = jobs
        .start_many::<Once>(bed.runtime.db(), [1, 2, 3, 1])
        .await
        .unwrap();
    let deduplicated: Vec<_> = started.iter().map(|it| it.deduplicated).collect();
    assert_eq!(deduplicated, [false, true, false, true]);
    assert_eq!(started[1].run_id, first.run_id);
    assert_eq!(started[3].run_id, started[0].run_id);
    assert_eq!(count(&bed).await, 3);
}

async fn of_many_runs_of_a_job_that_rejects_none_is_started_where_one_is_refused(bed: TestBed) {
    type Rejecting = Keyed<true>;
    let jobs = bed.runtime.jobs();
    let tx = begin(bed.runtime.db()).await.unwrap();
    let refused = jobs.start_many::<Rejecting>(&tx, [1, 2, 11]).await;
    assert!(matches!(refused, Err(StartError::Rejected { key, .. }) if key == "key 1"));
    // The caller's transaction goes on.
    jobs.start::<Plain>(&tx, 1).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&bed).await, 1);
    let started = jobs
        .start_many::<Rejecting>(bed.runtime.db(), [1, 2, 3])
        .await;
    assert_eq!(started.unwrap().len(), 3);
}

async fn many_runs_of_one_key_wait_for_each_other(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    jobs.start_many::<Keyed<false>>(bed.runtime.db(), 0..50)
        .await
        .unwrap();
    let worker = bed.runtime.worker().job(Keyed::<false>).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let completed = RunFilter::new().status(RunStatus::Completed);
    assert_eq!(jobs.list(completed).await.unwrap().len(), 50);
}

async fn r38_a_client_without_the_code_starts_runs_by_name(bed: TestBed) {
    let worker = bed.runtime.worker().job(Plain).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let client = bed.other_process().await;
    let run = RawRun::new("plain", json!(41))
        .scope_id(41)
        .options(StartOptions::new().priority(2));
    let started = client.jobs().start_raw(client.db(), run).await.unwrap();
    let details = bed.run(started.run_id).await.run;
    assert_eq!((details.pool.as_str(), details.priority), ("numbers", 2));
    assert_eq!(details.scope_type.as_deref(), Some("number"));
    worker.drain_until_idle().await.unwrap();
    let details = bed.run(started.run_id).await.run;
    assert_eq!(details.output, Some(json!(42)));
}

async fn r38_a_client_is_refused_a_job_that_no_worker_has_registered(bed: TestBed) {
    let client = bed.other_process().await;
    let jobs = client.jobs();
    let unknown = || RawRun::new("plain", json!(1));
    let refused = jobs.start_raw(client.db(), unknown()).await;
    assert!(matches!(refused, Err(StartError::UnknownJob { job_type }) if job_type == "plain"));
    let lane = unknown().allow_unknown("events_change");
    let refused = jobs.start_raw(client.db(), lane).await;
    assert!(matches!(refused, Err(StartError::Policy { .. })));
    let started = jobs
        .start_raw(client.db(), unknown().allow_unknown("somewhere"))
        .await
        .unwrap();
    // The worker that knows the job knows where its runs belong.
    let worker = bed.runtime.worker().job(Plain).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let run = bed.run(started.run_id).await.run;
    assert_eq!(
        (run.status, run.pool.as_str()),
        (RunStatus::Completed, "numbers")
    );
}

async fn r38_a_client_gives_the_keys_that_only_the_code_could_compute(bed: TestBed) {
    let worker = bed
        .runtime
        .worker()
        .job(Once)
        .job(Keyed::<true>)
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    let jobs = bed.runtime.jobs();
    let start = async |run: RawRun| jobs.start_raw(bed.runtime.db(), run).await;
    for run in [
        RawRun::new("once", json!(1)),
        RawRun::new("rejecting", json!(1)),
        RawRun::new("rejecting", json!(1))
            .concurrency_key("key 1")
            .dedupe_key("1"),
    ] {
        let refused = start(run).await;
        assert!(
            matches!(refused, Err(StartError::Policy { .. })),
            "{refused:?}"
        );
    }
    let once = || RawRun::new("once", json!(1)).dedupe_key("1");
    let first = start(once()).await.unwrap();
    let again = start(once()).await.unwrap();
    assert_eq!((again.run_id, again.deduplicated), (first.run_id, true));
    let keyed = || RawRun::new("rejecting", json!(1)).concurrency_key("key 1");
    start(keyed()).await.unwrap();
    assert!(matches!(
        start(keyed()).await,
        Err(StartError::Rejected { .. })
    ));
}
