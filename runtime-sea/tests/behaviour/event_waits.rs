//! Waiting for events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{TestBed, next_moment};
use chrono::{TimeZone, Utc};
use runtime_sea::jobs::entities::job_run;
use runtime_sea::{
    Event, EventRoute, JobContext, JobHandler, JobPolicy, JobResult, PublishOptions, Retry, RunId,
    RunStatus, StartOptions, begin,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

crate::on_each_database! {
    an_event_wakes_the_run_that_waits_for_it,
    r44_an_event_that_comes_before_the_run_waits_is_not_lost,
    an_event_from_before_the_run_does_not_count,
    the_event_that_started_a_run_is_not_what_it_waits_for,
    a_late_commit_wakes_whatever_came_before_it,
    each_wait_of_a_run_gets_its_own_event,
    one_event_wakes_every_run_that_waits_for_it,
    a_wait_for_an_event_ends_with_its_timeout,
    only_events_of_the_key_type_and_tenant_count,
    an_event_that_a_wait_has_got_stays_though_its_row_is_deleted,
    a_running_worker_is_woken_by_an_event,
}

#[derive(Debug, Serialize, Deserialize)]
struct Paid {
    amount: u32,
}

impl Event for Paid {
    const TYPE: &'static str = "paid";
    const ROUTE: EventRoute = EventRoute::change("order");
}

#[derive(Debug, Serialize, Deserialize)]
struct Shipped {}

impl Event for Shipped {
    const TYPE: &'static str = "shipped";
    const ROUTE: EventRoute = EventRoute::change("order");
}

/// Waits for so many payments of an order, and returns their amounts; 0 for none in time.
#[derive(Default, Clone)]
struct Collect(Arc<Mutex<u32>>);

impl JobHandler for Collect {
    const TYPE: &'static str = "collect";
    type Input = (String, usize);
    type Output = Vec<u32>;

    fn policy() -> JobPolicy<Self::Input> {
        JobPolicy::new().retry(Retry::none())
    }

    async fn run(&self, ctx: &JobContext, (order, times): Self::Input) -> JobResult<Vec<u32>> {
        *self.0.lock().unwrap() += 1;
        let mut amounts = Vec::new();
        for _ in 0..times {
            let hour = Duration::from_secs(3600);
            let paid = ctx.wait_for_event::<Paid>(&order, hour).await?;
            amounts.push(paid.map_or(0, |paid| paid.payload.amount));
        }
        Ok(amounts)
    }
}

async fn start(bed: &TestBed, order: &str, times: usize) -> RunId {
    start_with(bed, order, times, StartOptions::new()).await
}

async fn start_with(bed: &TestBed, order: &str, times: usize, options: StartOptions) -> RunId {
    let jobs = bed.runtime.jobs();
    let input = (order.to_owned(), times);
    let started = jobs.start_with::<Collect>(bed.runtime.db(), input, options);
    started.await.unwrap().run_id
}

async fn drain(bed: &TestBed) {
    let worker = bed
        .runtime
        .worker()
        .job(Collect::default())
        .build()
        .unwrap();
    worker.drain_until_idle().await.unwrap();
}

async fn pay_in(bed: &TestBed, tx: &DatabaseTransaction, order: &str, amount: u32) {
    let events = bed.runtime.events();
    events.publish(tx, order, Paid { amount }).await.unwrap();
}

async fn pay(bed: &TestBed, order: &str, amount: u32) {
    pay_with(bed, order, amount, PublishOptions::new()).await;
}

async fn pay_with(bed: &TestBed, order: &str, amount: u32, options: PublishOptions) {
    let events = bed.runtime.events();
    let published = events.publish_detached_with(order, Paid { amount }, options);
    assert!(published.await.unwrap().is_new());
}

async fn assert_collected(bed: &TestBed, id: RunId, amounts: &[u32]) {
    let run = bed.run(id).await.run;
    assert_eq!(run.output, Some(serde_json::json!(amounts)), "{run:?}");
    assert_eq!((run.attempt, run.errors.len()), (1, 0));
}

async fn an_event_wakes_the_run_that_waits_for_it(bed: TestBed) {
    let id = start(&bed, "A", 1).await;
    drain(&bed).await;
    let details = bed.run(id).await;
    assert_eq!(details.run.status, RunStatus::Waiting);
    let wait = &details.steps[0];
    assert_eq!(
        (wait.event_type.as_deref(), wait.event_key.as_deref()),
        (Some("paid"), Some("A"))
    );
    pay(&bed, "A", 7).await;
    drain(&bed).await;
    assert_collected(&bed, id, &[7]).await;
}

async fn r44_an_event_that_comes_before_the_run_waits_is_not_lost(bed: TestBed) {
    let id = start(&bed, "A", 1).await;
    pay(&bed, "A", 7).await;
    // Its delivery is over before the run begins.
    let others = bed.runtime.worker().build().unwrap();
    others.drain_until_idle().await.unwrap();
    let job = Collect::default();
    let worker = bed.runtime.worker().job(job.clone()).build().unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_collected(&bed, id, &[7]).await;
    // It was not even suspended.
    assert_eq!(*job.0.lock().unwrap(), 1);
}

async fn an_event_from_before_the_run_does_not_count(bed: TestBed) {
    pay(&bed, "A", 1).await;
    next_moment(&bed.runtime).await;
    let id = start(&bed, "A", 1).await;
    drain(&bed).await;
    assert_eq!(bed.status(id).await, RunStatus::Waiting);
    pay(&bed, "A", 2).await;
    drain(&bed).await;
    assert_collected(&bed, id, &[2]).await;
}

// The later number commits first: neither of the two may be passed over.
async fn the_event_that_started_a_run_is_not_what_it_waits_for(bed: TestBed) {
    use job_run::Column as R;

    let db = bed.runtime.db();
    let tx = begin(db).await.unwrap();
    let events = bed.runtime.events();
    let input = ("7".to_owned(), 1);
    let both = events
        .publish_and_start::<Paid, Collect>(&tx, "7", Paid { amount: 1 }, input)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let id = both.started.run_id;
    // As on a clock that did not move in between.
    let long_ago = Utc.with_ymd_and_hms(2020, 1, 1, 0, 0, 0).unwrap();
    let update = job_run::Entity::update_many()
        .col_expr(R::CreatedAt, Expr::value(long_ago))
        .filter(R::Id.eq(id.as_uuid()));
    update.exec(db).await.unwrap();

    drain(&bed).await;
    assert_eq!(bed.run(id).await.run.status, RunStatus::Waiting);
    pay(&bed, "7", 2).await;
    drain(&bed).await;
    assert_collected(&bed, id, &[2]).await;
}

async fn a_late_commit_wakes_whatever_came_before_it(bed: TestBed) {
    let id = start(&bed, "A", 2).await;
    if bed.url.starts_with("sqlite") {
        // One writer: there is no late commit.
        pay(&bed, "A", 1).await;
        pay(&bed, "A", 2).await;
        drain(&bed).await;
        return assert_collected(&bed, id, &[1, 2]).await;
    }
    let late = begin(bed.runtime.db()).await.unwrap();
    pay_in(&bed, &late, "A", 1).await;
    pay(&bed, "A", 2).await;
    drain(&bed).await;
    assert_eq!(bed.status(id).await, RunStatus::Waiting);
    late.commit().await.unwrap();
    drain(&bed).await;
    assert_collected(&bed, id, &[2, 1]).await;
}

async fn each_wait_of_a_run_gets_its_own_event(bed: TestBed) {
    let id = start(&bed, "A", 3).await;
    pay(&bed, "A", 1).await;
    drain(&bed).await;
    assert_eq!(bed.status(id).await, RunStatus::Waiting);
    pay(&bed, "A", 2).await;
    pay(&bed, "A", 3).await;
    drain(&bed).await;
    assert_collected(&bed, id, &[1, 2, 3]).await;
}

async fn one_event_wakes_every_run_that_waits_for_it(bed: TestBed) {
    let ids = [start(&bed, "A", 1).await, start(&bed, "A", 1).await];
    drain(&bed).await;
    pay(&bed, "A", 4).await;
    drain(&bed).await;
    for id in ids {
        assert_collected(&bed, id, &[4]).await;
    }
}

async fn a_wait_for_an_event_ends_with_its_timeout(bed: TestBed) {
    let id = start(&bed, "A", 2).await;
    drain(&bed).await;
    bed.sql("UPDATE job_step SET wake_at = started_at WHERE status = 'waiting'")
        .await;
    drain(&bed).await;
    assert_eq!(bed.status(id).await, RunStatus::Waiting);
    // What comes after the first wait was given up is for the second.
    pay(&bed, "A", 5).await;
    drain(&bed).await;
    assert_collected(&bed, id, &[0, 5]).await;
}

async fn only_events_of_the_key_type_and_tenant_count(bed: TestBed) {
    let ours = start_with(&bed, "A", 1, StartOptions::new().tenant(Some("us"))).await;
    let nobodys = start(&bed, "A", 1).await;
    drain(&bed).await;
    pay(&bed, "B", 1).await;
    let shipped = bed.runtime.events();
    shipped.publish_detached("A", Shipped {}).await.unwrap();
    drain(&bed).await;
    pay_with(&bed, "A", 2, PublishOptions::new().tenant(Some("them"))).await;
    drain(&bed).await;
    // What a sweep would wake for nothing is not there for a wait that begins now either.
    let late = start_with(&bed, "A", 1, StartOptions::new()).await;
    pay_with(&bed, "A", 2, PublishOptions::new().tenant(Some("them"))).await;
    drain(&bed).await;
    for waits in [ours, nobodys, late] {
        assert_eq!(bed.status(waits).await, RunStatus::Waiting);
    }
    pay(&bed, "A", 4).await;
    drain(&bed).await;
    assert_eq!(bed.status(ours).await, RunStatus::Waiting);
    for nobodys in [nobodys, late] {
        assert_collected(&bed, nobodys, &[4]).await;
    }
    // The publisher may name another key than the aggregate.
    let options = PublishOptions::new().tenant(Some("us")).wait_key("A");
    pay_with(&bed, "C", 3, options).await;
    drain(&bed).await;
    assert_collected(&bed, ours, &[3]).await;
}

async fn an_event_that_a_wait_has_got_stays_though_its_row_is_deleted(bed: TestBed) {
    let id = start(&bed, "A", 2).await;
    pay(&bed, "A", 1).await;
    drain(&bed).await;
    assert_eq!(bed.status(id).await, RunStatus::Waiting);
    bed.sql("DELETE FROM event_delivery").await;
    bed.sql("DELETE FROM domain_events").await;
    pay(&bed, "A", 2).await;
    drain(&bed).await;
    assert_collected(&bed, id, &[1, 2]).await;
}

async fn a_running_worker_is_woken_by_an_event(bed: TestBed) {
    let worker = bed
        .runtime
        .worker()
        .job(Collect::default())
        .build()
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { worker.run(shutdown).await }
    });
    let ids = [start(&bed, "A", 1).await, start(&bed, "B", 1).await];
    for (id, order) in ids.into_iter().zip(["A", "B"]) {
        bed.until_status(id, RunStatus::Waiting).await;
        let tx = begin(bed.runtime.db()).await.unwrap();
        pay_in(&bed, &tx, order, 9).await;
        tx.commit().await.unwrap();
        bed.until_status(id, RunStatus::Completed).await;
        assert_collected(&bed, id, &[9]).await;
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
