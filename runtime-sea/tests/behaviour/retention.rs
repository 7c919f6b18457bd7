//! What is over is cleared away in time, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::statements::Statements;
use crate::support::{TestBed, until, while_working};
use runtime_sea::{
    Event, EventFilter, EventRoute, JobContext, JobError, JobHandler, JobPolicy, JobResult,
    Replayed, Retention, Retry, RunFilter, RunId, RunStatus, StartOptions, begin,
};
use sea_orm::{ConnectionTrait, Statement};
use serde::{Deserialize, Serialize};

crate::on_each_database! {
    runs_are_cleared_away_by_their_age_and_outcome,
    a_run_stays_while_its_parent_or_a_child_is_not_over,
    children_stay_as_long_as_their_parent,
    a_child_that_another_run_found_stays_as_long_as_that_run,
    what_is_just_being_retried_is_not_cleared_away,
    of_retries_and_a_clearing_that_race_none_leaves_half_a_tree,
    r64_runs_that_must_stay_do_not_keep_others_from_being_cleared_away,
    events_are_cleared_away_with_their_deliveries_and_ledger,
    more_events_than_one_batch_has_are_cleared_away,
    a_worker_clears_away_by_itself,
    a_worker_for_events_alone_clears_the_ledger_of_its_events_too,
    jobs_that_nobody_hosts_are_marked_and_never_deleted,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Work;

impl JobHandler for Work {
    const TYPE: &'static str = "work";
    type Input = bool;
    type Output = ();

    fn policy() -> JobPolicy<bool> {
        JobPolicy::new()
            .retry(Retry::none())
            .on::<Happened>(|event| event.payload.work.then_some(true))
    }

    async fn run(&self, ctx: &JobContext, good: bool) -> JobResult<()> {
        ctx.step("step", async || Ok::<_, JobError>(())).await?;
        if good {
            return Ok(());
        }
        Err(JobError::non_retryable("no good"))
    }
}

struct Parent;

impl JobHandler for Parent {
    const TYPE: &'static str = "parent";
    type Input = bool;
    type Output = ();

    async fn run(&self, ctx: &JobContext, later: bool) -> JobResult<()> {
        let mut options = StartOptions::new();
        if later {
            options = options.delay(DAY);
        }
        ctx.spawn_child_with::<Work>("work", true, options).await?;
        Ok(())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Happened {
    work: bool,
}

impl Event for Happened {
    const TYPE: &'static str = "happened";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

async fn start<J: JobHandler>(bed: &TestBed, input: J::Input) -> RunId {
    let jobs = bed.runtime.jobs();
    jobs.start::<J>(bed.runtime.db(), input)
        .await
        .unwrap()
        .run_id
}

async fn drain(bed: &TestBed) {
    let worker = bed
        .runtime
        .worker()
        .job(Work)
        .job(Parent)
        .retention(Retention::forever())
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn count(bed: &TestBed, table: &str) -> i64 {
    let db = bed.runtime.db();
    let sql = format!("SELECT COUNT(*) AS number FROM {table}");
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get("", "number").unwrap()
}

async fn age_runs(bed: &TestBed) {
    bed.sql("UPDATE job_run SET finished_at = '2020-01-01 00:00:00' WHERE finished_at IS NOT NULL")
        .await;
}

/// Everything that is over for more than a day.
fn a_day() -> Retention {
    Retention::new()
        .completed(DAY)
        .failed(DAY)
        .events(DAY)
        .failed_events(DAY)
}

async fn runs_are_cleared_away_by_their_age_and_outcome(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let good = start::<Work>(&bed, true).await;
    let bad = start::<Work>(&bed, false).await;
    drain(&bed).await;
    let waits = start::<Work>(&bed, true).await;
    assert_eq!(count(&bed, "job_step").await, 2);
    assert_eq!(jobs.prune(a_day()).await.unwrap().runs, 0);
    age_runs(&bed).await;
    assert_eq!(jobs.prune(Retention::forever()).await.unwrap().runs, 0);
    let good_only = Retention::forever().completed(DAY);
    assert_eq!(jobs.prune(good_only).await.unwrap().runs, 1);
    assert_eq!(jobs.show(good).await.unwrap(), None);
    for status in ["canceled", "timed_out", "failed"] {
        let ended = format!("status = '{status}' WHERE {}", id_is(&bed, bad));
        bed.sql(&format!("UPDATE job_run SET {ended}")).await;
        assert_eq!(jobs.prune(good_only).await.unwrap().runs, 0, "{status}");
    }
    assert!(jobs.show(bad).await.unwrap().is_some());
    assert_eq!(count(&bed, "job_step").await, 1);
    assert_eq!(jobs.prune(Retention::new()).await.unwrap().runs, 1);
    assert_eq!(jobs.show(bad).await.unwrap(), None);
    assert!(jobs.show(waits).await.unwrap().is_some());
}

async fn a_run_stays_while_its_parent_or_a_child_is_not_over(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let above = start::<Parent>(&bed, true).await;
    let below = start::<Parent>(&bed, false).await;
    drain(&bed).await;
    age_runs(&bed).await;
    // As if it went on.
    bed.sql("UPDATE job_run SET status = 'waiting', finished_at = NULL WHERE job_type = 'parent' AND id NOT IN (SELECT parent_run_id FROM (SELECT parent_run_id FROM job_run WHERE parent_run_id IS NOT NULL AND status = 'pending') AS it)")
        .await;
    assert_eq!(jobs.prune(a_day()).await.unwrap().runs, 0);
    bed.sql("UPDATE job_run SET status = 'completed', finished_at = '2020-01-01 00:00:00'")
        .await;
    assert_eq!(jobs.prune(a_day()).await.unwrap().runs, 4);
    for id in [above, below] {
        assert_eq!(jobs.show(id).await.unwrap(), None);
    }
}

/// Spawns a child whose deduplication key may have found another run's, and needs its output.
struct Needy(Arc<AtomicBool>);
struct Needed;

impl JobHandler for Needy {
    const TYPE: &'static str = "needy";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, key: u32) -> JobResult<()> {
        ctx.spawn_child::<Needed>("needed", key).await?;
        let outcome = ctx.child_output::<Needed>("needed").await?;
        outcome.completed()?;
        if self.0.load(Ordering::SeqCst) {
            return Err(JobError::retryable("broken"));
        }
        Ok(())
    }
}

impl JobHandler for Needed {
    const TYPE: &'static str = "needed";
    type Input = u32;
    type Output = u32;

    fn policy() -> JobPolicy<u32> {
        JobPolicy::new().dedupe(DAY, |key| format!("needed:{key}"))
    }

    async fn run(&self, _: &JobContext, key: u32) -> JobResult<u32> {
        Ok(key)
    }
}

async fn drain_needy(bed: &TestBed, broken: bool) {
    let worker = bed
        .runtime
        .worker()
        .job(Needy(Arc::new(AtomicBool::new(broken))))
        .job(Needed)
        .retention(Retention::forever())
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn children_stay_as_long_as_their_parent(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let id = start::<Needy>(&bed, 1).await;
    drain_needy(&bed, true).await;
    assert_eq!(bed.status(id).await, RunStatus::Failed);
    age_runs(&bed).await;
    let completed_only = Retention::forever().completed(DAY);
    assert_eq!(jobs.prune(completed_only).await.unwrap().runs, 0);
    // It has a child to come back to.
    assert_eq!(jobs.retry(id).await.unwrap(), Replayed::Pending);
    drain_needy(&bed, false).await;
    assert_eq!(bed.status(id).await, RunStatus::Completed);
    age_runs(&bed).await;
    assert_eq!(jobs.prune(completed_only).await.unwrap().runs, 2);
}

async fn a_child_that_another_run_found_stays_as_long_as_that_run(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let first = start::<Needy>(&bed, 1).await;
    drain_needy(&bed, false).await;
    let second = start::<Needy>(&bed, 1).await;
    drain_needy(&bed, true).await;
    let child = bed.run(first).await.children[0].id;
    age_runs(&bed).await;
    let completed_only = Retention::forever().completed(DAY);
    assert_eq!(jobs.prune(completed_only).await.unwrap().runs, 1);
    assert_eq!(jobs.show(first).await.unwrap(), None);
    assert_eq!(bed.status(child).await, RunStatus::Completed);
    assert_eq!(jobs.retry(second).await.unwrap(), Replayed::Pending);
    drain_needy(&bed, false).await;
    assert_eq!(bed.status(second).await, RunStatus::Completed);
    // Runs that found one another do not keep one another for ever.
    bed.sql("UPDATE job_step SET child_run_id = run_id").await;
    age_runs(&bed).await;
    assert_eq!(jobs.prune(completed_only).await.unwrap().runs, 2);
}

async fn what_is_just_being_retried_is_not_cleared_away(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let id = start::<Needy>(&bed, 1).await;
    drain_needy(&bed, true).await;
    age_runs(&bed).await;
    // As a replay that has not committed yet.
    let tx = begin(bed.runtime.db()).await.unwrap();
    let retry = format!(
        "UPDATE job_run SET status = 'pending', finished_at = NULL WHERE {}",
        id_is(&bed, id)
    );
    tx.execute_unprepared(&retry).await.unwrap();
    let waits_its_turn = bed.runtime.db().get_database_backend() == sea_orm::DbBackend::Sqlite;
    if waits_its_turn {
        let (pruned, committed) = tokio::join!(jobs.prune(a_day()), tx.commit());
        committed.unwrap();
        assert_eq!(pruned.unwrap().runs, 0);
    } else {
        assert_eq!(jobs.prune(a_day()).await.unwrap().runs, 0);
        tx.commit().await.unwrap();
    }
    assert_eq!(bed.status(id).await, RunStatus::Pending);
    assert_eq!(bed.run(id).await.children.len(), 1);
}

async fn of_retries_and_a_clearing_that_race_none_leaves_half_a_tree(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let mut ids = Vec::new();
    for key in 0..24 {
        ids.push(start::<Needy>(&bed, key).await);
    }
    drain_needy(&bed, true).await;
    age_runs(&bed).await;
    let other = bed.other_process().await;
    let retries = async {
        let jobs = other.jobs();
        for id in &ids {
            jobs.retry(*id).await.unwrap();
        }
    };
    let (pruned, ()) = tokio::join!(jobs.prune(a_day()), retries);
    pruned.unwrap();
    let of_nobody = "SELECT COUNT(*) FROM job_step AS step WHERE step.child_run_id IS NOT NULL \
        AND NOT EXISTS (SELECT 1 FROM job_run AS child WHERE child.id = step.child_run_id)";
    assert_eq!(bed.count(of_nobody).await, 0);
    jobs.prune(a_day()).await.unwrap();
    drain_needy(&bed, false).await;
    let runs = jobs.list(RunFilter::new()).await.unwrap();
    assert!(runs.iter().all(|run| run.status == RunStatus::Completed));
}

async fn r64_runs_that_must_stay_do_not_keep_others_from_being_cleared_away(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    jobs.start_many::<Work>(bed.runtime.db(), std::iter::repeat_n(true, 2700))
        .await
        .unwrap();
    let parent = start::<Work>(&bed, true).await;
    // More of them than one batch has belong to a run that is not over, all from one moment and before the others.
    let (first_day, second_day) = (long_ago(&bed, 1), long_ago(&bed, 2));
    bed.sql(&format!(
        "UPDATE job_run SET status = 'completed', finished_at = '{second_day}'"
    ))
    .await;
    let running = format!(
        "UPDATE job_run SET status = 'running', finished_at = NULL WHERE {}",
        id_is(&bed, parent)
    );
    bed.sql(&running).await;
    let first = "SELECT id FROM (SELECT id FROM job_run WHERE status = 'completed' ORDER BY id LIMIT 2300) AS it";
    let theirs = format!(
        "UPDATE job_run SET parent_run_id = (SELECT id FROM (SELECT id FROM job_run WHERE status = 'running') AS parent), finished_at = '{first_day}' WHERE id IN ({first})"
    );
    bed.sql(&theirs).await;
    assert_eq!(jobs.prune(a_day()).await.unwrap().runs, 400);
    assert_eq!(jobs.prune(a_day()).await.unwrap().runs, 0);
    bed.sql(&format!(
        "UPDATE job_run SET status = 'completed', finished_at = '{first_day}'"
    ))
    .await;
    let (runtime, statements) = Statements::of(&bed.runtime);
    let pruned = runtime.jobs().prune(a_day()).await.unwrap();
    assert_eq!(pruned.runs, 2301);
    assert_small_deletes(&statements);
    assert_eq!(jobs.list(RunFilter::new()).await.unwrap(), []);
}

/// That more than two thousand rows were deleted by the thousand.
fn assert_small_deletes(statements: &Statements) {
    let deletes = statements.take_those("DELETE FROM");
    assert!(deletes.len() >= 3, "{deletes:?}");
    for delete in deletes {
        let rows = delete.values.map_or(0, |it| it.0.len());
        assert!(rows <= 1000, "{rows} rows: {}", delete.sql);
    }
}

/// Long ago, as the database writes it.
fn long_ago(bed: &TestBed, day: u32) -> String {
    match bed.runtime.db().get_database_backend() {
        sea_orm::DbBackend::Sqlite => format!("2020-01-0{day}T00:00:00.000+00:00"),
        _ => format!("2020-01-0{day} 00:00:00"),
    }
}

/// The condition that a row is this run's, as the database writes ids.
fn id_is(bed: &TestBed, id: RunId) -> String {
    match bed.runtime.db().get_database_backend() {
        sea_orm::DbBackend::Postgres => format!("id = '{id}'"),
        _ => format!("id = X'{}'", id.as_uuid().simple()),
    }
}

async fn events_are_cleared_away_with_their_deliveries_and_ledger(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let events = bed.runtime.events();
    for work in [true, false, true] {
        let tx = begin(bed.runtime.db()).await.unwrap();
        events
            .publish(&tx, "thing", Happened { work })
            .await
            .unwrap();
        tx.commit().await.unwrap();
        if !work {
            // The last one is not delivered.
            drain(&bed).await;
        }
    }
    assert_eq!(count(&bed, "bridge_delivery").await, 2);
    assert_eq!(jobs.prune(a_day()).await.unwrap().events, 0);
    let old = long_ago(&bed, 1);
    bed.sql(&format!("UPDATE domain_events SET created_at = '{old}'"))
        .await;
    bed.sql(&format!(
        "UPDATE domain_events SET processed_at = '{old}' WHERE processed_at IS NOT NULL"
    ))
    .await;
    assert_eq!(jobs.prune(Retention::forever()).await.unwrap().events, 0);
    let are_now = async |status: &str| {
        let sql = format!("SET status = '{status}' WHERE processed_at IS NOT NULL");
        bed.sql(&format!("UPDATE domain_events {sql}")).await;
    };
    are_now("failed").await;
    let processed_only = Retention::forever().events(DAY);
    assert_eq!(jobs.prune(processed_only).await.unwrap().events, 0);
    are_now("processed").await;
    assert_eq!(jobs.prune(a_day()).await.unwrap().events, 2);
    assert_eq!(count(&bed, "bridge_delivery").await, 0);
    let left = events.list(EventFilter::new()).await.unwrap();
    assert_eq!(left.len(), 1);
    drain(&bed).await;
    assert_eq!(count(&bed, "bridge_delivery").await, 1);
}

async fn more_events_than_one_batch_has_are_cleared_away(bed: TestBed) {
    let tx = begin(bed.runtime.db()).await.unwrap();
    let many = std::iter::repeat_with(|| ("thing", Happened { work: false })).take(2500);
    let events = bed.runtime.events();
    events.publish_many(&tx, many).await.unwrap();
    tx.commit().await.unwrap();
    let old = long_ago(&bed, 1);
    bed.sql(&format!(
        "UPDATE domain_events SET status = 'processed', created_at = '{old}', processed_at = '{old}'"
    ))
    .await;
    let (runtime, statements) = Statements::of(&bed.runtime);
    let pruned = runtime.jobs().prune(a_day()).await.unwrap();
    assert_eq!(pruned.events, 2500);
    assert_small_deletes(&statements);
}

async fn a_worker_clears_away_by_itself(bed: TestBed) {
    let id = start::<Work>(&bed, true).await;
    drain(&bed).await;
    age_runs(&bed).await;
    let worker = bed.runtime.worker().job(Work).build().unwrap();
    while_working(worker, async || {
        until("it is gone", async || {
            bed.runtime.jobs().show(id).await.unwrap().is_none()
        })
        .await;
    })
    .await;
}

async fn jobs_that_nobody_hosts_are_marked_and_never_deleted(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    drain(&bed).await;
    let gone = async || {
        let types = jobs.types().await.unwrap();
        let types = types.into_iter();
        types
            .filter(|it| it.gone_at.is_some())
            .map(|it| it.job_type)
            .collect::<Vec<_>>()
    };
    assert_eq!(jobs.types().await.unwrap().len(), 2);
    assert_eq!(gone().await, Vec::<String>::new());
    bed.sql("UPDATE job SET seen_at = '2020-01-01 00:00:00'")
        .await;
    let worker = bed.runtime.worker().job(Work).build().unwrap();
    while_working(worker, async || {
        until("one is gone", async || gone().await == ["parent"]).await;
    })
    .await;
    // Back again.
    drain(&bed).await;
    assert_eq!(gone().await, Vec::<String>::new());
    assert_eq!(jobs.types().await.unwrap()[0].policy["pool"], "batch");
}

async fn a_worker_for_events_alone_clears_the_ledger_of_its_events_too(bed: TestBed) {
    let tx = begin(bed.runtime.db()).await.unwrap();
    let events = bed.runtime.events();
    let happened = Happened { work: false };
    events.publish(&tx, "thing", happened).await.unwrap();
    tx.commit().await.unwrap();
    drain(&bed).await;
    assert_eq!(count(&bed, "bridge_delivery").await, 1);
    let old = long_ago(&bed, 1);
    bed.sql(&format!(
        "UPDATE domain_events SET created_at = '{old}', processed_at = '{old}'"
    ))
    .await;
    let worker = bed.runtime.worker().events_only().build().unwrap();
    while_working(worker, async || {
        until("the event is gone", async || {
            count(&bed, "domain_events").await == 0
        })
        .await;
    })
    .await;
    assert_eq!(count(&bed, "bridge_delivery").await, 0);
}
