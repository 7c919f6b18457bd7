//! Rows that somebody has edited by hand so that they cannot be read any more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime_sea::{
    Collision, Event, EventEnvelope, EventFilter, EventId, EventRoute, EventStatus, JobContext,
    JobHandler, JobPolicy, JobResult, RawRun, Replay, Replayed, RunFilter, StartOptions, Worker,
};
use sea_orm::DbBackend;
use serde::{Deserialize, Serialize};

use crate::support::{TestBed, until, while_working};

crate::on_each_database! {
    r37_a_row_that_cannot_be_read_fails_and_spares_the_others_of_its_claim,
    r46_a_lost_run_that_cannot_be_read_fails_and_spares_the_others,
    r46_a_due_run_that_cannot_be_read_fails_and_spares_the_others,
    r46_a_job_or_a_pool_that_cannot_be_read_stops_no_worker,
    r46_a_wait_that_cannot_be_read_fails_its_run_and_spares_the_others,
    r46_an_event_that_cannot_be_read_fails_and_spares_the_others,
    r46_a_delivery_that_cannot_be_read_fails_and_spares_the_others,
    r46_deliveries_that_cannot_be_read_do_not_hide_what_is_behind_them,
    r46_a_run_waits_on_until_the_event_that_cannot_be_read_is_mended,
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

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    n: u32,
}

impl Event for Told {
    const TYPE: &'static str = "told";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

/// Waits for an event.
struct Listen;

impl JobHandler for Listen {
    const TYPE: &'static str = "listen";
    type Input = bool;
    type Output = Option<u32>;

    async fn run(&self, ctx: &JobContext, _: bool) -> JobResult<Option<u32>> {
        let minute = Duration::from_secs(60);
        let told = ctx.wait_for_event::<Told>("one", minute).await?;
        Ok(told.map(|told| told.payload.n))
    }
}

type Log = Arc<Mutex<Vec<u32>>>;

/// A worker that has one subscription, which notes what it gets.
fn subscriber(bed: &TestBed, name: &str, log: &Log) -> Worker {
    let log = log.clone();
    let worker = bed
        .runtime
        .worker()
        .subscribe(name, move |event: EventEnvelope<Told>| {
            log.lock().unwrap().push(event.payload.n);
            async { Ok(()) }
        });
    worker.build().unwrap()
}

async fn tell(bed: &TestBed, n: u32) -> EventId {
    let events = bed.runtime.events();
    let published = events.publish_detached("one", Told { n });
    published.await.unwrap().id()
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

async fn r46_a_job_or_a_pool_that_cannot_be_read_stops_no_worker(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    drain(&bed).await;
    jobs.pause_pool("other").await.unwrap();
    break_moment(&bed, "job", "registered_at", "type = 'plain'").await;
    break_moment(&bed, "job_pool", "updated_at", "name = 'other'").await;
    start::<Plain>(&bed, false, 0).await;
    let raw = RawRun::new("plain", serde_json::json!(false));
    let raw = jobs.start_raw(bed.runtime.db(), raw).await.unwrap().run_id;
    drain(&bed).await;
    assert_eq!(of_status(&bed, "completed").await, 2);
    assert!(jobs.pools().await.unwrap().iter().any(|it| it.paused));
    assert_eq!(jobs.stats().await.unwrap().jobs.len(), 2);
    let replayed = jobs.replay(raw, Replay::Scratch).await.unwrap();
    assert_eq!(replayed, Replayed::Pending);
    let refused = jobs.types().await.unwrap_err().to_string();
    assert!(refused.contains("type plain cannot be read"), "{refused}");
    // Nor does a run that cannot be read take along who asks for it.
    jobs.cancel(raw).await.unwrap();
    break_moment(&bed, "job_run", "created_at", "status = 'canceled'").await;
    for refused in [
        jobs.replay(raw, Replay::Scratch).await.map(drop),
        jobs.show(raw).await.map(drop),
        jobs.list(RunFilter::new()).await.map(drop),
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(&raw.to_string()), "{refused}");
    }
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

/// A condition for an event of [`tell`].
fn is_told(n: u32) -> String {
    format!("seq = (SELECT * FROM (SELECT MIN(seq) + {n} - 1 FROM domain_events) first)")
}

/// Checks that the event failed because it could not be read, and that who asks for it learns which one it is.
async fn assert_given_up(bed: &TestBed, id: EventId) {
    let given_up = "SELECT COUNT(*) FROM domain_events WHERE status = 'failed' AND error LIKE '%cannot be read%'";
    assert_eq!(bed.count(given_up).await, 1);
    let events = bed.runtime.events();
    let listed = events.list(EventFilter::new()).await.unwrap_err();
    assert!(
        listed
            .to_string()
            .contains("the row of `domain_events` with seq "),
        "{listed}"
    );
    assert!(events.show(id).await.is_err());
}

async fn mend(bed: &TestBed) {
    bed.sql("UPDATE domain_events SET occurred_at = created_at")
        .await;
}

async fn r46_an_event_that_cannot_be_read_fails_and_spares_the_others(bed: TestBed) {
    let log = Log::default();
    tell(&bed, 1).await;
    let second = tell(&bed, 2).await;
    tell(&bed, 3).await;
    break_moment(&bed, "domain_events", "occurred_at", &is_told(2)).await;
    let worker = subscriber(&bed, "log", &log);
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*log.lock().unwrap(), [1, 3]);
    assert_given_up(&bed, second).await;
    mend(&bed).await;
    assert!(bed.runtime.events().redeliver(second).await.unwrap());
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*log.lock().unwrap(), [1, 3, 2]);
}

