//! Events as a program sees them: publishing, and workers that deliver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{TestBed, until};
use runtime_sea::{
    AggregateId, Event, EventEnvelope, EventFilter, EventId, EventRetry, EventRoute, EventStatus,
    JobContext, JobHandler, JobPolicy, JobResult, NoAggregate, PublishError, PublishOptions,
    Published, RunFilter, RunStatus,
};
use sea_orm::TransactionTrait;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

crate::on_each_database!(
    r28_an_event_exists_if_and_only_if_its_transaction_committed,
    the_same_id_twice_is_one_event,
    a_duplicate_of_an_event_that_was_rolled_back_is_new,
    what_is_published_is_what_is_delivered,
    a_change_needs_its_aggregate,
    r51_a_nul_character_is_refused_at_publish,
    events_can_be_found,
    events_that_name_no_aggregate_can_be_found,
    an_event_starts_its_job_exactly_once_with_several_workers,
    a_failing_subscription_is_retried_by_a_running_worker,
    a_published_event_wakes_an_idle_worker,
    a_worker_for_events_alone_needs_no_job_tables,
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ContactCreated {
    contact_id: uuid::Uuid,
    name: String,
}

impl Event for ContactCreated {
    const TYPE: &'static str = "contact_created";
    const VERSION: u32 = 2;
    const ROUTE: EventRoute = EventRoute::change("contact")
        .retry(EventRetry::fixed(3).first_delay(Duration::from_millis(20)));
}

#[derive(Debug, Serialize, Deserialize)]
struct PaymentReceived {
    reference: String,
}

impl Event for PaymentReceived {
    const TYPE: &'static str = "payment_received";
    const ROUTE: EventRoute = EventRoute::inbound("stripe");
}

fn created(name: &str) -> (uuid::Uuid, ContactCreated) {
    let contact_id = uuid::Uuid::now_v7();
    (
        contact_id,
        ContactCreated {
            contact_id,
            name: name.to_owned(),
        },
    )
}

async fn publish(bed: &TestBed, name: &str) -> EventId {
    let (id, event) = created(name);
    let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
    let published = bed.runtime.events().publish(&tx, id, event).await.unwrap();
    tx.commit().await.unwrap();
    assert!(published.is_new());
    published.id()
}

async fn r28_an_event_exists_if_and_only_if_its_transaction_committed(bed: TestBed) {
    let events = bed.runtime.events();
    let (id, event) = created("ada");
    let tx = bed.runtime.db().begin().await.unwrap();
    let published = events.publish(&tx, id, event.clone()).await.unwrap().id();
    tx.rollback().await.unwrap();
    assert!(events.show(published).await.unwrap().is_none());

    let tx = bed.runtime.db().begin().await.unwrap();
    let published = events.publish(&tx, id, event).await.unwrap().id();
    tx.commit().await.unwrap();
    assert!(events.show(published).await.unwrap().is_some());
    assert_eq!(events.list(EventFilter::new()).await.unwrap().len(), 1);
}

async fn the_same_id_twice_is_one_event(bed: TestBed) {
    let events = bed.runtime.events();
    let id = EventId::from_source("stripe", "evt_1");
    let publish = async |reference: &str| {
        let event = PaymentReceived {
            reference: reference.to_owned(),
        };
        let options = PublishOptions::new().id(id);
        events
            .publish_detached_with(NoAggregate, event, options)
            .await
            .unwrap()
    };
    assert_eq!(publish("first").await, Published::New(id));
    assert_eq!(publish("second").await, Published::Duplicate(id));
    let stored = events.list(EventFilter::new()).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].payload["reference"], "first");
}

