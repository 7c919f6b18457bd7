//! The bridge: triggers that start runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{EntityTrait, PaginatorTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::harness::*;
use super::on_each_database;
use crate::bridge::{BridgeStatus, ledger};
use crate::database::News;
use crate::events::entities::domain_event;
use crate::events::{EventId, EventStatus};
use crate::jobs::entities::job_run;
use crate::{Collision, JobContext, JobHandler, JobPolicy, JobResult};

on_each_database!(
    a_trigger_fires_exactly_once_while_drainers_race,
    a_run_that_a_trigger_starts_calls_the_workers,
    r34_a_trigger_that_fired_already_starts_nothing,
    r03_a_stale_drainer_starts_no_run,
    what_a_trigger_passes_over_is_on_record,
    a_trigger_that_cannot_decode_is_on_record,
    a_trigger_that_panics_is_on_record,
    r05_a_key_that_panics_is_on_record_and_spares_the_next_event,
    a_rejected_start_is_on_record,
    a_deduplicated_start_names_the_run,
    a_trigger_of_another_process_is_left_for_it,
    r37_a_key_that_no_database_can_store_is_on_record_and_spares_the_event,
);

#[derive(Serialize, Deserialize)]
struct Input {
    contact: String,
    n: u32,
}

/// Welcomes every contact but `nobody`.
struct Welcome;

impl JobHandler for Welcome {
    const TYPE: &'static str = "welcome";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::new().on::<Changed>(|event| {
            let Changed { contact, n } = event.payload.clone();
            assert_ne!(contact, "panic", "the trigger gave up");
            (contact != "nobody").then_some(Input { contact, n })
        })
    }

    async fn run(&self, _: &JobContext, _: Input) -> JobResult<()> {
        Ok(())
    }
}

/// One at a time per contact.
struct Exclusive;

impl JobHandler for Exclusive {
    const TYPE: &'static str = "exclusive";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::new()
            .concurrency(Collision::Reject, |input: &Input| {
                format!("exclusive:{}", input.contact)
            })
            .on::<Changed>(|event| {
                let Changed { contact, n } = event.payload.clone();
                Some(Input { contact, n })
            })
    }

    async fn run(&self, _: &JobContext, _: Input) -> JobResult<()> {
        Ok(())
    }
}

/// One per contact and day.
struct Daily;

impl JobHandler for Daily {
    const TYPE: &'static str = "daily";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        JobPolicy::new()
            .dedupe(Duration::from_secs(86_400), |input: &Input| {
                format!("daily:{}", input.contact)
            })
            .on::<Changed>(|event| {
                let Changed { contact, n } = event.payload.clone();
                Some(Input { contact, n })
            })
    }

    async fn run(&self, _: &JobContext, _: Input) -> JobResult<()> {
        Ok(())
    }
}

async fn ledger_of(harness: &Harness, id: EventId) -> crate::BridgeRecord {
    let mut bridge = harness
        .runtime
        .events()
        .show(id)
        .await
        .unwrap()
        .unwrap()
        .bridge;
    assert_eq!(bridge.len(), 1);
    bridge.remove(0)
}

async fn a_trigger_fires_exactly_once_while_drainers_race(harness: &Harness) {
    const EVENTS: u32 = 60;
    let mut drainers = Vec::new();
    for _ in 0..3 {
        let (drainer, _) = harness
            .drainer_with(|parts| parts.triggers = triggers_of(Welcome))
            .await;
        drainers.push(Running::start(drainer));
    }
    let mut ids = Vec::new();
    for n in 0..EVENTS {
        ids.push(harness.change(&format!("contact {}", n % 7), n).await);
    }
    until(async || {
        let processed = domain_event::Entity::find()
            .filter(Expr::col(domain_event::Column::Status).eq("processed"))
            .count(harness.runtime.db());
        processed.await.unwrap() == u64::from(EVENTS)
    })
    .await;
    for drainer in drainers {
        drainer.stop().await;
    }
    let runs = job_run::Entity::find()
        .all(harness.runtime.db())
        .await
        .unwrap();
    assert_eq!(runs.len(), ids.len());
    let caused: HashSet<_> = runs
        .iter()
        .filter_map(|it| it.event_id)
        .map(EventId)
        .collect();
    assert_eq!(caused, ids.iter().copied().collect());
    for id in ids {
        let row = ledger_of(harness, id).await;
        assert_eq!(
            (row.trigger_id.as_str(), row.status),
            ("welcome/contact_changed", BridgeStatus::Started)
        );
        assert!(
            runs.iter()
                .any(|it| Some(it.id) == row.run_id.map(|it| it.0))
        );
    }
}

