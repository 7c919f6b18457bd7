//! Finding work, and rows that are not as a worker left them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Running, TestBed, until};
use runtime_sea::jobs::entities::{job_dedupe, job_run};
use runtime_sea::{JobContext, JobHandler, JobPolicy, JobResult, Retry, RunStatus, StartOptions};
use sea_orm::{EntityTrait, QueryOrder, Set};

use super::{Wait, start, watchful, worker};

crate::on_each_database! {
    closed_deduplication_windows_are_cleared_away,
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

#[test]
fn r50_a_result_that_the_database_refuses_fails_its_run_and_holds_up_no_other() {
    crate::support::on_sqlite(async |bed: TestBed| {
        bed.sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON job_run WHEN NEW.output LIKE '%poison%' \
             BEGIN SELECT RAISE(ABORT, 'no poison here'); END",
        )
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
    });
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
