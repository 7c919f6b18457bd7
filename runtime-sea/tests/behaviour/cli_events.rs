//! Delivering events again, who gets them, and what the command line shows of it.

use std::sync::{Arc, Mutex};

use crate::support::TestBed;
use clap::Parser;
use runtime_sea::cli::{CliError, EventsCommand};
use runtime_sea::{
    BridgeStatus, Event, EventEnvelope, EventFilter, EventId, EventRetry, EventRoute, EventStatus,
    JobContext, JobHandler, JobPolicy, JobResult, RawEvent, RunFilter, SubscriptionError, Worker,
};
use serde::{Deserialize, Serialize};

crate::on_each_database!(
    a_replayed_event_reaches_everybody_again_and_starts_no_second_run,
    a_trigger_that_started_nothing_is_asked_again_by_a_replay,
    many_events_are_replayed_in_their_order,
    an_event_that_is_still_delivered_is_not_replayed,
    the_command_line_delivers_again_what_failed,
    the_command_line_shows_who_gets_events_and_retires_them,
    the_command_line_shows_pauses_and_resumes_lanes,
    r35_events_of_a_type_that_nobody_gets_are_visible,
);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Changed {
    n: u32,
}

impl Event for Changed {
    const TYPE: &'static str = "thing_changed";
    const ROUTE: EventRoute = EventRoute::change("thing").retry(EventRetry::fixed(1));
}

/// Passes odd numbers over, as long as it is told to.
struct React;

impl JobHandler for React {
    const TYPE: &'static str = "react";
    type Input = u32;
    type Output = ();

    fn policy() -> JobPolicy<u32> {
        JobPolicy::<u32>::new()
            .on::<Changed>(|event| (event.payload.n % 2 == 0).then_some(event.payload.n))
    }

    async fn run(&self, _: &JobContext, _: u32) -> JobResult<()> {
        Ok(())
    }
}

type Log = Arc<Mutex<Vec<u32>>>;

fn logging(bed: &TestBed, name: &str, log: &Log) -> Worker {
    let log = log.clone();
    let subscription = move |event: EventEnvelope<Changed>| {
        log.lock().unwrap().push(event.payload.n);
        async { Ok(()) }
    };
    let worker = bed
        .runtime
        .worker()
        .job(React)
        .subscribe(name, subscription);
    worker.build().unwrap()
}

fn failing(bed: &TestBed, name: &str) -> Worker {
    let subscription =
        |_: EventEnvelope<Changed>| async { Err(SubscriptionError::non_retryable("no such luck")) };
    let worker = bed.runtime.worker().subscribe(name, subscription);
    worker.build().unwrap()
}

async fn change(bed: &TestBed, n: u32) -> EventId {
    let events = bed.runtime.events();
    let published = events.publish_detached("one", Changed { n }).await.unwrap();
    published.id()
}

async fn status(bed: &TestBed, id: EventId) -> EventStatus {
    let details = bed.runtime.events().show(id).await.unwrap().unwrap();
    details.event.status
}

fn seen(log: &Log) -> Vec<u32> {
    log.lock().unwrap().clone()
}

async fn runs(bed: &TestBed) -> usize {
    bed.runtime
        .jobs()
        .list(RunFilter::new())
        .await
        .unwrap()
        .len()
}

async fn a_replayed_event_reaches_everybody_again_and_starts_no_second_run(bed: TestBed) {
    let log = Log::default();
    let worker = logging(&bed, "s", &log);
    let id = change(&bed, 2).await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!((seen(&log), runs(&bed).await), (vec![2], 1));
    let events = bed.runtime.events();
    assert!(events.replay(id).await.unwrap());
    assert_eq!(status(&bed, id).await, EventStatus::Pending);
    worker.drain_until_idle().await.unwrap();
    assert_eq!((seen(&log), runs(&bed).await), (vec![2, 2], 1));
    let details = events.show(id).await.unwrap().unwrap();
    assert_eq!(details.event.status, EventStatus::Processed);
    assert_eq!(details.bridge.len(), 1);
    assert!(!events.replay(EventId::generate()).await.unwrap());
}

