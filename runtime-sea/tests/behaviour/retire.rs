//! Fleets whose processes host different subscriptions, and what becomes of a subscription that nobody hosts any more.

use std::sync::{Arc, Mutex};

use crate::support::{TestBed, until};
use runtime_sea::{
    BridgeStatus, ConsumerKind, DeliveryStatus, Event, EventEnvelope, EventId, EventRecord,
    EventRoute, EventStatus, JobContext, JobHandler, JobPolicy, JobResult, NoAggregate, RawEvent,
    SubscriptionError, Worker, WorkerBuilder,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

crate::on_each_database!(
    processes_that_host_different_subscriptions_lose_no_event,
    a_process_that_starts_late_gets_what_was_left_for_it_in_order,
    a_subscription_to_every_type_gets_every_type,
    a_subscription_that_a_running_process_gave_up_waits_for_another,
    what_waits_for_a_retired_subscription_is_skipped_and_holds_no_event_up,
    what_waits_for_a_retired_trigger_is_on_record_as_unregistered,
    a_running_worker_stops_hosting_what_is_retired,
    a_program_that_has_a_retired_subscription_registers_it_anew,
    retiring_what_is_not_there_says_so,
    two_versions_that_disagree_about_a_subscriptions_type_lose_no_event,
    a_name_that_one_version_has_for_every_type_and_one_for_a_single_one_gets_each_event_once,
    a_type_that_a_name_no_longer_stands_for_is_retired_alone,
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
struct Renamed {
    n: u32,
}

impl Event for Renamed {
    const TYPE: &'static str = "thing_renamed";
    const ROUTE: EventRoute = EventRoute::change("thing");
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
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new().on::<Changed>(|event| Some(event.payload.n))
    }

    async fn run(&self, _: &JobContext, _: u32) -> JobResult<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    fn numbers(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    fn on(&self, worker: WorkerBuilder, name: &str) -> WorkerBuilder {
        let log = self.clone();
        worker.subscribe(name, move |event: EventEnvelope<Changed>| {
            log.0.lock().unwrap().push(event.payload.n);
            async { Ok(()) }
        })
    }

    /// The same name in the next version of the program.
    fn on_renamed(&self, worker: WorkerBuilder, name: &str) -> WorkerBuilder {
        let log = self.clone();
        worker.subscribe(name, move |event: EventEnvelope<Renamed>| {
            log.0.lock().unwrap().push(event.payload.n);
            async { Ok(()) }
        })
    }
}

async fn rename(bed: &TestBed, n: u32) -> EventId {
    let events = bed.runtime.events();
    events
        .publish_detached("one", Renamed { n })
        .await
        .unwrap()
        .id()
}

async fn change(bed: &TestBed, n: u32) -> EventId {
    let events = bed.runtime.events();
    events
        .publish_detached("one", Changed { n })
        .await
        .unwrap()
        .id()
}

async fn status(bed: &TestBed, id: EventId) -> EventStatus {
    let details = bed.runtime.events().show(id).await.unwrap().unwrap();
    details.event.status
}

/// Registers what a worker hosts, as its start does.
async fn start_and_stop(worker: WorkerBuilder) {
    worker.build().unwrap().drain_until_idle().await.unwrap();
}

fn run(worker: Worker) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    let running = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { worker.run(shutdown).await.unwrap() })
    };
    (shutdown, running)
}