async fn r46_a_delivery_that_cannot_be_read_fails_and_spares_the_others(bed: TestBed) {
    let (here, elsewhere) = (Log::default(), Log::default());
    subscriber(&bed, "elsewhere", &elsewhere)
        .drain_until_idle()
        .await
        .unwrap();
    tell(&bed, 1).await;
    let second = tell(&bed, 2).await;
    let third = tell(&bed, 3).await;
    let fourth = tell(&bed, 4).await;
    let worker = subscriber(&bed, "here", &here);
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*here.lock().unwrap(), [1, 2, 3, 4]);
    break_moment(&bed, "domain_events", "occurred_at", &is_told(2)).await;
    let third_delivery = is_told(3).replacen("seq", "event_seq", 1);
    break_moment(&bed, "event_delivery", "created_at", &third_delivery).await;
    let worker = subscriber(&bed, "elsewhere", &elsewhere);
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*elsewhere.lock().unwrap(), [1, 4]);
    let events = bed.runtime.events();
    let of_fourth = events.show(fourth).await.unwrap().unwrap();
    assert_eq!(of_fourth.event.status, EventStatus::Processed);
    mend(&bed).await;
    bed.sql("UPDATE event_delivery SET created_at = available_at")
        .await;
    for id in [second, third] {
        let details = events.show(id).await.unwrap().unwrap();
        assert_eq!(details.event.status, EventStatus::Failed, "{details:?}");
        assert!(events.redeliver(id).await.unwrap());
    }
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*elsewhere.lock().unwrap(), [1, 4, 2, 3]);
    assert_eq!(*here.lock().unwrap(), [1, 2, 3, 4]);
}

async fn r46_deliveries_that_cannot_be_read_do_not_hide_what_is_behind_them(bed: TestBed) {
    let log = Log::default();
    let elsewhere = || {
        let log = log.clone();
        let worker = bed.runtime.worker().pool("events_change", 1);
        let worker = worker.subscribe("elsewhere", move |event: EventEnvelope<Told>| {
            log.lock().unwrap().push(event.payload.n);
            async { Ok(()) }
        });
        worker.build().unwrap()
    };
    elsewhere().drain_until_idle().await.unwrap();
    // More than such a worker takes at a time.
    for n in 1..=20 {
        tell(&bed, n).await;
    }
    let nobody = bed.runtime.worker().build().unwrap();
    nobody.drain_until_idle().await.unwrap();
    let all_but_the_last = "seq < (SELECT * FROM (SELECT MAX(seq) FROM domain_events) last)";
    break_moment(&bed, "domain_events", "occurred_at", all_but_the_last).await;
    elsewhere().drain_once().await.unwrap();
    assert_eq!(*log.lock().unwrap(), [20]);
}

async fn r46_a_run_waits_on_until_the_event_that_cannot_be_read_is_mended(bed: TestBed) {
    let jobs = bed.runtime.jobs();
    let id = jobs.start::<Listen>(bed.runtime.db(), true).await.unwrap();
    let worker = bed.runtime.worker().job(Listen).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    tell(&bed, 7).await;
    break_moment(&bed, "domain_events", "occurred_at", &is_told(1)).await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!(of_status(&bed, "waiting").await, 1);
    mend(&bed).await;
    worker.drain_until_idle().await.unwrap();
    let output = bed.run(id.run_id).await.run.output;
    assert_eq!(output, Some(7.into()));
    break_moment(&bed, "job_run", "created_at", "priority = 0").await;
    let listed = jobs.list(RunFilter::new()).await.unwrap_err();
    let named = format!("the row of `job_run` with id {}", id.run_id);
    assert!(listed.to_string().contains(&named), "{listed}");
}
