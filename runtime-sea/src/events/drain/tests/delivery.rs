//! What fails, what is hosted elsewhere, and what becomes of them.

use sea_orm::ConnectionTrait;

use super::harness::*;
use super::on_each_database;
use crate::events::prune::prune;
use crate::events::{ConsumerKind, EventEnvelope, EventStatus, Subscription};

on_each_database!(
    a_subscription_that_succeeded_is_not_called_again,
    r33_a_poisoned_event_holds_back_its_own_aggregate_until_it_has_failed,
    an_error_that_cannot_be_retried_ends_the_delivery,
    r04_a_panic_is_a_failed_attempt,
    r37_a_payload_that_does_not_fit_is_a_failed_attempt_that_names_the_field,
    what_another_process_hosts_is_left_for_it_in_order,
    two_processes_that_deliver_the_last_two_at_once_end_the_event,
    audit_events_reach_subscriptions,
    a_failed_event_can_be_redelivered,
    an_event_has_failed_and_can_be_redelivered_while_another_consumer_waits,
    an_event_that_was_given_up_for_dead_workers_can_be_redelivered,
    a_retired_subscription_holds_nothing_up,
    an_event_that_nobody_wants_is_processed,
);

async fn a_subscription_that_succeeded_is_not_called_again(harness: &Harness) {
    let log = Log::default();
    let drainer = harness
        .drainer(vec![
            log.subscription("good"),
            log.failing("bad", |it| it.attempt < 3),
        ])
        .await;
    let id = harness.change("ada", 1).await;
    assert_eq!(
        drain_to_the_end(harness, &drainer, id).await,
        EventStatus::Processed
    );
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["bad ada 1", "bad ada 1", "bad ada 1", "good ada 1"]);
    let details = harness.runtime.events().show(id).await.unwrap().unwrap();
    assert_eq!(
        details.deliveries.len(),
        1,
        "state is kept of the one that failed alone"
    );
    assert_eq!(details.deliveries[0].consumer, "bad");
    assert_eq!(details.deliveries[0].attempts, 3);
}

async fn r33_a_poisoned_event_holds_back_its_own_aggregate_until_it_has_failed(harness: &Harness) {
    let log = Log::default();
    let drainer = harness
        .drainer(vec![log.failing("s", |it| {
            it.payload.contact == "ada" && it.payload.n == 1
        })])
        .await;
    let poisoned = harness.change("ada", 1).await;
    let behind = harness.change("ada", 2).await;
    let other = harness.change("bob", 1).await;
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(harness.status(other).await, EventStatus::Processed);
    assert_eq!(
        drain_to_the_end(harness, &drainer, poisoned).await,
        EventStatus::Failed
    );
    assert!(
        harness
            .error(poisoned)
            .await
            .contains("subscription `s`: no such luck")
    );
    let later = harness.change("ada", 3).await;
    assert_eq!(
        drain_to_the_end(harness, &drainer, behind).await,
        EventStatus::Processed
    );
    assert_eq!(
        drain_to_the_end(harness, &drainer, later).await,
        EventStatus::Processed
    );
    let of_ada: Vec<_> = log
        .lines()
        .into_iter()
        .filter(|it| it.contains("ada"))
        .collect();
    assert_eq!(
        of_ada,
        ["s ada 1", "s ada 1", "s ada 1", "s ada 2", "s ada 3"]
    );
    let failed = harness.runtime.events().failed(10).await.unwrap();
    assert_eq!(
        failed.iter().map(|it| it.id).collect::<Vec<_>>(),
        [poisoned]
    );
}

async fn an_error_that_cannot_be_retried_ends_the_delivery(harness: &Harness) {
    let subscription = Subscription::new("s", |_: EventEnvelope<Changed>| async {
        Err(crate::SubscriptionError::non_retryable(
            "wrong in every way",
        ))
    });
    let drainer = harness.drainer(vec![subscription]).await;
    let id = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(harness.status(id).await, EventStatus::Failed);
    assert!(harness.error(id).await.contains("wrong in every way"));
}

async fn r04_a_panic_is_a_failed_attempt(harness: &Harness) {
    let log = Log::default();
    let at_once = Subscription::new("at once", |event: EventEnvelope<Changed>| {
        assert!(event.attempt > 1, "the handler's first line");
        async { Ok(()) }
    });
    let later = Subscription::new("later", |event: EventEnvelope<Changed>| async move {
        tokio::task::yield_now().await;
        assert!(event.attempt > 1, "the handler's future");
        Ok(())
    });
    let drainer = harness
        .drainer(vec![at_once, later, log.subscription("calm")])
        .await;
    let id = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    let deliveries = harness
        .runtime
        .events()
        .show(id)
        .await
        .unwrap()
        .unwrap()
        .deliveries;
    let errors: Vec<_> = deliveries
        .iter()
        .filter_map(|it| it.error.as_deref())
        .collect();
    assert_eq!(
        errors,
        [
            "panicked: the handler's first line",
            "panicked: the handler's future"
        ]
    );
    assert_eq!(
        drain_to_the_end(harness, &drainer, id).await,
        EventStatus::Processed
    );
    assert_eq!(log.lines(), ["calm ada 1"]);
}

