//! The lanes of the drain: how much each does at a time, who drains which, and what pausing one means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::{Running, TestBed, until};
use runtime_sea::worker::BuildError;
use runtime_sea::{
    ConsumerKind, Event, EventEnvelope, EventId, EventPool, EventRetry, EventRoute, EventStatus,
    JobContext, JobHandler, JobPolicy, JobResult, NoAggregate, RawEvent, RunFilter,
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

crate::on_each_database!(
    a_lane_works_on_so_many_aggregates_at_a_time_and_no_more,
    a_worker_drains_its_own_lanes_alone,
    a_paused_lane_delivers_nothing_and_goes_on_at_once_when_it_is_resumed,
    a_paused_lane_tries_nothing_again,
    a_paused_lane_holds_back_its_aggregates_in_the_other_lanes,
    audit_events_have_a_lane_of_their_own_and_start_nothing,
    audit_events_of_a_type_that_has_a_trigger_start_nothing_either,
    a_lane_that_does_not_exist_is_refused,
    a_pool_that_no_job_of_the_worker_is_in_is_refused,
    a_worker_for_job_pools_alone_gets_what_others_leave_for_what_it_hosts,
);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Changed {
    n: u32,
}

impl Event for Changed {
    const TYPE: &'static str = "thing_changed";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Told {
    n: u32,
}

impl Event for Told {
    const TYPE: &'static str = "thing_told";
    const ROUTE: EventRoute = EventRoute::outbound("crm")
        .aggregate("thing")
        .retry(EventRetry::fixed(3).first_delay(std::time::Duration::from_secs(3600)));
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Looked {}

impl Event for Looked {
    const TYPE: &'static str = "thing_looked_at";
    const ROUTE: EventRoute = EventRoute::audit();
}

struct React;

impl JobHandler for React {
    const TYPE: &'static str = "react";
    type Input = ();
    type Output = ();

    fn policy() -> JobPolicy<()> {
        JobPolicy::new().on::<Changed>(|_| Some(()))
    }

    async fn run(&self, _: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

/// Started by nothing that is published.
struct Idle;

impl JobHandler for Idle {
    const TYPE: &'static str = "idle";
    type Input = ();
    type Output = ();

    async fn run(&self, _: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

async fn publish<E: Event>(bed: &TestBed, aggregate: &str, event: E) -> EventId {
    let events = bed.runtime.events();
    events
        .publish_detached(aggregate, event)
        .await
        .unwrap()
        .id()
}

async fn status(bed: &TestBed, id: EventId) -> EventStatus {
    let details = bed.runtime.events().show(id).await.unwrap().unwrap();
    details.event.status
}

async fn until_processed(bed: &TestBed, id: EventId) {
    until("the event is processed", async || {
        status(bed, id).await == EventStatus::Processed
    })
    .await;
}

async fn a_lane_works_on_so_many_aggregates_at_a_time_and_no_more(bed: TestBed) {
    const EVENTS: u32 = 40;
    let gate = Arc::new(Semaphore::new(0));
    let at_work = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let worker = {
        let (gate, at_work, most) = (gate.clone(), at_work.clone(), most.clone());
        let work = move |_: EventEnvelope<Changed>| {
            let (gate, at_work, most) = (gate.clone(), at_work.clone(), most.clone());
            async move {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await?.forget();
                at_work.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        };
        bed.runtime
            .worker()
            .pool("events_change", 3)
            .subscribe("work", work)
            .build()
            .unwrap()
    };
    let mut ids = Vec::new();
    for n in 0..EVENTS {
        ids.push(publish(&bed, &n.to_string(), Changed { n }).await);
    }
    let shutdown = CancellationToken::new();
    let running = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { worker.run(shutdown).await.unwrap() })
    };
    until("three are at work", async || {
        at_work.load(Ordering::SeqCst) == 3
    })
    .await;
    // Another lane is not held up by this one.
    let told = publish(&bed, "x", Told { n: 1 }).await;
    until_processed(&bed, told).await;
    gate.add_permits(1000);
    for id in ids {
        until_processed(&bed, id).await;
    }
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

async fn a_worker_drains_its_own_lanes_alone(bed: TestBed) {
    let changed = publish(&bed, "x", Changed { n: 1 }).await;
    let told = publish(&bed, "y", Told { n: 1 }).await;
    let events = bed.runtime.events();
    let looked = events
        .publish_detached(NoAggregate, Looked {})
        .await
        .unwrap()
        .id();
    let drain = async |pools: &[&str]| {
        let worker = bed.runtime.worker().job(Idle).pools(pools.iter().copied());
        worker.build().unwrap().drain_until_idle().await.unwrap();
        let mut processed = Vec::new();
        for id in [changed, told, looked] {
            processed.push(status(&bed, id).await == EventStatus::Processed);
        }
        processed
    };
    assert_eq!(drain(&["batch"]).await, [false, false, false]);
    assert_eq!(drain(&["events_audit"]).await, [false, false, true]);
    assert_eq!(drain(&["events_outbound"]).await, [false, true, true]);
    let looked = events
        .publish_detached(NoAggregate, Looked {})
        .await
        .unwrap()
        .id();
    assert_eq!(drain(&["events_change", "batch"]).await, [true, true, true]);
    // Audit events go with any lane.
    assert_eq!(status(&bed, looked).await, EventStatus::Processed);
}

async fn a_paused_lane_delivers_nothing_and_goes_on_at_once_when_it_is_resumed(bed: TestBed) {
    let worker = bed.runtime.worker().job(React).build().unwrap();
    let shutdown = CancellationToken::new();
    let running = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { worker.run(shutdown).await.unwrap() })
    };
    let first = publish(&bed, "x", Changed { n: 1 }).await;
    until_processed(&bed, first).await;
    let jobs = bed.runtime.jobs();
    jobs.pause_pool("events_change").await.unwrap();
    let paused = publish(&bed, "x", Changed { n: 2 }).await;
    // The other lanes go on, and show that the worker has looked.
    let told = publish(&bed, "y", Told { n: 1 }).await;
    until_processed(&bed, told).await;
    let details = bed.runtime.events().show(paused).await.unwrap().unwrap();
    assert_eq!(details.event.status, EventStatus::Pending);
    assert_eq!(details.event.attempts, 0);
    jobs.resume_pool("events_change").await.unwrap();
    until_processed(&bed, paused).await;
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(jobs.list(RunFilter::new()).await.unwrap().len(), 2);
}

async fn a_paused_lane_tries_nothing_again(bed: TestBed) {
    let calls = Arc::new(AtomicUsize::new(0));
    let worker = {
        let calls = calls.clone();
        let moody = move |event: EventEnvelope<Told>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if event.attempt == 1 {
                    return Err(std::io::Error::other("not yet").into());
                }
                Ok(())
            }
        };
        bed.runtime
            .worker()
            .subscribe("moody", moody)
            .build()
            .unwrap()
    };
    let id = publish(&bed, "x", Told { n: 1 }).await;
    let jobs = bed.runtime.jobs();
    let events = bed.runtime.events();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    jobs.pause_pool("events_outbound").await.unwrap();
    bed.sql("UPDATE event_delivery SET available_at = created_at")
        .await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let details = events.show(id).await.unwrap().unwrap();
    assert_eq!(details.deliveries[0].attempts, 1);
    jobs.resume_pool("events_outbound").await.unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, id).await, EventStatus::Processed);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

async fn a_paused_lane_holds_back_its_aggregates_in_the_other_lanes(bed: TestBed) {
    let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
    let (one, other) = (seen.clone(), seen.clone());
    let worker = bed
        .runtime
        .worker()
        .subscribe("changed", move |event: EventEnvelope<Changed>| {
            one.lock().unwrap().push(event.payload.n);
            async { Ok(()) }
        })
        .subscribe("told", move |event: EventEnvelope<Told>| {
            other.lock().unwrap().push(event.payload.n);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let jobs = bed.runtime.jobs();
    jobs.pause_pool("events_outbound").await.unwrap();
    publish(&bed, "x", Told { n: 1 }).await;
    publish(&bed, "x", Changed { n: 2 }).await;
    publish(&bed, "y", Changed { n: 3 }).await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [3]);
    jobs.resume_pool("events_outbound").await.unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [3, 1, 2]);
}

async fn audit_events_have_a_lane_of_their_own_and_start_nothing(bed: TestBed) {
    let seen = Arc::new(AtomicUsize::new(0));
    let log = seen.clone();
    let worker = bed
        .runtime
        .worker()
        .job(React)
        .subscribe("audit", move |_: EventEnvelope<Looked>| {
            log.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let jobs = bed.runtime.jobs();
    jobs.pause_pool(EventPool::AUDIT_LANE).await.unwrap();
    let looked = publish(&bed, "x", Looked {}).await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, looked).await, EventStatus::Pending);
    jobs.resume_pool(EventPool::AUDIT_LANE).await.unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, looked).await, EventStatus::Processed);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    let details = bed.runtime.events().show(looked).await.unwrap().unwrap();
    assert!(details.bridge.is_empty());
    assert_eq!(details.event.wait_key, None);
    assert!(jobs.list(RunFilter::new()).await.unwrap().is_empty());
}

