//! Transactions that somebody leaves open.

use std::time::Duration;

use crate::support::measured::measured;
use crate::support::warned::warned;
use crate::support::{Running, TestBed, until};
use runtime_sea::{JobContext, JobHandler, JobResult, RunStatus};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

mod postgres {
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
