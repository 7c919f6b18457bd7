//! Publishing many events at once, and events of types that the program does not know.

use std::sync::{Arc, Mutex};

use crate::support::TestBed;
use runtime_sea::{
    Event, EventEnvelope, EventFilter, EventId, EventOrdering, EventRoute, NoAggregate,
    PublishError, PublishOptions, Published, RawEvent, begin,
};
use serde::{Deserialize, Serialize};

crate::on_each_database!(
    many_events_are_stored_in_their_order,
    the_events_of_a_batch_are_new_or_duplicates_one_by_one,
    a_batch_with_an_event_that_cannot_be_stored_writes_nothing,
    a_batch_vanishes_with_its_transaction,
    more_events_than_a_statement_takes_are_stored,
    r50_a_huge_payload_is_refused_at_publish,
    a_raw_event_is_what_a_typed_one_would_be,
    a_raw_event_needs_a_type_and_the_id_of_what_it_changes,
    the_key_to_wait_for_is_the_aggregates_id_unless_it_is_said,
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Moved {
    n: u32,
}

impl Event for Moved {
    const TYPE: &'static str = "thing_moved";
    const VERSION: u32 = 3;
    const ROUTE: EventRoute = EventRoute::change("thing");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Looked {}

impl Event for Looked {
    const TYPE: &'static str = "thing_looked_at";
    const ROUTE: EventRoute = EventRoute::audit();
}

async fn stored(bed: &TestBed) -> Vec<runtime_sea::EventRecord> {
    let filter = EventFilter::new().limit(100_000);
    let mut events = bed.runtime.events().list(filter).await.unwrap();
    events.reverse();
    events
}

async fn many_events_are_stored_in_their_order(bed: TestBed) {
    let tx = begin(bed.runtime.db()).await.unwrap();
    let events = (0..50).map(|n| ("one", Moved { n }));
    let published = bed
        .runtime
        .events()
        .publish_many(&tx, events)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(published.iter().all(|it| it.is_new()));
    let ids: Vec<_> = published.iter().map(|it| it.id()).collect();
    assert_eq!(
        stored(&bed)
            .await
            .iter()
            .map(|it| it.id)
            .collect::<Vec<_>>(),
        ids
    );

    let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
    let log = Arc::clone(&seen);
    let subscription = move |event: EventEnvelope<Moved>| {
        log.lock().unwrap().push(event.payload.n);
        async { Ok(()) }
    };
    let worker = bed.runtime.worker().subscribe("log", subscription);
    worker.build().unwrap().drain_until_idle().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), (0..50).collect::<Vec<_>>());

    let tx = begin(bed.runtime.db()).await.unwrap();
    let none: [(NoAggregate, Moved); 0] = [];
    let published = bed.runtime.events().publish_many(&tx, none).await.unwrap();
    assert!(published.is_empty());
}

async fn the_events_of_a_batch_are_new_or_duplicates_one_by_one(bed: TestBed) {
    let events = bed.runtime.events();
    let id = |name: &str| EventId::from_source("bank", name);
    let with = |name: &str, n| ("acc", Moved { n }, PublishOptions::new().id(id(name)));
    let tx = begin(bed.runtime.db()).await.unwrap();
    let first = [with("a", 1), with("b", 2)];
    events.publish_many_with(&tx, first).await.unwrap();
    tx.commit().await.unwrap();

    let tx = begin(bed.runtime.db()).await.unwrap();
    let second = [with("c", 3), with("a", 4), with("d", 5), with("c", 6)];
    let published = events.publish_many_with(&tx, second).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        published,
        [
            Published::New(id("c")),
            Published::Duplicate(id("a")),
            Published::New(id("d")),
            Published::Duplicate(id("c")),
        ]
    );
    let numbers: Vec<_> = stored(&bed)
        .await
        .iter()
        .map(|it| it.payload["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 5]);
}

async fn a_batch_with_an_event_that_cannot_be_stored_writes_nothing(bed: TestBed) {
    let events = bed.runtime.events();
    let tx = begin(bed.runtime.db()).await.unwrap();
    let batch = [
        ("fine".to_owned(), Moved { n: 1 }),
        ("x".repeat(300), Moved { n: 2 }),
    ];
    let error = events.publish_many(&tx, batch).await.unwrap_err();
    assert!(matches!(error, PublishError::Name { .. }), "{error}");
    // The transaction is as good as before.
    events.publish(&tx, "fine", Moved { n: 3 }).await.unwrap();
    tx.commit().await.unwrap();
    let stored = stored(&bed).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].payload["n"], 3);
}

#[derive(Debug, Serialize, Deserialize)]
struct Attached {
    text: String,
}

impl Event for Attached {
    const TYPE: &'static str = "thing_attached";
    const ROUTE: EventRoute = EventRoute::change("thing");
}

async fn r50_a_huge_payload_is_refused_at_publish(bed: TestBed) {
    let of = |bytes| Attached {
        text: "x".repeat(bytes),
    };
    let events = bed.runtime.events();
    let tx = begin(bed.runtime.db()).await.unwrap();
    events.publish(&tx, "one", of(4_000_000)).await.unwrap();
    let refused = events.publish(&tx, "one", of(5_000_000)).await.unwrap_err();
    assert!(
        refused.to_string().contains("its payload takes 50000"),
        "{refused}"
    );
    let huge = PublishOptions::new().metadata("text", "x".repeat(5_000_000));
    let refused = events.publish_with(&tx, "one", of(1), huge).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("its metadata takes 50000"), "{refused}");
    // The transaction goes on.
    tx.commit().await.unwrap();
    assert_eq!(stored(&bed).await.len(), 1);
}