/// As from a forwarder, or a process whose version of the type is another one.
async fn audit_events_of_a_type_that_has_a_trigger_start_nothing_either(bed: TestBed) {
    let worker = || bed.runtime.worker().job(React).build().unwrap();
    let other = || bed.runtime.worker().build().unwrap();
    let events = bed.runtime.events();
    let audit = async || {
        let payload = serde_json::json!({ "n": 1 });
        let event = RawEvent::new(Changed::TYPE, EventRoute::audit(), payload);
        let event = event.aggregate("thing", "x");
        events.publish_raw_detached(event).await.unwrap().id()
    };
    // In the registry, so that what another process takes is left for it.
    worker().drain_until_idle().await.unwrap();

    let here = audit().await;
    worker().drain_until_idle().await.unwrap();
    let elsewhere = audit().await;
    other().drain_until_idle().await.unwrap();
    let suspect = audit().await;
    let died = "UPDATE domain_events SET recoveries = 3 WHERE status = 'pending'";
    bed.runtime.db().execute_unprepared(died).await.unwrap();
    worker().drain_until_idle().await.unwrap();

    for id in [here, elsewhere, suspect] {
        let details = events.show(id).await.unwrap().unwrap();
        assert_eq!(details.event.status, EventStatus::Processed);
        assert!(details.bridge.is_empty(), "{:?}", details.bridge);
    }
    let runs = bed.runtime.jobs().list(RunFilter::new()).await.unwrap();
    assert!(runs.is_empty(), "{runs:?}");
}

