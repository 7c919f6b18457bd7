//! A runtime in memory, as an application's own tests use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime_sea::{
    Event, EventEnvelope, EventPool, EventRoute, JobContext, JobHandler, JobPolicy, JobResult,
    MemoryRuntime, NoAggregate, RunFilter, RunStatus, Schedule, StartOptions,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    n: u32,
}

impl Event for Told {
    const TYPE: &'static str = "told";
    const ROUTE: EventRoute = EventRoute::outbound("crm");
}

#[derive(Debug, Serialize, Deserialize)]
struct Heard {}

impl Event for Heard {
    const TYPE: &'static str = "heard";
    const ROUTE: EventRoute = EventRoute::inbound("crm");
}

struct Tell;

impl JobHandler for Tell {
    const TYPE: &'static str = "tell";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new()
            .on::<Told>(|event| Some(event.payload.n))
            .schedule(Schedule::cron("0 6 * * *"), |_| 6)
    }

    async fn run(&self, _ctx: &JobContext, _n: u32) -> JobResult<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_was_published_can_be_looked_at_and_forgotten() {
    let memory = MemoryRuntime::new().await.unwrap();
    let events = memory.events();
    for n in 1..=120 {
        events
            .publish_detached(NoAggregate, Told { n })
            .await
            .unwrap();
    }
    events
        .publish_detached(NoAggregate, Heard {})
        .await
        .unwrap();
    let published = memory.published().await.unwrap();
    assert_eq!(published.len(), 121);
    assert_eq!(published[0].payload["n"], 1);
    let inbound = memory.published_in(EventPool::Inbound).await.unwrap();
    assert_eq!(inbound.len(), 1);
    assert_eq!(inbound[0].event_type, "heard");
    memory.clear().await.unwrap();
    assert!(memory.published().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_days_work_is_done_without_waiting_for_it() {
    let memory = MemoryRuntime::new().await.unwrap();
    let worker = memory.worker().job(Tell).build().unwrap();
    let told = memory
        .events()
        .publish_detached(NoAggregate, Told { n: 1 })
        .await;
    assert!(told.unwrap().is_new());
    let day = Duration::from_secs(24 * 60 * 60);
    let later = StartOptions::new().delay(day);
    memory
        .jobs()
        .start_with::<Tell>(memory.db(), 2, later)
        .await
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    let completed = || RunFilter::new().status(RunStatus::Completed);
    assert_eq!(memory.jobs().list(completed()).await.unwrap().len(), 1);
    memory.clock().advance(day);
    worker.drain_until_idle().await.unwrap();
    // That of the event, the later one, and that of six o'clock.
    assert_eq!(memory.jobs().list(completed()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn events_are_delivered_once_and_no_run_begins_when_a_test_asks_for_that() {
    let memory = MemoryRuntime::new().await.unwrap();
    let called = Arc::new(AtomicU32::new(0));
    let count = called.clone();
    let worker = memory
        .worker()
        .job(Tell)
        .subscribe("count", move |_: EventEnvelope<Told>| {
            count.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    for n in 1..=3 {
        let events = memory.events();
        events
            .publish_detached(NoAggregate, Told { n })
            .await
            .unwrap();
    }
    assert_eq!(worker.drain_once().await.unwrap(), 3);
    assert_eq!(worker.drain_once().await.unwrap(), 0);
    assert_eq!(called.load(Ordering::SeqCst), 3);
    let waiting = RunFilter::new().status(RunStatus::Pending);
    assert_eq!(memory.jobs().list(waiting).await.unwrap().len(), 3);
}
