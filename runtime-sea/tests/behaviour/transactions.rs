//! Transactions that somebody leaves open.

use std::sync::Arc;
use std::time::Duration;

use crate::support::measured::measured;
use crate::support::warned::warned;
use crate::support::{Running, TestBed, until};
use runtime_sea::jobs::entities::job_run;
use runtime_sea::{Collision, JobContext, JobError, JobHandler, JobPolicy, JobResult, RunStatus};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement};
use tokio::sync::Semaphore;

mod mysql {
    #[test]
    fn r23_an_open_transaction_with_a_key_holds_up_no_other_key() {
        crate::support::on_mysql(super::r23_an_open_transaction_with_a_key_holds_up_no_other_key);
    }

    #[test]
    fn r23_an_open_transaction_with_a_run_holds_up_no_other_result() {
        crate::support::on_mysql(
            super::r23_an_open_transaction_with_a_run_holds_up_no_other_result,
        );
    }
}

mod postgres {
    #[test]
    fn r23_an_open_transaction_with_a_key_holds_up_no_other_key() {
        crate::support::on_postgres(
            super::r23_an_open_transaction_with_a_key_holds_up_no_other_key,
        );
    }

    #[test]
    fn r23_an_open_transaction_with_a_run_holds_up_no_other_result() {
        crate::support::on_postgres(
            super::r23_an_open_transaction_with_a_run_holds_up_no_other_result,
        );
    }

    #[test]
    fn r23_a_transaction_that_stays_open_is_warned_of_and_work_goes_on() {
        crate::support::on_postgres(
            super::r23_a_transaction_that_stays_open_is_warned_of_and_work_goes_on,
        );
    }
}

struct Errand;

impl JobHandler for Errand {
    const TYPE: &'static str = "errand";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn r23_a_transaction_that_stays_open_is_warned_of_and_work_goes_on(bed: TestBed) {
    let other = bed.other_process().await;
    let tx = runtime_sea::begin(other.db()).await.unwrap();
    let sql = "SELECT pg_backend_pid() AS pid, txid_current()";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = tx.query_one_raw(statement).await.unwrap().unwrap();
    let pid: i32 = row.try_get("", "pid").unwrap();
    let worker = bed.runtime.worker().job(Errand);
    let worker = worker
        .lease(Duration::from_millis(500))
        .long_transaction(Duration::from_millis(100));
    let running = Running::start(worker.build().unwrap());
    // Again when its age has doubled.
    for times in 1..=2 {
        until("it is warned of", async || warned("pid", pid) >= times).await;
    }
    assert!(measured("runtime_sea_oldest_transaction_seconds{}") > 0.0);
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let id = jobs.start::<Errand>(db, ()).await.unwrap().run_id;
    bed.until_status(id, RunStatus::Completed).await;
    tx.rollback().await.unwrap();
    running.stop().await;
}

/// Two jobs that share their keys; one of them is refused where a key is taken.
struct Keyed<const REJECTS: bool>;

impl<const REJECTS: bool> JobHandler for Keyed<REJECTS> {
    const TYPE: &'static str = if REJECTS { "rejects" } else { "queues" };
    type Input = String;
    type Output = ();

    fn policy() -> JobPolicy<String> {
        let collision = if REJECTS {
            Collision::Reject
        } else {
            Collision::Queue
        };
        JobPolicy::<String>::new().concurrency(collision, String::clone)
    }

    async fn run(&self, _ctx: &JobContext, _: String) -> JobResult<()> {
        Ok(())
    }
}

async fn r23_an_open_transaction_with_a_key_holds_up_no_other_key(bed: TestBed) {
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let start = async |key: &str| {
        let started = jobs.start::<Keyed<false>>(db, key.to_owned()).await;
        started.unwrap().run_id
    };
    let open = runtime_sea::begin(db).await.unwrap();
    let rejecting = jobs.start::<Keyed<true>>(&open, "taken".to_owned()).await;
    let rejecting = rejecting.unwrap().run_id;
    let [behind, free] = [start("taken").await, start("free").await];
    let others = bed.other_process().await;
    let worker = |runtime: &runtime_sea::Runtime| {
        let worker = runtime.worker().job(Keyed::<true>).job(Keyed::<false>);
        Running::start(worker.build().unwrap())
    };
    let running = [worker(&bed.runtime), worker(&others)];
    bed.until_status(free, RunStatus::Completed).await;
    let later = start("later").await;
    bed.until_status(later, RunStatus::Completed).await;
    assert_eq!(bed.status(behind).await, RunStatus::Pending);
    open.commit().await.unwrap();
    for id in [rejecting, behind] {
        bed.until_status(id, RunStatus::Completed).await;
    }
    for running in running {
        running.stop().await;
    }
}

/// Ends when it is let.
struct Held(Arc<Semaphore>);

impl JobHandler for Held {
    const TYPE: &'static str = "held";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        let turn = self.0.acquire().await;
        turn.map_err(JobError::non_retryable)?.forget();
        Ok(())
    }
}

async fn r23_an_open_transaction_with_a_run_holds_up_no_other_result(bed: TestBed) {
    let turns = Arc::new(Semaphore::new(0));
    let (jobs, db) = (bed.runtime.jobs(), bed.runtime.db());
    let worker = bed.runtime.worker().job(Held(turns.clone())).job(Errand);
    let running = Running::start(worker.build().unwrap());
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(jobs.start::<Held>(db, ()).await.unwrap().run_id);
    }
    for id in &ids {
        bed.until_status(*id, RunStatus::Running).await;
    }
    let open = runtime_sea::begin(db).await.unwrap();
    let priority = job_run::Column::Priority;
    let lock = job_run::Entity::update_many().col_expr(priority, Expr::col(priority).add(1));
    let lock = lock.filter(job_run::Column::Id.eq(ids[0].0));
    lock.exec(&open).await.unwrap();
    // They end together, and are written together.
    turns.add_permits(3);
    for id in &ids[1..] {
        bed.until_status(*id, RunStatus::Completed).await;
    }
    let later = jobs.start::<Errand>(db, ()).await.unwrap().run_id;
    bed.until_status(later, RunStatus::Completed).await;
    assert_eq!(bed.status(ids[0]).await, RunStatus::Running);
    open.commit().await.unwrap();
    bed.until_status(ids[0], RunStatus::Completed).await;
    running.stop().await;
}
