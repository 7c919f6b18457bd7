//! Order, and that nothing is passed over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{ConnectionTrait, StatementBuilder};

use super::harness::*;
use super::on_each_database;
use crate::events::{EventEnvelope, EventStatus, PublishOptions, Subscription};

on_each_database!(
    r31_several_drainers_keep_the_order_of_an_aggregate,
    a_batch_holds_an_aggregates_events_in_order,
    a_slow_lane_does_not_stall_another,
    an_unordered_event_waits_for_nobody,
    r35_an_unknown_type_is_left_for_who_knows_it,
    r35_an_unknown_type_holds_up_nobody_else,
);

async fn r31_several_drainers_keep_the_order_of_an_aggregate(harness: &Harness) {
    const CONTACTS: u32 = 3;
    const CHANGES: u32 = 60;
    let seen: Arc<Mutex<HashMap<String, Vec<u32>>>> = Arc::default();
    let at_work: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let overlaps = Arc::new(AtomicUsize::new(0));
    let subscription = || {
        let (seen, at_work, overlaps) = (
            Arc::clone(&seen),
            Arc::clone(&at_work),
            Arc::clone(&overlaps),
        );
        Subscription::new("order", move |event: EventEnvelope<Changed>| {
            let (seen, at_work, overlaps) = (
                Arc::clone(&seen),
                Arc::clone(&at_work),
                Arc::clone(&overlaps),
            );
            async move {
                let Changed { contact, n } = event.payload;
                if at_work.lock().unwrap().insert(contact.clone(), 1).is_some() {
                    overlaps.fetch_add(1, Ordering::SeqCst);
                }
                // Gives another drainer the chance to come in between.
                tokio::time::sleep(Duration::from_millis(5)).await;
                seen.lock()
                    .unwrap()
                    .entry(contact.clone())
                    .or_default()
                    .push(n);
                at_work.lock().unwrap().remove(&contact);
                Ok(())
            }
        })
    };
    let mut drainers = Vec::new();
    for _ in 0..3 {
        drainers.push(Running::start(harness.drainer(vec![subscription()]).await));
    }
    for n in 0..CHANGES {
        for contact in 0..CONTACTS {
            harness.change(&contact.to_string(), n).await;
        }
    }
    let all = (CONTACTS * CHANGES) as usize;
    until(async || seen.lock().unwrap().values().map(Vec::len).sum::<usize>() >= all).await;
    for drainer in drainers {
        drainer.stop().await;
    }
    let expected: Vec<u32> = (0..CHANGES).collect();
    for (contact, changes) in seen.lock().unwrap().iter() {
        assert_eq!(*changes, expected, "contact {contact}");
    }
    assert_eq!(overlaps.load(Ordering::SeqCst), 0);
}