async fn a_lane_that_does_not_exist_is_refused(bed: TestBed) {
    for worker in [
        bed.runtime.worker().pool("events_chang", 1),
        bed.runtime.worker().pools(["events_chang"]),
    ] {
        let refused = worker.build().unwrap_err();
        assert!(matches!(refused, BuildError::Setting(_)), "{refused}");
        let text = refused.to_string();
        assert!(
            text.contains("events_chang") && text.contains("events_audit"),
            "{text}"
        );
    }
}

async fn a_pool_that_no_job_of_the_worker_is_in_is_refused(bed: TestBed) {
    let worker = bed.runtime.worker().job(React);
    let refused = worker.pools(["bacth"]).build().unwrap_err();
    assert!(matches!(refused, BuildError::Setting(_)), "{refused}");
    let text = refused.to_string();
    assert!(
        text.contains("`bacth`") && text.contains("batch, events_inbound"),
        "{text}"
    );
}

async fn a_worker_for_job_pools_alone_gets_what_others_leave_for_what_it_hosts(bed: TestBed) {
    let told = Arc::new(AtomicUsize::new(0));
    let batch = || {
        let told = told.clone();
        bed.runtime
            .worker()
            .pools(["batch"])
            .job(React)
            .subscribe("told", move |_: EventEnvelope<Told>| {
                told.fetch_add(1, Ordering::SeqCst);
                async { Ok(()) }
            })
            .build()
            .unwrap()
    };
    batch().drain_until_idle().await.unwrap();
    let ids = [
        publish(&bed, "x", Changed { n: 1 }).await,
        publish(&bed, "y", Told { n: 1 }).await,
    ];
    batch().drain_until_idle().await.unwrap();
    for id in ids {
        let details = bed.runtime.events().show(id).await.unwrap().unwrap();
        assert_eq!(details.event.dispatched_at, None, "it drains no lane");
    }
    let drains = bed
        .runtime
        .worker()
        .pools(["events_change", "events_outbound"]);
    drains.build().unwrap().drain_until_idle().await.unwrap();
    let worker = batch();
    let subscriptions = worker.subscriptions();
    let running = Running::start(worker);
    for id in ids {
        until_processed(&bed, id).await;
    }
    assert_eq!(told.load(Ordering::SeqCst), 1);
    let runs = bed.runtime.jobs().list(RunFilter::new()).await.unwrap();
    assert_eq!(runs.len(), 1);
    // It keeps up with the registry.
    let events = bed.runtime.events();
    events
        .retire(ConsumerKind::Subscription, "told")
        .await
        .unwrap();
    until("it has noticed", async || subscriptions.names().is_empty()).await;
    running.stop().await;
}
