//! Finding work, and rows that are not as a worker left them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Running, TestBed, until};
use runtime_sea::jobs::entities::{job_dedupe, job_run, job_worker};
use runtime_sea::{
    Event, EventRoute, JobContext, JobHandler, JobPolicy, JobResult, Retry, RunFilter, RunStatus,
    StartOptions, WorkerError,
};
use sea_orm::{DbBackend, EntityTrait, QueryOrder, Set};
use tokio::time::timeout;

use super::{Wait, builder, start, watchful, worker};

crate::on_each_database! {
    closed_deduplication_windows_are_cleared_away,
    r50_a_result_that_the_database_refuses_fails_its_run_and_holds_up_no_other,
    r63_a_worker_whose_lease_is_over_claims_no_run,
    a_drain_ends_where_the_database_refuses_every_claim,
    r46_a_run_that_is_deleted_or_edited_while_it_runs_does_no_harm,
    runs_that_wait_in_a_foreign_pool_are_brought_home,
    work_of_another_process_is_noticed,
    the_backoff_is_a_time_of_the_databases_clock,
}

async fn closed_deduplication_windows_are_cleared_away(bed: TestBed) {
    let windows = async || {
        let rows = job_dedupe::Entity::find().order_by_asc(job_dedupe::Column::Key);
        let rows = rows.all(bed.runtime.db()).await.unwrap();
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    let id = start(&bed).await;
    for (key, end) in [("closed", 2025), ("open", 2037)] {
        let window = job_dedupe::ActiveModel {
            key: Set(key.to_owned()),
            run_id: Set(id.into()),
            expires_at: Set(format!("{end}-01-01T00:00:00Z").parse().unwrap()),
        };
        job_dedupe::Entity::insert(window)
            .exec_without_returning(bed.runtime.db())
            .await
            .unwrap();
    }
    let wait = Wait::new();
    let running = Running::start(watchful(&bed.runtime, &wait));
    until("the closed one is gone", async || {
        windows().await == ["open"]
    })
    .await;
    wait.go.add_permits(1);
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

struct Echo;

impl JobHandler for Echo {
    const TYPE: &'static str = "echo";
    type Input = String;
    type Output = String;

    async fn run(&self, _ctx: &JobContext, text: String) -> JobResult<String> {
        Ok(text)
    }
}

async fn r50_a_result_that_the_database_refuses_fails_its_run_and_holds_up_no_other(bed: TestBed) {
    bed.sql(match bed.runtime.db().get_database_backend() {
        DbBackend::Sqlite => {
            "CREATE TRIGGER refuse BEFORE UPDATE ON job_run WHEN NEW.output LIKE '%poison%' \
             BEGIN SELECT RAISE(ABORT, 'no poison here'); END"
        }
        DbBackend::MySql => {
            "CREATE TRIGGER refuse BEFORE UPDATE ON job_run FOR EACH ROW \
             IF NEW.output LIKE '%poison%' THEN \
             SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no poison here'; END IF"
        }
        _ => {
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no poison here'; END $$; \
             CREATE TRIGGER refuse BEFORE UPDATE ON job_run FOR EACH ROW \
             WHEN (NEW.output::text LIKE '%poison%') EXECUTE FUNCTION refuse()"
        }
    })
    .await;
    let (db, jobs) = (bed.runtime.db(), bed.runtime.jobs());
    let poison = jobs.start::<Echo>(db, "poison".to_owned()).await.unwrap();
    let fine = jobs.start::<Echo>(db, "fine".to_owned()).await.unwrap();
    let running = Running::start(bed.runtime.worker().job(Echo).build().unwrap());
    bed.until_status(fine.run_id, RunStatus::Completed).await;
    bed.until_status(poison.run_id, RunStatus::Failed).await;
    let error = bed.run(poison.run_id).await.run.error.unwrap();
    assert!(error.contains("no poison here"), "{error}");
    running.stop().await;
}

async fn a_drain_ends_where_the_database_refuses_every_claim(bed: TestBed) {
    let (db, jobs) = (bed.runtime.db(), bed.runtime.jobs());
    let worker = bed.runtime.worker().job(Echo).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    jobs.start::<Echo>(db, "fine".to_owned()).await.unwrap();
    bed.sql("ALTER TABLE job_run RENAME COLUMN started_at TO begun_at")
        .await;
    let drained = timeout(Duration::from_secs(60), worker.drain_until_idle()).await;
    let error = drained.unwrap().unwrap_err();
    assert!(matches!(error, WorkerError::Database(_)), "{error}");
    bed.sql("ALTER TABLE job_run RENAME COLUMN begun_at TO started_at")
        .await;
    worker.drain_until_idle().await.unwrap();
    let completed = RunFilter::new().status(RunStatus::Completed);
    assert_eq!(jobs.list(completed).await.unwrap().len(), 1);
}

async fn r63_a_worker_whose_lease_is_over_claims_no_run(bed: TestBed) {
    let wait = Wait::new();
    wait.go.add_permits(1);
    let heartbeat = async || {
        let worker = job_worker::Entity::find().one(bed.runtime.db()).await;
        worker.unwrap().map(|it| it.heartbeat_at)
    };
    let worker = builder(&bed.runtime, &wait).lease(Duration::from_secs(30));
    let running = Running::start(worker.build().unwrap());
    // The first heartbeat follows the registration at once; the next one is six seconds away.
    let registered = async || bed.count("SELECT COUNT(*) FROM job_worker").await == 1;
    until("it is registered", registered).await;
    let first = heartbeat().await;
    until("its second heartbeat is there", async || {
        heartbeat().await != first
    })
    .await;
    let last = heartbeat().await;
    bed.sql("UPDATE job_worker SET expires_at = heartbeat_at")
        .await;
    let id = start(&bed).await;
    until("it is heard of again", async || heartbeat().await != last).await;
    let again = heartbeat().await.unwrap();
    bed.until_status(id, RunStatus::Completed).await;
    let claimed_at = bed.run(id).await.run.claimed_at.unwrap();
    assert!(claimed_at >= again, "{claimed_at} {again}");
    running.stop().await;
}

async fn work_of_another_process_is_noticed(bed: TestBed) {
    let wait = Wait::new();
    wait.go.add_permits(1);
    let running = Running::start(worker(&bed.runtime, &wait));
    let other = bed.other_process().await;
    let tx = runtime_sea::begin(other.db()).await.unwrap();
    let id = other.jobs().start::<Wait>(&tx, ()).await.unwrap().run_id;
    tx.commit().await.unwrap();
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
}

struct Later;

impl JobHandler for Later {
    const TYPE: &'static str = "later";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().retry(Retry::fixed(2, Duration::from_secs(3600)))
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Err(runtime_sea::JobError::retryable("not now"))
    }
}

async fn the_backoff_is_a_time_of_the_databases_clock(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let options = StartOptions::new().priority(1);
    let id = jobs
        .start_with::<Later>(bed.runtime.db(), (), options)
        .await
        .unwrap()
        .run_id;
    bed.runtime
        .worker()
        .job(Later)
        .build()
        .unwrap()
        .drain_until_idle()
        .await
        .unwrap();
    let run = bed.run(id).await.run;
    assert_eq!(
        (run.status, run.readiness.as_str()),
        (RunStatus::Pending, "scheduled")
    );
    let wait = run.run_at - run.claimed_at.unwrap();
    // An hour, a quarter more or less, and what the test took.
    assert!((2700..4600).contains(&wait.num_seconds()), "{wait}");
}

#[test]
fn r22_a_start_announces_itself_to_other_processes_from_outside_its_transaction() {
    use sea_orm::sqlx::postgres::PgListener;

    crate::support::on_postgres(async |bed| {
        let mut listener = PgListener::connect(&bed.url).await.unwrap();
        listener.listen("runtime_sea").await.unwrap();
        let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
        bed.runtime.jobs().start::<Wait>(&tx, ()).await.unwrap();
        // The transaction is still open: a notification of its own could not arrive.
        listener.recv().await.unwrap();
        tx.commit().await.unwrap();
    });
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Moved {}

impl Event for Moved {
    const TYPE: &'static str = "moved";
    const ROUTE: EventRoute = EventRoute::change("account");
}

/// Is started by the event.
struct Follow;

impl JobHandler for Follow {
    const TYPE: &'static str = "follow";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::<()>::new().on::<Moved>(|_| Some(()))
    }

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

#[test]
fn r22_a_publish_and_what_a_trigger_starts_are_announced_from_outside_their_transactions() {
    use sea_orm::sqlx::postgres::PgListener;

    crate::support::on_postgres(async |bed| {
        let mut listener = PgListener::connect(&bed.url).await.unwrap();
        listener.listen("runtime_sea").await.unwrap();
        let events = bed.runtime.events();
        // The transactions are still open: a notification of their own could not arrive.
        let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
        events.publish(&tx, "ada", Moved {}).await.unwrap();
        listener.recv().await.unwrap();
        tx.rollback().await.unwrap();
        let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
        let many = [("ada", Moved {}), ("bob", Moved {})];
        events.publish_many(&tx, many).await.unwrap();
        listener.recv().await.unwrap();
        tx.commit().await.unwrap();
        let worker = bed.runtime.worker().job(Follow).build().unwrap();
        worker.drain_once().await.unwrap();
        listener.recv().await.unwrap();
    });
}

async fn r46_a_run_that_is_deleted_or_edited_while_it_runs_does_no_harm(bed: TestBed) {
    let wait = Wait::new();
    let (deleted, edited) = (start(&bed).await, start(&bed).await);
    let running = Running::start(
        bed.runtime
            .worker()
            .job(wait.clone())
            .concurrency(3)
            .build()
            .unwrap(),
    );
    until("both run", async || wait.began() == 2).await;
    let db = bed.runtime.db();
    job_run::Entity::delete_by_id(deleted.0)
        .exec(db)
        .await
        .unwrap();
    bed.sql("UPDATE job_run SET status = 'failed', error = 'by hand'")
        .await;
    let other = start(&bed).await;
    wait.go.add_permits(3);
    bed.until_status(other, RunStatus::Completed).await;
    until("all handlers have returned", async || {
        wait.dropped.load(Ordering::SeqCst) == 3
    })
    .await;
    running.stop().await;
    assert_eq!(bed.runtime.jobs().show(deleted).await.unwrap(), None);
    let run = bed.run(edited).await.run;
    assert_eq!(
        (run.status, run.error.as_deref()),
        (RunStatus::Failed, Some("by hand"))
    );
}

async fn runs_that_wait_in_a_foreign_pool_are_brought_home(bed: TestBed) {
    let wait = Wait::new();
    wait.go.add_permits(10);
    // Its job is known, so that registering it again moves nothing.
    worker(&bed.runtime, &wait)
        .drain_until_idle()
        .await
        .unwrap();
    let id = start(&bed).await;
    bed.sql("UPDATE job_run SET pool = 'foreign'").await;
    let running = Running::start(worker(&bed.runtime, &wait));
    bed.until_status(id, RunStatus::Completed).await;
    running.stop().await;
    assert_eq!(bed.run(id).await.run.pool, "batch");
}