async fn a_batch_vanishes_with_its_transaction(bed: TestBed) {
    let tx = begin(bed.runtime.db()).await.unwrap();
    let batch = (0..3).map(|n| ("one", Moved { n }));
    bed.runtime.events().publish_many(&tx, batch).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(stored(&bed).await.is_empty());
}

async fn more_events_than_a_statement_takes_are_stored(bed: TestBed) {
    // Sixteen parameters each: more than 65,535.
    const EVENTS: u32 = 5000;
    let tx = begin(bed.runtime.db()).await.unwrap();
    let batch = (0..EVENTS).map(|n| ("one", Moved { n }));
    let published = bed.runtime.events().publish_many(&tx, batch).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(published.len(), EVENTS as usize);
    let stored = stored(&bed).await;
    assert_eq!(stored.len(), EVENTS as usize);
    assert!(stored.iter().zip(0..).all(|(it, n)| it.payload["n"] == n));
}

async fn a_raw_event_is_what_a_typed_one_would_be(bed: TestBed) {
    let events = bed.runtime.events();
    let payload = serde_json::json!({ "n": 7 });
    let options = PublishOptions::new()
        .id(EventId::from_source("bank", "x"))
        .metadata("from", "there");
    let raw = RawEvent::new("thing_moved", EventRoute::change("thing"), payload)
        .aggregate("thing", "one")
        .version(3)
        .options(options);
    let first = events.publish_raw_detached(raw.clone()).await.unwrap();
    assert!(first.is_new());
    let tx = begin(bed.runtime.db()).await.unwrap();
    let again = events.publish_raw(&tx, raw).await.unwrap();
    assert_eq!(again, Published::Duplicate(first.id()));
    events.publish(&tx, "one", Moved { n: 8 }).await.unwrap();
    tx.commit().await.unwrap();
    let stored = stored(&bed).await;
    let [raw, typed] = stored.as_slice() else {
        panic!("{} events", stored.len())
    };
    assert_eq!(raw.event_type, typed.event_type);
    assert_eq!(raw.aggregate_type, typed.aggregate_type);
    assert_eq!(raw.aggregate_id, typed.aggregate_id);
    assert_eq!(
        (raw.direction, &raw.pool, raw.tier),
        (typed.direction, &typed.pool, typed.tier)
    );
    assert_eq!(
        (raw.version, &raw.wait_key),
        (typed.version, &typed.wait_key)
    );
    assert_eq!(raw.metadata["from"], "there");
    assert_eq!(raw.decode::<Moved>(1).unwrap().payload, Moved { n: 7 });
    let route = EventRoute::inbound("bank");
    assert_eq!(route.ordering(), EventOrdering::None);
}

async fn a_raw_event_needs_a_type_and_the_id_of_what_it_changes(bed: TestBed) {
    let events = bed.runtime.events();
    let nothing = || serde_json::json!({});
    let nameless = RawEvent::new("", EventRoute::inbound("bank"), nothing());
    let error = events.publish_raw_detached(nameless).await.unwrap_err();
    assert!(error.to_string().contains("its type is empty"), "{error}");
    let of_nothing = RawEvent::new("moved", EventRoute::change("thing"), nothing());
    let error = events.publish_raw_detached(of_nothing).await.unwrap_err();
    assert!(
        matches!(error, PublishError::MissingAggregate { .. }),
        "{error}"
    );
    assert!(stored(&bed).await.is_empty());
}

async fn the_key_to_wait_for_is_the_aggregates_id_unless_it_is_said(bed: TestBed) {
    let events = bed.runtime.events();
    events
        .publish_detached("one", Moved { n: 1 })
        .await
        .unwrap();
    let options = PublishOptions::new().wait_key("order-7");
    events
        .publish_detached_with("one", Moved { n: 2 }, options.clone())
        .await
        .unwrap();
    // Nobody may wait for an audit event.
    events
        .publish_detached_with("one", Looked {}, options)
        .await
        .unwrap();
    let keys: Vec<_> = stored(&bed)
        .await
        .into_iter()
        .map(|it| it.wait_key)
        .collect();
    assert_eq!(
        keys,
        [Some("one".to_owned()), Some("order-7".to_owned()), None]
    );
}

// SQLite has one writer: there everybody waits for an open transaction that writes.
#[test]
fn a_duplicate_in_an_open_transaction_stops_no_claim_on_postgres() {
    crate::support::on_postgres(a_duplicate_in_an_open_transaction_stops_no_claim);
}

#[test]
fn a_duplicate_in_an_open_transaction_stops_no_claim_on_mysql() {
    crate::support::on_mysql(a_duplicate_in_an_open_transaction_stops_no_claim);
}

async fn a_duplicate_in_an_open_transaction_stops_no_claim(bed: TestBed) {
    let events = bed.runtime.events();
    let options = || PublishOptions::new().id(EventId::from_source("shop", "order 1"));
    let tx = begin(bed.runtime.db()).await.unwrap();
    let first = events.publish_with(&tx, "one", Moved { n: 1 }, options());
    assert!(first.await.unwrap().is_new());
    tx.commit().await.unwrap();

    let open = begin(bed.runtime.db()).await.unwrap();
    let again = events.publish_with(&open, "one", Moved { n: 1 }, options());
    assert!(!again.await.unwrap().is_new());
    let many = [("one", Moved { n: 1 }, options())];
    let again = events.publish_many_with(&open, many).await.unwrap();
    assert!(!again[0].is_new());

    let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
    let log = Arc::clone(&seen);
    let subscription = move |event: EventEnvelope<Moved>| {
        log.lock().unwrap().push(event.payload.n);
        async { Ok(()) }
    };
    let worker = bed.runtime.worker().subscribe("log", subscription);
    worker.build().unwrap().drain_until_idle().await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [1]);
    open.commit().await.unwrap();
}