async fn a_duplicate_of_an_event_that_was_rolled_back_is_new(bed: TestBed) {
    let events = bed.runtime.events();
    let id = EventId::from_source("stripe", "evt_1");
    for commits in [false, true] {
        let tx = bed.runtime.db().begin().await.unwrap();
        let event = PaymentReceived {
            reference: "r".to_owned(),
        };
        let options = PublishOptions::new().id(id);
        let published = events
            .publish_with(&tx, NoAggregate, event, options)
            .await
            .unwrap();
        assert_eq!(published, Published::New(id));
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
}

async fn what_is_published_is_what_is_delivered(bed: TestBed) {
    let delivered: Arc<Mutex<Vec<EventEnvelope<ContactCreated>>>> = Arc::default();
    let seen = Arc::clone(&delivered);
    let worker = bed
        .runtime
        .worker()
        .subscribe::<ContactCreated, _, _>("seen", move |event: EventEnvelope<ContactCreated>| {
            seen.lock().unwrap().push(event);
            async { Ok(()) }
        })
        .build()
        .unwrap();
    let (id, event) = created("Ada \u{1f680} \"Lovelace\"");
    let occurred_at = "2020-02-29T12:34:56.789Z".parse().unwrap();
    let options = PublishOptions::new()
        .tenant(Some("acme"))
        .occurred_at(occurred_at)
        .metadata("request", "r-1");
    let published = bed
        .runtime
        .events()
        .publish_detached_with(id, event.clone(), options)
        .await
        .unwrap();
    worker.drain_until_idle().await.unwrap();
    let delivered = delivered.lock().unwrap();
    let [envelope] = delivered.as_slice() else {
        panic!("delivered {} times", delivered.len())
    };
    assert_eq!(envelope.id, published.id());
    assert_eq!(envelope.payload, event);
    assert_eq!(envelope.aggregate_type.as_deref(), Some("contact"));
    assert_eq!(envelope.aggregate_id, Some(id.to_string()));
    assert_eq!(envelope.occurred_at, occurred_at);
    assert_eq!((envelope.version, envelope.attempt), (2, 1));
    assert_eq!(envelope.tenant_id.as_deref(), Some("acme"));
    assert_eq!(envelope.metadata["request"], "r-1");
}

async fn a_change_needs_its_aggregate(bed: TestBed) {
    let (_, event) = created("ada");
    let error = bed
        .runtime
        .events()
        .publish_detached(NoAggregate, event)
        .await
        .unwrap_err();
    assert!(matches!(error, PublishError::MissingAggregate { .. }));
    assert!(
        error
            .to_string()
            .contains("publish it with the id of the `contact`"),
        "{error}"
    );
}

async fn r51_a_nul_character_is_refused_at_publish(bed: TestBed) {
    let (id, event) = created("a\0b");
    let error = bed
        .runtime
        .events()
        .publish_detached(id, event)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`payload.name`"), "{error}");
    for aggregate in ["a\0b".to_owned(), "x".repeat(300)] {
        let (_, event) = created("ada");
        let events = bed.runtime.events();
        let error = events.publish_detached(aggregate, event).await.unwrap_err();
        assert!(matches!(error, PublishError::Name { .. }), "{error}");
    }
    assert!(
        bed.runtime
            .events()
            .list(EventFilter::new())
            .await
            .unwrap()
            .is_empty()
    );
}

#[derive(Debug, Serialize, Deserialize)]
struct OrderPaid {}

impl Event for OrderPaid {
    const TYPE: &'static str = "order_paid";
    const ROUTE: EventRoute = EventRoute::inbound("stripe").aggregate("order");
}

async fn events_that_name_no_aggregate_can_be_found(bed: TestBed) {
    let events = bed.runtime.events();
    publish(&bed, "ada").await;
    let publish = async |id: AggregateId| {
        let published = events.publish_detached(id, OrderPaid {}).await;
        published.unwrap().id()
    };
    let named = publish("7".into()).await;
    let nameless = publish(NoAggregate.into()).await;
    let ids = async |id: AggregateId| {
        let filter = EventFilter::new().aggregate("order", id);
        let found = events.list(filter).await.unwrap();
        found.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(NoAggregate.into()).await, [nameless]);
    assert_eq!(ids("7".into()).await, [named]);
}

async fn events_can_be_found(bed: TestBed) {
    let events = bed.runtime.events();
    let ada = publish(&bed, "ada").await;
    let bob = publish(&bed, "bob").await;
    let payment = PaymentReceived {
        reference: "r".to_owned(),
    };
    let options = PublishOptions::new().tenant(Some("acme"));
    let paid = events
        .publish_detached_with("order-7", payment, options)
        .await
        .unwrap()
        .id();
    let ids = async |filter: EventFilter| {
        let found = events.list(filter).await.unwrap();
        found.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(EventFilter::new()).await, [paid, bob, ada]);
    assert_eq!(ids(EventFilter::new().limit(1)).await, [paid]);
    assert_eq!(
        ids(EventFilter::new().event_type("contact_created")).await,
        [bob, ada]
    );
    assert_eq!(ids(EventFilter::new().tenant("acme")).await, [paid]);
    assert_eq!(
        ids(EventFilter::new().status(EventStatus::Pending))
            .await
            .len(),
        3
    );
    assert!(
        ids(EventFilter::new().status(EventStatus::Failed))
            .await
            .is_empty()
    );
    let aggregate = events
        .show(ada)
        .await
        .unwrap()
        .unwrap()
        .event
        .aggregate_id
        .unwrap();
    assert_eq!(
        ids(EventFilter::new().aggregate("contact", aggregate)).await,
        [ada]
    );
    assert!(events.show(EventId::generate()).await.unwrap().is_none());
    assert_eq!(AggregateId::from(7_i64).as_str(), Some("7"));
}

struct Welcome;

impl JobHandler for Welcome {
    const TYPE: &'static str = "welcome";
    type Input = String;
    type Output = String;

    fn policy() -> JobPolicy<String> {
        JobPolicy::new().on::<ContactCreated>(|event| Some(event.payload.name.clone()))
    }

    async fn run(&self, _: &JobContext, name: String) -> JobResult<String> {
        Ok(format!("Welcome, {name}"))
    }
}

async fn an_event_starts_its_job_exactly_once_with_several_workers(bed: TestBed) {
    const EVENTS: usize = 40;
    let shutdown = CancellationToken::new();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let worker = bed
            .other_process()
            .await
            .worker()
            .job(Welcome)
            .build()
            .unwrap();
        let shutdown = shutdown.clone();
        workers.push(tokio::spawn(async move { worker.run(shutdown).await }));
    }
    let mut ids = Vec::new();
    for n in 0..EVENTS {
        ids.push(publish(&bed, &n.to_string()).await);
    }
    let completed = RunFilter::new().status(RunStatus::Completed);
    until("every run is completed", async || {
        bed.runtime
            .jobs()
            .list(completed.clone())
            .await
            .unwrap()
            .len()
            >= EVENTS
    })
    .await;
    shutdown.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    let runs = bed.runtime.jobs().list(RunFilter::new()).await.unwrap();
    assert_eq!(runs.len(), EVENTS);
    for id in ids {
        let details = bed.runtime.events().show(id).await.unwrap().unwrap();
        assert_eq!(details.event.status, EventStatus::Processed);
        assert_eq!(details.bridge.len(), 1);
        let run = details.bridge[0].run_id.unwrap();
        let caused = bed.run(run).await.caused_by_event.unwrap();
        assert_eq!(caused.id, id.as_uuid());
    }
}