/// The event's completion is lost after the ledger was written, as a restored backup of one table would have it.
// One hop: who executes runs is woken by the drain itself, and does not find the run by polling.
async fn a_run_that_a_trigger_starts_calls_the_workers(harness: &Harness) {
    let runtime = crate::Runtime::new(harness.runtime.db().clone());
    let (drainer, _) = harness
        .drainer_with(|parts| {
            parts.runtime = runtime.clone();
            parts.triggers = triggers_of(Welcome);
        })
        .await;
    let mut calls = runtime.wake_up().subscribe(News::RUNS);
    harness.change("nobody", 1).await;
    drainer.drain_until_idle().await.unwrap();
    assert!(
        calls.changed().now_or_never().is_none(),
        "nothing was started"
    );
    harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), calls.changed())
        .await
        .expect("a call")
        .unwrap();
    assert_eq!(harness.runs().await, 1);
}

async fn r34_a_trigger_that_fired_already_starts_nothing(harness: &Harness) {
    let (drainer, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Welcome))
        .await;
    let id = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    domain_event::Entity::update_many()
        .col_expr(domain_event::Column::Status, Expr::value("pending"))
        .col_expr(domain_event::Column::DispatchedAt, Expr::null())
        .filter(Expr::col(domain_event::Column::Id).eq(id.as_uuid()))
        .exec(harness.runtime.db())
        .await
        .unwrap();
    assert_eq!(drainer.drain_until_idle().await.unwrap(), 1);
    assert_eq!(harness.runs().await, 1);
    assert_eq!(harness.status(id).await, EventStatus::Processed);
}

async fn r03_a_stale_drainer_starts_no_run(harness: &Harness) {
    use crate::events::drain::calls::{Calling, Calls};
    use crate::events::drain::claim::{Claimant, claim_events, release_dead_claims};
    use crate::events::drain::dispatch::{Consumers, Held, dispatch_event};
    use crate::events::drain::settle::settle_events;
    use crate::events::drain::turns::SuspectTurns;

    let db = harness.runtime.db();
    let worker_id = harness.worker().await;
    let consumers = Arc::new(Consumers {
        triggers: triggers_of(Welcome),
        ..Consumers::default()
    });
    harness.change("ada", 1).await;
    let claimant = Claimant {
        turns: &SuspectTurns::default(),
        worker_id,
        known_types: None,
        consumers: &consumers,
    };
    let claimed = claim_events(db, &claimant, CHANGE_LANE, 10).await.unwrap();
    let calling = Calling {
        consumers: &consumers,
        calls: &Calls::default(),
        term: &CancellationToken::new(),
    };
    let mut dispatched = Vec::new();
    for event in claimed {
        dispatched.extend(dispatch_event(&calling, event, &mut Held::new()).await);
    }
    assert_eq!(dispatched.len(), 1);
    harness.end_lease(worker_id).await;
    assert_eq!(
        release_dead_claims(db, uuid::Uuid::nil(), &[])
            .await
            .unwrap(),
        1
    );
    assert_eq!(settle_events(db, &dispatched).await.unwrap(), 0);
    assert_eq!(harness.runs().await, 0);
    assert_eq!(ledger::Entity::find().count(db).await.unwrap(), 0);
}

async fn what_a_trigger_passes_over_is_on_record(harness: &Harness) {
    let (drainer, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Welcome))
        .await;
    let id = harness.change("nobody", 1).await;
    drainer.drain_until_idle().await.unwrap();
    let row = ledger_of(harness, id).await;
    assert_eq!((row.status, row.run_id), (BridgeStatus::Skipped, None));
    assert!(row.reason.unwrap().contains("passed the event over"));
    assert_eq!(harness.runs().await, 0);
    assert_eq!(harness.status(id).await, EventStatus::Processed);
}

async fn a_trigger_that_cannot_decode_is_on_record(harness: &Harness) {
    let (drainer, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Welcome))
        .await;
    let id = harness.change("ada", 1).await;
    domain_event::Entity::update_many()
        .col_expr(
            domain_event::Column::Payload,
            Expr::value(serde_json::json!({"n": 1})),
        )
        .filter(Expr::col(domain_event::Column::Id).eq(id.as_uuid()))
        .exec(harness.runtime.db())
        .await
        .unwrap();
    drainer.drain_until_idle().await.unwrap();
    let row = ledger_of(harness, id).await;
    assert_eq!(row.status, BridgeStatus::Failed);
    assert!(row.reason.unwrap().contains("missing field `contact`"));
    assert_eq!(harness.status(id).await, EventStatus::Processed);
}

async fn a_trigger_that_panics_is_on_record(harness: &Harness) {
    let (drainer, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Welcome))
        .await;
    let id = harness.change("panic", 1).await;
    let next = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    let row = ledger_of(harness, id).await;
    assert_eq!(row.status, BridgeStatus::Failed);
    assert!(row.reason.unwrap().contains("the trigger gave up"));
    assert_eq!(ledger_of(harness, next).await.status, BridgeStatus::Started);
}

