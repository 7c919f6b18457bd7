//! Rows that somebody has edited by hand so that they cannot be read any more.

use std::time::Duration;

use runtime_sea::{Collision, JobContext, JobHandler, JobPolicy, JobResult, StartOptions};
use sea_orm::DbBackend;

use crate::support::{TestBed, until, while_working};

crate::on_each_database! {
    r37_a_row_that_cannot_be_read_fails_and_spares_the_others_of_its_claim,
    r46_a_lost_run_that_cannot_be_read_fails_and_spares_the_others,
    r46_a_due_run_that_cannot_be_read_fails_and_spares_the_others,
    r46_a_wait_that_cannot_be_read_fails_its_run_and_spares_the_others,
}

/// Naps where it is told to.
struct Plain;

impl JobHandler for Plain {
    const TYPE: &'static str = "plain";
    type Input = bool;
    type Output = ();

    async fn run(&self, ctx: &JobContext, naps: bool) -> JobResult<()> {
        if naps {
            ctx.sleep("nap", Duration::from_secs(3600)).await?;
        }
        Ok(())
    }
}

struct Keyed;

impl JobHandler for Keyed {
    const TYPE: &'static str = "keyed";
    type Input = bool;
    type Output = ();

    fn policy() -> JobPolicy<bool> {
        JobPolicy::<bool>::new().concurrency(Collision::Queue, bool::to_string)
    }

    async fn run(&self, _ctx: &JobContext, _input: bool) -> JobResult<()> {
        Ok(())
    }
}

async fn start<J: JobHandler<Input = bool>>(bed: &TestBed, input: bool, priority: i16) {
    let options = StartOptions::new().priority(priority);
    let jobs = bed.runtime.jobs();
    let started = jobs.start_with::<J>(bed.runtime.db(), input, options);
    started.await.unwrap();
}

/// Writes a moment that nobody can read.
async fn break_moment(bed: &TestBed, table: &str, column: &str, condition: &str) {
    let update = |value| format!("UPDATE {table} SET {column} = '{value}' WHERE {condition}");
    let sql = match bed.runtime.db().get_database_backend() {
        DbBackend::Sqlite => update("1 day ago"),
        DbBackend::Postgres => update("-infinity"),
        _ => format!(
            "SET @mode = @@sql_mode; SET sql_mode = ''; {}; SET sql_mode = @mode",
            update("0000-00-00")
        ),
    };
    bed.sql(&sql).await;
}

async fn drain(bed: &TestBed) {
    let worker = bed.runtime.worker().job(Plain).job(Keyed).build().unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn of_status(bed: &TestBed, status: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM job_run WHERE status = '{status}'");
    bed.count(&sql).await
}

/// How many failed because they could not be read.
async fn unreadable(bed: &TestBed) -> i64 {
    let sql =
        "SELECT COUNT(*) FROM job_run WHERE status = 'failed' AND error LIKE '%cannot be read%'";
    bed.count(sql).await
}

async fn r37_a_row_that_cannot_be_read_fails_and_spares_the_others_of_its_claim(bed: TestBed) {
    for priority in 1..=4 {
        start::<Plain>(&bed, false, priority).await;
    }
    break_moment(&bed, "job_run", "run_at", "priority = 1").await;
    // MySQL itself takes no such number.
    if bed.runtime.db().get_database_backend() == DbBackend::MySql {
        break_moment(&bed, "job_run", "run_at", "priority = 2").await;
    } else {
        bed.sql(r#"UPDATE job_run SET input = '{"n": 1e400}' WHERE priority = 2"#)
            .await;
    }
    // Nor does it take an unbroken history of errors.
    bed.sql("UPDATE job_run SET errors = '7' WHERE priority IN (2, 3)")
        .await;
    drain(&bed).await;
    assert_eq!(unreadable(&bed).await, 2);
    assert_eq!(of_status(&bed, "completed").await, 2);
}

async fn r46_a_lost_run_that_cannot_be_read_fails_and_spares_the_others(bed: TestBed) {
    for priority in 1..=3 {
        start::<Plain>(&bed, false, priority).await;
    }
    bed.sql(
        "UPDATE job_run SET status = 'running', worker_id = id, attempt = 1, fence = 1, claimed_at = run_at",
    )
    .await;
    break_moment(&bed, "job_run", "claimed_at", "priority = 2").await;
    let worker = bed.runtime.worker().job(Plain);
    let worker = worker.lease(Duration::from_secs(1)).build().unwrap();
    while_working(worker, async || {
        until("the lost runs are over", async || {
            of_status(&bed, "completed").await + unreadable(&bed).await == 3
        })
        .await;
    })
    .await;
    // MySQL and MariaDB give a moment that may be missing as one that is.
    assert!(of_status(&bed, "completed").await >= 2);
}

async fn r46_a_due_run_that_cannot_be_read_fails_and_spares_the_others(bed: TestBed) {
    start::<Keyed>(&bed, false, 1).await;
    start::<Keyed>(&bed, true, 2).await;
    start::<Keyed>(&bed, true, 3).await;
    break_moment(&bed, "job_run", "created_at", "priority = 1").await;
    break_moment(&bed, "job_run", "run_at", "priority = 2").await;
    drain(&bed).await;
    assert_eq!(unreadable(&bed).await, 2);
    assert_eq!(of_status(&bed, "completed").await, 1);
}

async fn r46_a_wait_that_cannot_be_read_fails_its_run_and_spares_the_others(bed: TestBed) {
    for priority in 1..=3 {
        start::<Plain>(&bed, true, priority).await;
    }
    drain(&bed).await;
    assert_eq!(of_status(&bed, "waiting").await, 3);
    let second = "run_id IN (SELECT id FROM job_run WHERE priority = 2)";
    break_moment(&bed, "job_step", "started_at", second).await;
    bed.clock.advance(Duration::from_secs(7200));
    drain(&bed).await;
    assert_eq!(unreadable(&bed).await, 1);
    assert_eq!(of_status(&bed, "completed").await, 2);
}