async fn r37_a_payload_that_does_not_fit_is_a_failed_attempt_that_names_the_field(
    harness: &Harness,
) {
    use sea_orm::sea_query::{Expr, ExprTrait};
    use sea_orm::{EntityTrait, QueryFilter};

    use crate::events::entities::domain_event;

    let log = Log::default();
    let drainer = harness.drainer(vec![log.subscription("s")]).await;
    let id = harness.change("ada", 1).await;
    let good = harness.change("bob", 1).await;
    let payload = serde_json::json!({"contact": "ada", "n": "one"});
    domain_event::Entity::update_many()
        .col_expr(domain_event::Column::Payload, Expr::value(payload))
        .filter(Expr::col(domain_event::Column::Id).eq(id.as_uuid()))
        .exec(harness.runtime.db())
        .await
        .unwrap();
    assert_eq!(
        drain_to_the_end(harness, &drainer, id).await,
        EventStatus::Failed
    );
    let error = harness.error(id).await;
    assert!(
        error.contains("contact_changed") && error.contains(": n: invalid type"),
        "{error}"
    );
    assert_eq!(harness.status(good).await, EventStatus::Processed);
}

async fn what_another_process_hosts_is_left_for_it_in_order(harness: &Harness) {
    let (here, there) = (Log::default(), Log::default());
    let a = harness.drainer(vec![here.subscription("a")]).await;
    let b = harness.drainer(vec![there.subscription("b")]).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(harness.change("ada", n).await);
    }
    a.drain_until_idle().await.unwrap();
    assert_eq!(here.lines().len(), 5);
    assert!(there.lines().is_empty());
    for id in &ids {
        assert_eq!(
            harness.status(*id).await,
            EventStatus::Pending,
            "b has not had it"
        );
    }
    // What comes now must not overtake what was left.
    ids.push(harness.change("ada", 5).await);
    b.drain_until_idle().await.unwrap();
    let expected: Vec<_> = (0..6).map(|n| format!("b ada {n}")).collect();
    assert_eq!(there.lines(), expected);
    a.drain_until_idle().await.unwrap();
    assert_eq!(here.lines().len(), 6);
    for id in ids {
        assert_eq!(harness.status(id).await, EventStatus::Processed);
    }
}

async fn two_processes_that_deliver_the_last_two_at_once_end_the_event(harness: &Harness) {
    use crate::events::drain::Consumers;
    use crate::events::drain::claim::{Claimant, claim_deliveries};
    use crate::events::drain::dispatch::{DeliveryOutcome, DispatchedDelivery};
    use crate::events::drain::settle::settle_deliveries;
    use crate::events::drain::turns::SuspectTurns;

    let log = Log::default();
    harness
        .drainer(vec![log.subscription("a"), log.subscription("b")])
        .await;
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(harness.change(&n.to_string(), n).await);
    }
    harness
        .drainer(Vec::new())
        .await
        .drain_until_idle()
        .await
        .unwrap();
    let db = harness.runtime.db();
    let worker_id = harness.worker().await;
    let delivered = async |name: &'static str| {
        let claimant = Claimant {
            turns: &SuspectTurns::default(),
            worker_id,
            known_types: None,
            consumers: &Consumers {
                subscriptions: vec![log.subscription(name)],
                ..Consumers::default()
            },
        };
        let claimed = claim_deliveries(db, &claimant, CHANGE_LANE, 100, true)
            .await
            .unwrap();
        assert_eq!(claimed.len(), ids.len());
        let dispatched = claimed.into_iter().map(|delivery| {
            [DispatchedDelivery {
                delivery,
                outcome: DeliveryOutcome::Delivered,
            }]
        });
        dispatched.collect::<Vec<_>>()
    };
    let (of_a, of_b) = (delivered("a").await, delivered("b").await);
    for (a, b) in of_a.iter().zip(&of_b) {
        let (a, b) = tokio::join!(settle_deliveries(db, a), settle_deliveries(db, b));
        assert_eq!((a.unwrap(), b.unwrap()), (0, 0));
    }
    for id in ids {
        assert_eq!(harness.status(id).await, EventStatus::Processed);
    }
}

async fn audit_events_reach_subscriptions(harness: &Harness) {
    let log = Log::default();
    let seen = log.clone();
    let subscription = Subscription::new("audit", move |_: EventEnvelope<Observed>| {
        seen.add("seen");
        async { Ok(()) }
    });
    let drainer = harness.drainer(vec![subscription]).await;
    let published = harness
        .runtime
        .events()
        .publish_detached(crate::NoAggregate, Observed {})
        .await
        .unwrap();
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(log.lines(), ["seen"]);
    let event = harness
        .runtime
        .events()
        .show(published.id())
        .await
        .unwrap()
        .unwrap()
        .event;
    assert_eq!((event.pool, event.direction), (None, None));
    assert_eq!(event.status, EventStatus::Processed);
}