/// The closures of its policy panic over the contact that is called like them.
struct Fragile;

impl JobHandler for Fragile {
    const TYPE: &'static str = "fragile";
    type Input = Input;
    type Output = ();

    fn policy() -> JobPolicy<Input> {
        let key = |of: &'static str| {
            move |input: &Input| {
                assert_ne!(input.contact, of, "the {of} gave up");
                format!("fragile:{}", input.contact)
            }
        };
        JobPolicy::<Input>::new()
            .scope("contact", key("scope"))
            .concurrency(Collision::Queue, key("concurrency"))
            .dedupe(Duration::from_secs(60), key("dedupe"))
            .on::<Changed>(|event| {
                let Changed { contact, n } = event.payload.clone();
                Some(Input { contact, n })
            })
    }

    async fn run(&self, _: &JobContext, _: Input) -> JobResult<()> {
        Ok(())
    }
}

async fn r05_a_key_that_panics_is_on_record_and_spares_the_next_event(harness: &Harness) {
    let (drainer, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Fragile))
        .await;
    let contacts = ["scope", "concurrency", "dedupe"];
    let mut ids = Vec::new();
    for contact in contacts {
        ids.push(harness.change(contact, 1).await);
    }
    let next = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    for (id, contact) in ids.into_iter().zip(contacts) {
        let row = ledger_of(harness, id).await;
        assert_eq!(row.status, BridgeStatus::Failed);
        let reason = row.reason.unwrap();
        assert!(
            reason.contains(&format!("the {contact} gave up")),
            "{reason}"
        );
        assert_eq!(harness.status(id).await, EventStatus::Processed);
    }
    assert_eq!(ledger_of(harness, next).await.status, BridgeStatus::Started);
    assert_eq!(harness.runs().await, 1);
}

async fn a_rejected_start_is_on_record(harness: &Harness) {
    let (drainer, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Exclusive))
        .await;
    let (first, second) = (
        harness.change("ada", 1).await,
        harness.change("ada", 2).await,
    );
    drainer.drain_until_idle().await.unwrap();
    let started = ledger_of(harness, first).await;
    let rejected = ledger_of(harness, second).await;
    assert_eq!(
        (started.status, rejected.status),
        (BridgeStatus::Started, BridgeStatus::Failed)
    );
    assert!(
        rejected
            .reason
            .unwrap()
            .contains(&started.run_id.unwrap().to_string())
    );
    assert_eq!(harness.runs().await, 1);
}

async fn a_deduplicated_start_names_the_run(harness: &Harness) {
    let (drainer, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Daily))
        .await;
    let (first, second) = (
        harness.change("ada", 1).await,
        harness.change("ada", 2).await,
    );
    drainer.drain_until_idle().await.unwrap();
    let started = ledger_of(harness, first).await;
    let deduplicated = ledger_of(harness, second).await;
    assert_eq!(deduplicated.status, BridgeStatus::Deduplicated);
    assert_eq!(deduplicated.run_id, started.run_id);
    assert_eq!(harness.runs().await, 1);
}

async fn a_trigger_of_another_process_is_left_for_it(harness: &Harness) {
    let log = Log::default();
    let events_only = harness.drainer(vec![log.subscription("s")]).await;
    let (jobs, _) = harness
        .drainer_with(|parts| parts.triggers = triggers_of(Welcome))
        .await;
    let id = harness.change("ada", 1).await;
    events_only.drain_until_idle().await.unwrap();
    assert_eq!(log.lines(), ["s ada 1"]);
    assert_eq!(
        (harness.runs().await, harness.status(id).await),
        (0, EventStatus::Pending)
    );
    jobs.drain_until_idle().await.unwrap();
    assert_eq!(harness.runs().await, 1);
    assert_eq!(ledger_of(harness, id).await.status, BridgeStatus::Started);
    assert_eq!(harness.status(id).await, EventStatus::Processed);
}

async fn r37_a_key_that_no_database_can_store_is_on_record_and_spares_the_event(harness: &Harness) {
    let log = Log::default();
    let (drainer, _) = harness
        .drainer_with(|parts| {
            parts.subscriptions = vec![log.subscription("s")];
            parts.triggers = triggers_of(Exclusive);
        })
        .await;
    let event = Changed {
        contact: "a".repeat(300),
        n: 1,
    };
    let events = harness.runtime.events();
    let published = events.publish_detached("ada", event).await;
    let id = published.unwrap().id();
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(harness.status(id).await, EventStatus::Processed);
    assert_eq!(log.lines().len(), 1);
    let row = ledger_of(harness, id).await;
    assert_eq!(row.status, BridgeStatus::Failed);
    let reason = row.reason.unwrap_or_default();
    assert!(reason.contains("its concurrency key"), "{reason}");
}