async fn a_failing_subscription_is_retried_by_a_running_worker(bed: TestBed) {
    let worker = bed
        .runtime
        .worker()
        .subscribe::<ContactCreated, _, _>(
            "moody",
            |event: EventEnvelope<ContactCreated>| async move {
                if event.attempt < 3 {
                    return Err(std::io::Error::other("not in the mood").into());
                }
                Ok(())
            },
        )
        .build()
        .unwrap();
    let id = publish(&bed, "ada").await;
    let shutdown = CancellationToken::new();
    let running = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { worker.run(shutdown).await })
    };
    let details = async || bed.runtime.events().show(id).await.unwrap().unwrap();
    until("the event is processed", async || {
        details().await.event.status == EventStatus::Processed
    })
    .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let details = details().await;
    assert_eq!(details.deliveries.len(), 1);
    assert_eq!(details.deliveries[0].attempts, 3);
    assert_eq!(
        details.deliveries[0].error.as_deref(),
        Some("not in the mood")
    );
}

async fn a_published_event_wakes_an_idle_worker(bed: TestBed) {
    let worker = bed.runtime.worker().build().unwrap();
    let shutdown = CancellationToken::new();
    let running = {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { worker.run(shutdown).await })
    };
    for n in 0..3 {
        let id = publish(&bed, &n.to_string()).await;
        until("the event is processed", async || {
            let details = bed.runtime.events().show(id).await.unwrap().unwrap();
            details.event.status == EventStatus::Processed
        })
        .await;
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn a_worker_for_events_alone_needs_no_job_tables(bed: TestBed) {
    let manager = sea_orm_migration::SchemaManager::new(bed.runtime.db());
    runtime_sea::migration::bridge::v1::down(&manager)
        .await
        .unwrap();
    runtime_sea::migration::jobs::v1::down(&manager)
        .await
        .unwrap();
    let id = publish(&bed, "ada").await;
    let worker = bed.runtime.worker().events_only().build().unwrap();
    worker.drain_until_idle().await.unwrap();
    let details = bed.runtime.events().show(id).await.unwrap().unwrap();
    assert_eq!(details.event.status, EventStatus::Processed);
}