async fn a_trigger_that_started_nothing_is_asked_again_by_a_replay(bed: TestBed) {
    let worker = logging(&bed, "s", &Log::default());
    let id = change(&bed, 3).await;
    worker.drain_until_idle().await.unwrap();
    let events = bed.runtime.events();
    let answer = async || events.show(id).await.unwrap().unwrap().bridge.remove(0);
    assert_eq!(answer().await.status, BridgeStatus::Skipped);
    let payload = serde_json::json!({ "n": 4 });
    bed.sql(&format!("UPDATE domain_events SET payload = '{payload}'"))
        .await;
    assert!(events.replay(id).await.unwrap());
    worker.drain_until_idle().await.unwrap();
    assert_eq!(answer().await.status, BridgeStatus::Started);
    assert_eq!(runs(&bed).await, 1);
}

async fn many_events_are_replayed_in_their_order(bed: TestBed) {
    const EVENTS: u32 = 450;
    let log = Log::default();
    let worker = logging(&bed, "s", &log);
    let tx = runtime_sea::begin(bed.runtime.db()).await.unwrap();
    let batch = (0..EVENTS).map(|n| ("one", Changed { n: 2 * n + 1 }));
    let events = bed.runtime.events();
    events.publish_many(&tx, batch).await.unwrap();
    tx.commit().await.unwrap();
    worker.drain_until_idle().await.unwrap();
    let first = std::mem::take(&mut *log.lock().unwrap());
    let of_type = EventFilter::new().event_type("thing_changed");
    let replayed = events
        .replay_all(of_type.clone().limit(1000))
        .await
        .unwrap();
    assert_eq!(replayed, u64::from(EVENTS));
    worker.drain_until_idle().await.unwrap();
    assert_eq!(*log.lock().unwrap(), first);
    let other = EventFilter::new().event_type("another");
    assert_eq!(events.replay_all(other).await.unwrap(), 0);
    assert_eq!(events.replay_all(of_type.limit(7)).await.unwrap(), 7);
}

async fn an_event_that_is_still_delivered_is_not_replayed(bed: TestBed) {
    let elsewhere = logging(&bed, "elsewhere", &Log::default());
    elsewhere.drain_until_idle().await.unwrap();
    let id = change(&bed, 1).await;
    let events = bed.runtime.events();
    assert!(!events.replay(id).await.unwrap());
    let here = bed.runtime.worker().build().unwrap();
    here.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, id).await, EventStatus::Pending);
    assert!(!events.replay(id).await.unwrap());
    assert_eq!(events.replay_all(EventFilter::new()).await.unwrap(), 0);
}

#[derive(Parser)]
enum App {
    Events(EventsCommand),
}

async fn app(bed: &TestBed, words: &[&str]) -> Result<String, CliError> {
    let App::Events(command) = App::try_parse_from([&["app", "events"], words].concat()).unwrap();
    command.run(&bed.runtime).await
}

async fn the_command_line_delivers_again_what_failed(bed: TestBed) {
    let worker = failing(&bed, "s");
    let id = change(&bed, 1).await;
    worker.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, id).await, EventStatus::Failed);
    let text = id.to_string();
    let failed = app(&bed, &["failed"]).await.unwrap();
    assert!(
        failed.contains(&text) && failed.contains("no such luck"),
        "{failed}"
    );
    let log = Log::default();
    let mended = logging(&bed, "s", &log);
    let said = app(&bed, &["redeliver", &text]).await.unwrap();
    assert_eq!(said, format!("what failed of event {id} is tried again"));
    mended.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, id).await, EventStatus::Processed);
    let refused = app(&bed, &["redeliver", &text]).await.unwrap_err();
    assert!(matches!(refused, CliError::Refused(_)), "{refused}");

    app(&bed, &["replay", &text]).await.unwrap();
    let refused = app(&bed, &["replay", &text]).await.unwrap_err();
    assert!(
        refused.to_string().contains("still being delivered"),
        "{refused}"
    );
    mended.drain_until_idle().await.unwrap();
    let words = ["replay", "--type", "thing_changed", "--json"];
    let json: serde_json::Value = serde_json::from_str(&app(&bed, &words).await.unwrap()).unwrap();
    assert_eq!(json["count"], 1);
    mended.drain_until_idle().await.unwrap();
    assert_eq!(*log.lock().unwrap(), [1, 1, 1]);
    let unknown = EventId::generate().to_string();
    for action in ["show", "redeliver", "replay"] {
        let missing = app(&bed, &[action, &unknown]).await.unwrap_err();
        assert!(matches!(missing, CliError::NotFound { .. }), "{missing}");
    }
    assert!(App::try_parse_from(["app", "events", "replay"]).is_err());
}