async fn a_batch_holds_an_aggregates_events_in_order(harness: &Harness) {
    let log = Log::default();
    let drainer = harness.drainer(vec![log.subscription("s")]).await;
    for n in 0..40 {
        harness.change("ada", n).await;
    }
    assert_eq!(drainer.drain_until_idle().await.unwrap(), 40);
    let expected: Vec<_> = (0..40).map(|n| format!("s ada {n}")).collect();
    assert_eq!(log.lines(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn r29_a_lower_position_that_commits_later_is_not_passed_over_on_postgres() {
    if let Some(harness) = Harness::postgres().await {
        a_lower_position_that_commits_later_is_not_passed_over(&harness).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r29_a_lower_position_that_commits_later_is_not_passed_over_on_mysql() {
    if let Some(harness) = Harness::mysql().await {
        a_lower_position_that_commits_later_is_not_passed_over(&harness).await;
    }
}

/// SQLite lets no two transactions write at a time.
async fn a_lower_position_that_commits_later_is_not_passed_over(harness: &Harness) {
    let log = Log::default();
    let drainer = harness.drainer(vec![log.subscription("s")]).await;
    let events = harness.runtime.events();
    let (first, second) = (harness.begin().await, harness.begin().await);
    let change = |contact: &str, n| Changed {
        contact: contact.to_owned(),
        n,
    };
    let early = events
        .publish(&first, "ada", change("ada", 1))
        .await
        .unwrap()
        .id();
    let late = events
        .publish(&second, "bob", change("bob", 1))
        .await
        .unwrap()
        .id();
    second.commit().await.unwrap();
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(log.lines(), ["s bob 1"]);
    harness.change("cyd", 1).await;
    drainer.drain_until_idle().await.unwrap();
    first.commit().await.unwrap();
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(log.lines(), ["s bob 1", "s cyd 1", "s ada 1"]);
    assert_eq!(harness.status(early).await, EventStatus::Processed);
    let seq = async |id| events.show(id).await.unwrap().unwrap().event.seq;
    assert!(seq(early).await < seq(late).await);
}

async fn plan_of(harness: &Harness, select: &impl StatementBuilder) -> String {
    let db = harness.runtime.db();
    let mut explain = db.get_database_backend().build(select);
    explain.sql = format!("EXPLAIN QUERY PLAN {}", explain.sql);
    let rows = db.query_all_raw(explain).await.unwrap();
    let details = rows.iter().map(|row| row.try_get("", "detail").unwrap());
    details.collect::<Vec<String>>().join("\n")
}

/// What people ask for is found by an index too.
#[tokio::test]
async fn a_tenants_newest_events_and_what_failed_by_consumer_are_found_by_an_index() {
    use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};

    use crate::database::literal;
    use crate::events::entities::domain_event::{self, Column as E};
    use crate::events::entities::event_delivery::{self, Column as D};

    let harness = Harness::sqlite().await;
    let newest = Query::select()
        .column(E::Payload)
        .from(domain_event::Entity)
        .and_where(Expr::col(E::TenantId).eq("t"))
        .order_by(E::Seq, Order::Desc)
        .limit(9)
        .to_owned();
    let plan = plan_of(&harness, &newest).await;
    assert!(plan.contains("domain_events_tenant_idx"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    let failed = Query::select()
        .columns([D::Kind, D::Subscription, D::EventType])
        .expr(Expr::col(D::EventSeq).count())
        .from(event_delivery::Entity)
        .and_where(Expr::col(D::Status).eq(literal("failed")))
        .group_by_columns([D::Kind, D::Subscription, D::EventType])
        .to_owned();
    let plan = plan_of(&harness, &failed).await;
    assert!(plan.contains("event_delivery_failed_idx"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

async fn a_slow_lane_does_not_stall_another(harness: &Harness) {
    let log = Log::default();
    let stuck = Subscription::new("stuck", |_: EventEnvelope<Told>| async {
        std::future::pending::<()>().await;
        Ok(())
    });
    let drainer = harness.drainer(vec![stuck, log.subscription("s")]).await;
    for n in 0..600 {
        let published = harness
            .runtime
            .events()
            .publish_detached("x", Told { n })
            .await;
        assert!(published.unwrap().is_new());
    }
    let running = Running::start(drainer);
    let change = harness.change("ada", 1).await;
    until(async || harness.status(change).await == EventStatus::Processed).await;
    running.abort.cancel();
    running.stop().await;
}

async fn an_unordered_event_waits_for_nobody(harness: &Harness) {
    let seen = Log::default();
    let log = seen.clone();
    let subscription = Subscription::new("told", move |event: EventEnvelope<Told>| {
        log.add(event.payload.n.to_string());
        let first = event.payload.n == 0;
        async move {
            if first {
                Err(std::io::Error::other("not yet").into())
            } else {
                Ok(())
            }
        }
    });
    let drainer = harness.drainer(vec![subscription]).await;
    for n in 0..3 {
        harness
            .runtime
            .events()
            .publish_detached("one and the same", Told { n })
            .await
            .unwrap()
            .id();
    }
    drainer.drain_until_idle().await.unwrap();
    let mut lines = seen.lines();
    lines.sort();
    assert_eq!(lines, ["0", "1", "2"]);
}

async fn r35_an_unknown_type_is_left_for_who_knows_it(harness: &Harness) {
    let log = Log::default();
    let (old, _) = harness
        .drainer_with(|parts| parts.registry = Some(crate::EventRegistry::new()))
        .await;
    let known = harness.change("ada", 1).await;
    assert_eq!(
        old.drain_until_idle().await.unwrap(),
        0,
        "nothing is claimed, again and again or once"
    );
    let options = PublishOptions::new().tenant(Some("acme"));
    let told = harness
        .runtime
        .events()
        .publish_detached_with("x", Told { n: 1 }, options)
        .await
        .unwrap();
    assert_eq!(old.drain_until_idle().await.unwrap(), 0);
    let event = harness
        .runtime
        .events()
        .show(known)
        .await
        .unwrap()
        .unwrap()
        .event;
    assert_eq!((event.status, event.attempts), (EventStatus::Pending, 0));

    let (new, _) = harness
        .drainer_with(|parts| {
            parts.registry = Some(knows_changes());
            parts.subscriptions = vec![log.subscription("s")];
        })
        .await;
    new.drain_until_idle().await.unwrap();
    assert_eq!(log.lines(), ["s ada 1"]);
    assert_eq!(harness.status(known).await, EventStatus::Processed);
    assert_eq!(harness.status(told.id()).await, EventStatus::Pending);
}

async fn r35_an_unknown_type_holds_up_nobody_else(harness: &Harness) {
    let log = Log::default();
    let (drainer, _) = harness
        .drainer_with(|parts| {
            parts.registry = Some(knows_changes());
            parts.subscriptions = vec![log.subscription("s")];
        })
        .await;
    let events = harness.runtime.events();
    let mut unknown = Vec::new();
    // In the same lane as what comes after, and in another one.
    for route in [
        crate::EventRoute::change("contact"),
        crate::EventRoute::inbound("crm").aggregate("contact"),
    ] {
        let raw = crate::RawEvent::new("contact_archived", route, serde_json::json!({}));
        let raw = raw.aggregate("contact", "ada");
        unknown.push(events.publish_raw_detached(raw).await.unwrap().id());
    }
    let behind = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(log.lines(), ["s ada 1"]);
    assert_eq!(harness.status(behind).await, EventStatus::Processed);
    for id in &unknown {
        assert_eq!(harness.status(*id).await, EventStatus::Pending);
    }

    // Once somebody wants it, it is an event like every other, for everybody.
    let every = Log::default();
    let seen = every.clone();
    let to_every_type =
        Subscription::to_every_type("every", crate::EventRetry::fixed(1), move |event| {
            seen.add(event.event_type);
            async { Ok(()) }
        });
    let collector = harness.drainer(vec![to_every_type]).await;
    drainer.drain_until_idle().await.unwrap();
    collector.drain_until_idle().await.unwrap();
    assert_eq!(every.lines(), ["contact_archived", "contact_archived"]);
    for id in unknown {
        assert_eq!(harness.status(id).await, EventStatus::Processed);
    }
}