async fn processes_that_host_different_subscriptions_lose_no_event(bed: TestBed) {
    const EVENTS: u32 = 60;
    let (a, b, both) = (Log::default(), Log::default(), Log::default());
    let other = bed.other_process().await;
    let first = both.on(a.on(bed.runtime.worker(), "a"), "both");
    let second = both.on(b.on(other.worker(), "b"), "both");
    let mut running = Vec::new();
    for worker in [first, second] {
        running.push(run(worker.build().unwrap()));
    }
    let registered = "SELECT COUNT(*) FROM event_subscription";
    until("both are registered", async || {
        bed.count(registered).await == 3
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..EVENTS {
        ids.push(change(&bed, n).await);
    }
    until("every event is processed", async || {
        for id in &ids {
            if status(&bed, *id).await != EventStatus::Processed {
                return false;
            }
        }
        true
    })
    .await;
    for (shutdown, task) in running {
        shutdown.cancel();
        task.await.unwrap();
    }
    let all: Vec<_> = (0..EVENTS).collect();
    assert_eq!(a.numbers(), all);
    assert_eq!(b.numbers(), all);
    assert_eq!(
        both.numbers(),
        all,
        "whoever hosts it first has it, once and in order"
    );
}

async fn a_process_that_starts_late_gets_what_was_left_for_it_in_order(bed: TestBed) {
    let (here, there) = (Log::default(), Log::default());
    start_and_stop(there.on(bed.runtime.worker(), "there")).await;
    let worker = here.on(bed.runtime.worker(), "here").build().unwrap();
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(change(&bed, n).await);
    }
    worker.drain_until_idle().await.unwrap();
    assert_eq!(here.numbers(), [0, 1, 2, 3, 4]);
    assert!(there.numbers().is_empty());
    assert_eq!(status(&bed, ids[0]).await, EventStatus::Pending);
    ids.push(change(&bed, 5).await);
    start_and_stop(there.on(bed.runtime.worker(), "there")).await;
    assert_eq!(there.numbers(), [0, 1, 2, 3, 4, 5]);
    worker.drain_until_idle().await.unwrap();
    assert_eq!(here.numbers(), [0, 1, 2, 3, 4, 5]);
    for id in ids {
        assert_eq!(status(&bed, id).await, EventStatus::Processed);
    }
}

async fn a_subscription_to_every_type_gets_every_type(bed: TestBed) {
    let seen: Arc<Mutex<Vec<EventRecord>>> = Arc::default();
    let log = Arc::clone(&seen);
    let worker = bed
        .runtime
        .worker()
        .registry(runtime_sea::EventRegistry::new())
        .subscribe_all("archive", move |event| {
            log.lock().unwrap().push(event);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let events = bed.runtime.events();
    let changed = change(&bed, 1).await;
    let looked = events
        .publish_detached(NoAggregate, Looked {})
        .await
        .unwrap();
    let raw = RawEvent::new("unheard_of", EventRoute::inbound("x"), serde_json::json!(7));
    let raw = events.publish_raw_detached(raw).await.unwrap();
    worker.drain_until_idle().await.unwrap();
    for id in [changed, looked.id(), raw.id()] {
        assert_eq!(status(&bed, id).await, EventStatus::Processed);
        assert!(seen.lock().unwrap().iter().any(|it| it.id == id));
    }
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    let raw = seen
        .iter()
        .find(|it| it.event_type == "unheard_of")
        .unwrap();
    assert_eq!(raw.payload, 7);
}

async fn a_subscription_that_a_running_process_gave_up_waits_for_another(bed: TestBed) {
    let (a, b) = (Log::default(), Log::default());
    let worker = b.on(a.on(bed.runtime.worker(), "a"), "b").build().unwrap();
    let subscriptions = worker.subscriptions();
    let (shutdown, running) = run(worker);
    let first = change(&bed, 1).await;
    until("it is processed", async || {
        status(&bed, first).await == EventStatus::Processed
    })
    .await;
    assert_eq!(subscriptions.names(), ["a", "b"]);
    assert!(subscriptions.unsubscribe("a"));
    assert!(!subscriptions.unsubscribe("a"));
    assert_eq!(subscriptions.names(), ["b"]);
    let second = change(&bed, 2).await;
    until("the other one has it", async || b.numbers() == [1, 2]).await;
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(a.numbers(), [1]);
    let details = bed.runtime.events().show(second).await.unwrap().unwrap();
    assert_eq!(details.event.status, EventStatus::Pending);
    assert_eq!(details.deliveries.len(), 1);
    assert_eq!(details.deliveries[0].consumer, "a");
    assert_eq!(details.deliveries[0].status, DeliveryStatus::Pending);

    start_and_stop(a.on(bed.runtime.worker(), "a")).await;
    assert_eq!(a.numbers(), [1, 2]);
    assert_eq!(status(&bed, second).await, EventStatus::Processed);
}

async fn what_waits_for_a_retired_subscription_is_skipped_and_holds_no_event_up(bed: TestBed) {
    let (gone, here) = (Log::default(), Log::default());
    start_and_stop(gone.on(bed.runtime.worker(), "gone")).await;
    let worker = here.on(bed.runtime.worker(), "here").build().unwrap();
    let waiting = [change(&bed, 1).await, change(&bed, 2).await];
    worker.drain_until_idle().await.unwrap();
    let events = bed.runtime.events();
    let skipped = events
        .retire(ConsumerKind::Subscription, "gone")
        .await
        .unwrap();
    assert_eq!(skipped, Some(2));
    for id in waiting {
        let details = events.show(id).await.unwrap().unwrap();
        assert_eq!(details.event.status, EventStatus::Processed);
        assert_eq!(details.deliveries[0].status, DeliveryStatus::Skipped);
        let reason = details.deliveries[0].error.as_deref();
        assert_eq!(reason, Some("no program hosts it any more"));
    }
    let next = change(&bed, 3).await;
    worker.drain_until_idle().await.unwrap();
    let details = events.show(next).await.unwrap().unwrap();
    assert_eq!(details.event.status, EventStatus::Processed);
    assert!(details.deliveries.is_empty());
    assert_eq!(here.numbers(), [1, 2, 3]);
}

async fn what_waits_for_a_retired_trigger_is_on_record_as_unregistered(bed: TestBed) {
    start_and_stop(bed.runtime.worker().job(React)).await;
    let here = Log::default();
    let worker = here.on(bed.runtime.worker(), "here").build().unwrap();
    let id = change(&bed, 1).await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, id).await, EventStatus::Pending);
    let events = bed.runtime.events();
    let trigger = "react/thing_changed";
    let skipped = events.retire(ConsumerKind::Trigger, trigger).await.unwrap();
    assert_eq!(skipped, Some(1));
    let details = events.show(id).await.unwrap().unwrap();
    assert_eq!(details.event.status, EventStatus::Processed);
    assert_eq!(details.bridge.len(), 1);
    let answer = &details.bridge[0];
    assert_eq!(
        (answer.trigger_id.as_str(), answer.job_type.as_str()),
        (trigger, "react")
    );
    assert_eq!(
        (answer.status, answer.run_id),
        (BridgeStatus::Skipped, None)
    );
    assert_eq!(answer.reason.as_deref(), Some("trigger_unregistered"));
}

async fn a_running_worker_stops_hosting_what_is_retired(bed: TestBed) {
    let (old, here) = (Log::default(), Log::default());
    let worker = here.on(old.on(bed.runtime.worker(), "old"), "here");
    let worker = worker.build().unwrap();
    let subscriptions = worker.subscriptions();
    let (shutdown, running) = run(worker);
    let first = change(&bed, 1).await;
    until("it is processed", async || {
        status(&bed, first).await == EventStatus::Processed
    })
    .await;
    let events = bed.runtime.events();
    events
        .retire(ConsumerKind::Subscription, "old")
        .await
        .unwrap();
    until("it has noticed", async || subscriptions.names() == ["here"]).await;
    let second = change(&bed, 2).await;
    until("it is processed", async || {
        status(&bed, second).await == EventStatus::Processed
    })
    .await;
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!((old.numbers(), here.numbers()), (vec![1], vec![1, 2]));
}

async fn a_program_that_has_a_retired_subscription_registers_it_anew(bed: TestBed) {
    let log = Log::default();
    start_and_stop(log.on(bed.runtime.worker(), "s")).await;
    let events = bed.runtime.events();
    events
        .retire(ConsumerKind::Subscription, "s")
        .await
        .unwrap();
    change(&bed, 1).await;
    start_and_stop(bed.runtime.worker()).await;
    // What was published in between is nobody's.
    start_and_stop(log.on(bed.runtime.worker(), "s")).await;
    let second = change(&bed, 2).await;
    start_and_stop(bed.runtime.worker()).await;
    assert_eq!(status(&bed, second).await, EventStatus::Pending);
    start_and_stop(log.on(bed.runtime.worker(), "s")).await;
    assert_eq!(log.numbers(), [2]);
    assert_eq!(status(&bed, second).await, EventStatus::Processed);
}

async fn retiring_what_is_not_there_says_so(bed: TestBed) {
    let events = bed.runtime.events();
    let retired = events
        .retire(ConsumerKind::Subscription, "nope")
        .await
        .unwrap();
    assert_eq!(retired, None);
    let log = Log::default();
    start_and_stop(log.on(bed.runtime.worker(), "s")).await;
    for _ in 0..2 {
        let retired = events
            .retire(ConsumerKind::Subscription, "s")
            .await
            .unwrap();
        assert_eq!(retired, Some(0));
    }
    let error: SubscriptionError = std::io::Error::other("x").into();
    assert!(error.is_retryable());
}

async fn two_versions_that_disagree_about_a_subscriptions_type_lose_no_event(bed: TestBed) {
    let (old, new) = (Log::default(), Log::default());
    let old_version = || old.on(bed.runtime.worker(), "s");
    let new_version = || new.on_renamed(bed.runtime.worker(), "s");
    start_and_stop(old_version()).await;
    start_and_stop(new_version()).await;
    let mut ids = vec![change(&bed, 1).await, rename(&bed, 2).await];
    start_and_stop(old_version()).await;
    assert_eq!((old.numbers(), new.numbers()), (vec![1], vec![]));
    assert_eq!(status(&bed, ids[1]).await, EventStatus::Pending);
    start_and_stop(new_version()).await;
    assert_eq!((old.numbers(), new.numbers()), (vec![1], vec![2]));

    // What waits for the old version is not in the new one's way.
    ids.extend([change(&bed, 3).await, rename(&bed, 4).await]);
    start_and_stop(new_version()).await;
    ids.push(rename(&bed, 5).await);
    start_and_stop(new_version()).await;
    assert_eq!((old.numbers(), new.numbers()), (vec![1], vec![2, 4, 5]));
    let registered = bed.runtime.events().subscriptions().await.unwrap();
    let waiting: Vec<_> = registered
        .iter()
        .map(|it| (it.name.as_str(), it.event_type.as_str(), it.waiting))
        .collect();
    assert_eq!(
        waiting,
        [("s", "thing_changed", 1), ("s", "thing_renamed", 0)]
    );
    start_and_stop(old_version()).await;
    assert_eq!((old.numbers(), new.numbers()), (vec![1, 3], vec![2, 4, 5]));
    for id in ids {
        assert_eq!(status(&bed, id).await, EventStatus::Processed);
    }
}

async fn a_name_that_one_version_has_for_every_type_and_one_for_a_single_one_gets_each_event_once(
    bed: TestBed,
) {
    let single = Log::default();
    let every: Arc<Mutex<Vec<String>>> = Arc::default();
    let for_every_type = || {
        let log = Arc::clone(&every);
        bed.runtime.worker().subscribe_all("s", move |event| {
            log.lock().unwrap().push(event.event_type);
            async { Ok(()) }
        })
    };
    start_and_stop(for_every_type()).await;
    start_and_stop(single.on(bed.runtime.worker(), "s")).await;
    let ids = [change(&bed, 1).await, rename(&bed, 2).await];
    start_and_stop(bed.runtime.worker()).await;
    let registered = bed.runtime.events().subscriptions().await.unwrap();
    let waiting: Vec<_> = registered
        .iter()
        .map(|it| (it.event_type.as_str(), it.waiting))
        .collect();
    assert_eq!(waiting, [("*", 1), ("thing_changed", 1)]);
    start_and_stop(single.on(bed.runtime.worker(), "s")).await;
    assert_eq!(single.numbers(), [1]);
    assert_eq!(status(&bed, ids[1]).await, EventStatus::Pending);
    start_and_stop(for_every_type()).await;
    assert_eq!(*every.lock().unwrap(), ["thing_renamed"]);
    for id in ids {
        assert_eq!(status(&bed, id).await, EventStatus::Processed);
    }
}

async fn a_type_that_a_name_no_longer_stands_for_is_retired_alone(bed: TestBed) {
    let (old, new) = (Log::default(), Log::default());
    start_and_stop(old.on(bed.runtime.worker(), "s")).await;
    start_and_stop(new.on_renamed(bed.runtime.worker(), "s")).await;
    let (changed, renamed) = (change(&bed, 1).await, rename(&bed, 2).await);
    start_and_stop(bed.runtime.worker()).await;
    bed.sql(
        "UPDATE event_subscription SET retired_at = seen_at WHERE event_type = 'thing_changed'",
    )
    .await;
    let (shutdown, running) = run(bed.runtime.worker().build().unwrap());
    until("what waits for the old type is skipped", async || {
        status(&bed, changed).await == EventStatus::Processed
    })
    .await;
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(status(&bed, renamed).await, EventStatus::Pending);
    start_and_stop(new.on_renamed(bed.runtime.worker(), "s")).await;
    assert_eq!((old.numbers(), new.numbers()), (vec![], vec![2]));
}