async fn the_command_line_shows_who_gets_events_and_retires_them(bed: TestBed) {
    assert_eq!(
        app(&bed, &["subscriptions"]).await.unwrap(),
        "no subscriptions"
    );
    logging(&bed, "s", &Log::default())
        .drain_until_idle()
        .await
        .unwrap();
    change(&bed, 1).await;
    let elsewhere = bed.runtime.worker().build().unwrap();
    elsewhere.drain_until_idle().await.unwrap();
    let words = ["subscriptions", "--json"];
    let json: serde_json::Value = serde_json::from_str(&app(&bed, &words).await.unwrap()).unwrap();
    assert_eq!(
        (&json[0]["name"], &json[0]["waiting"]),
        (&"s".into(), &1.into())
    );
    assert_eq!(json[1]["name"], "react/thing_changed");
    assert_eq!(
        (&json[1]["kind"], &json[1]["waiting"]),
        (&"trigger".into(), &1.into())
    );
    let said = app(&bed, &["retire", "s"]).await.unwrap();
    assert_eq!(
        said,
        "the subscription s is retired; 1 deliveries were skipped"
    );
    app(&bed, &["retire", "--trigger", "react/thing_changed"])
        .await
        .unwrap();
    let json: serde_json::Value = serde_json::from_str(&app(&bed, &words).await.unwrap()).unwrap();
    for record in [&json[0], &json[1]] {
        assert_eq!(record["waiting"], 0);
        assert!(record["retired_at"].is_string());
    }
    let missing = app(&bed, &["retire", "nope"]).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no subscription nope");
}

async fn the_command_line_shows_pauses_and_resumes_lanes(bed: TestBed) {
    let worker = logging(&bed, "s", &Log::default());
    let said = app(&bed, &["pause", "events_change"]).await.unwrap();
    assert_eq!(said, "the lane events_change is paused");
    let id = change(&bed, 1).await;
    worker.drain_until_idle().await.unwrap();
    let lanes = app(&bed, &["lanes"]).await.unwrap();
    let line = |name: &str| {
        let line = lanes.lines().find(|it| it.starts_with(name)).unwrap();
        line.split_whitespace()
            .take(4)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line("events_change"), ["events_change", "paused", "1", "0"]);
    assert_eq!(line("events_audit"), ["events_audit", "open", "0", "0"]);
    app(&bed, &["resume", "events_change"]).await.unwrap();
    worker.drain_until_idle().await.unwrap();
    assert_eq!(status(&bed, id).await, EventStatus::Processed);
    assert!(App::try_parse_from(["app", "events", "pause", "batch"]).is_err());
}

async fn r35_events_of_a_type_that_nobody_gets_are_visible(bed: TestBed) {
    let worker = bed
        .runtime
        .worker()
        .registry(runtime_sea::EventRegistry::new().register::<Changed>())
        .build()
        .unwrap();
    let raw = RawEvent::new(
        "unheard_of",
        EventRoute::inbound("x"),
        serde_json::json!({}),
    );
    let events = bed.runtime.events();
    events.publish_raw_detached(raw).await.unwrap();
    change(&bed, 1).await;
    worker.drain_until_idle().await.unwrap();
    let parked = events.parked().await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].event_type.as_str(), parked[0].events),
        ("unheard_of", 1)
    );
    assert!(parked[0].oldest.is_some());
    let lanes = app(&bed, &["lanes"]).await.unwrap();
    assert!(
        lanes.contains("PARKED TYPE") && lanes.contains("unheard_of"),
        "{lanes}"
    );
}