async fn a_failed_event_can_be_redelivered(harness: &Harness) {
    let log = Log::default();
    let bad = harness
        .drainer(vec![
            log.subscription("good"),
            log.failing("late", |it| it.attempt < 2),
            log.failing("bad", |_| true),
        ])
        .await;
    let id = harness.change("ada", 1).await;
    assert_eq!(
        drain_to_the_end(harness, &bad, id).await,
        EventStatus::Failed
    );
    let mended = Log::default();
    let drainer = harness
        .drainer(vec![
            mended.subscription("good"),
            mended.subscription("late"),
            mended.subscription("bad"),
        ])
        .await;
    let events = harness.runtime.events();
    assert!(events.redeliver(id).await.unwrap());
    assert_eq!(
        drain_to_the_end(harness, &drainer, id).await,
        EventStatus::Processed
    );
    assert_eq!(mended.lines(), ["bad ada 1"]);
    assert!(!events.redeliver(id).await.unwrap());
}

async fn an_event_has_failed_and_can_be_redelivered_while_another_consumer_waits(
    harness: &Harness,
) {
    let (log, elsewhere) = (Log::default(), Log::default());
    harness
        .drainer(vec![elsewhere.subscription("elsewhere")])
        .await;
    let bad = Subscription::new("bad", |event: EventEnvelope<Changed>| async move {
        if event.payload.contact == "ada" {
            return Err(crate::SubscriptionError::new("not again"));
        }
        Err(crate::SubscriptionError::non_retryable("never"))
    });
    let bad = harness.drainer(vec![bad]).await;
    let ids = [
        harness.change("ada", 1).await,
        harness.change("bob", 1).await,
    ];
    let events = harness.runtime.events();
    for id in ids {
        assert_eq!(
            drain_to_the_end(harness, &bad, id).await,
            EventStatus::Failed
        );
    }
    assert_eq!(events.failed(10).await.unwrap().len(), 2);
    let at_once = crate::Retention::new().failed_events(std::time::Duration::ZERO);
    let pruned = prune(harness.runtime.db(), &at_once).await.unwrap();
    assert_eq!(pruned, 0, "something waits");
    let mended = harness.drainer(vec![log.subscription("bad")]).await;
    for id in ids {
        assert!(!events.replay(id).await.unwrap(), "something waits");
        assert!(events.redeliver(id).await.unwrap());
        mended.drain_until_idle().await.unwrap();
        assert_eq!(harness.status(id).await, EventStatus::Pending);
    }
    assert_eq!(log.lines(), ["bad ada 1", "bad bob 1"]);
    let there = harness
        .drainer(vec![elsewhere.subscription("elsewhere")])
        .await;
    there.drain_until_idle().await.unwrap();
    assert_eq!(elsewhere.lines().len(), 2);
    for id in ids {
        assert_eq!(harness.status(id).await, EventStatus::Processed);
    }
}

async fn an_event_that_was_given_up_for_dead_workers_can_be_redelivered(harness: &Harness) {
    let log = Log::default();
    let bad = harness.drainer(vec![log.failing("s", |_| true)]).await;
    let id = harness.change("ada", 1).await;
    drain_to_the_end(harness, &bad, id).await;
    for table in ["domain_events", "event_delivery"] {
        let died = format!("UPDATE {table} SET recoveries = 3");
        harness
            .runtime
            .db()
            .execute_unprepared(&died)
            .await
            .unwrap();
    }
    let mended = Log::default();
    let drainer = harness.drainer(vec![mended.subscription("s")]).await;
    let events = harness.runtime.events();
    assert!(events.redeliver(id).await.unwrap());
    let again = events.show(id).await.unwrap().unwrap();
    assert_eq!((again.event.recoveries, again.event.error), (0, None));
    assert_eq!(
        drain_to_the_end(harness, &drainer, id).await,
        EventStatus::Processed
    );
    assert_eq!(mended.lines(), ["s ada 1"]);
}

async fn a_retired_subscription_holds_nothing_up(harness: &Harness) {
    let log = Log::default();
    harness.drainer(vec![log.subscription("retired")]).await;
    let drainer = harness.drainer(vec![log.subscription("s")]).await;
    let id = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(harness.status(id).await, EventStatus::Pending);
    let events = harness.runtime.events();
    assert_eq!(
        events
            .retire(ConsumerKind::Subscription, "retired")
            .await
            .unwrap(),
        Some(1)
    );
    assert_eq!(harness.status(id).await, EventStatus::Processed);
    let next = harness.change("ada", 2).await;
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(harness.status(next).await, EventStatus::Processed);
}

async fn an_event_that_nobody_wants_is_processed(harness: &Harness) {
    let drainer = harness.drainer(Vec::new()).await;
    let id = harness.change("ada", 1).await;
    drainer.drain_until_idle().await.unwrap();
    assert_eq!(harness.status(id).await, EventStatus::Processed);
}
