//! Workers that die, stall and stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use super::harness::*;
use super::on_each_database;
use crate::database;
use crate::events::drain::claim::release_dead_claims;
use crate::events::drain::dispatch::call;
use crate::events::drain::retired::Unhosted;
use crate::events::entities::{domain_event, event_delivery, event_subscription};
use crate::events::{EventEnvelope, EventId, EventStatus, Subscription};
use crate::worker::Lease;

on_each_database!(
    r30_a_crash_between_dispatch_and_completion_redelivers_the_same_event,
    r03_a_stale_drainer_records_nothing,
    a_live_workers_claims_are_left_alone,
    r32_everything_that_a_dead_worker_has_in_hand_is_released_and_nothing_of_a_live_one,
    r11_an_event_that_kills_its_workers_is_given_up,
    r63_a_worker_without_a_lease_claims_nothing,
    r03_a_drainer_whose_lease_is_over_begins_nothing_more,
    r08_what_is_aborted_is_handed_back_without_burning_an_attempt,
    a_shutdown_finishes_what_is_in_hand,
    r13_a_claim_whose_answer_was_lost_does_not_keep_its_events,
    a_panic_while_a_handler_out_of_time_is_dropped_is_a_failure,
    r11_what_a_worker_died_over_has_its_turn_in_a_lane_that_is_never_empty,
    a_jump_of_the_databases_clock_retires_nothing_that_a_live_worker_hosts,
    r06_a_delivery_that_blocks_its_thread_is_given_up_when_its_time_is_up,
);

/// A subscription that says when it begins, and goes on when it may.
fn gated(log: &Log, gate: &Arc<Semaphore>) -> Subscription {
    let (log, gate) = (log.clone(), Arc::clone(gate));
    Subscription::new("s", move |event: EventEnvelope<Changed>| {
        log.add(format!("{}", event.id));
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await?.forget();
            Ok(())
        }
    })
}

async fn begun(log: &Log, id: EventId) {
    until(async || log.lines().contains(&id.to_string())).await;
}

async fn r30_a_crash_between_dispatch_and_completion_redelivers_the_same_event(harness: &Harness) {
    let (log, never) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (dying, worker) = harness
        .drainer_with(|parts| parts.subscriptions = vec![gated(&log, &never)])
        .await;
    let id = harness.change("ada", 1).await;
    let running = Running::start(dying);
    begun(&log, id).await;
    running.task.abort();
    let _aborted = running.task.await;
    assert_eq!(harness.status(id).await, EventStatus::Pending);

    harness.end_lease(worker).await;
    let open = Arc::new(Semaphore::new(10));
    let next = harness.drainer(vec![gated(&log, &open)]).await;
    next.drain_until_idle().await.unwrap();
    assert_eq!(log.lines(), [id.to_string(), id.to_string()]);
    let event = harness
        .runtime
        .events()
        .show(id)
        .await
        .unwrap()
        .unwrap()
        .event;
    assert_eq!(
        (event.status, event.recoveries),
        (EventStatus::Processed, 1)
    );
}

async fn r03_a_stale_drainer_records_nothing(harness: &Harness) {
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (stalled, worker) = harness
        .drainer_with(|parts| parts.subscriptions = vec![gated(&log, &gate)])
        .await;
    let id = harness.change("ada", 1).await;
    let running = Running::start(stalled);
    begun(&log, id).await;
    harness.end_lease(worker).await;
    // The one that takes over fails for good: that is what has to stand.
    let other = Subscription::new("s", |_: EventEnvelope<Changed>| async {
        Err(crate::SubscriptionError::non_retryable(
            "the second opinion",
        ))
    });
    let next = harness.drainer(vec![other]).await;
    next.drain_until_idle().await.unwrap();
    assert_eq!(harness.status(id).await, EventStatus::Failed);
    gate.add_permits(1);
    running.stop().await;
    assert_eq!(harness.status(id).await, EventStatus::Failed);
    assert!(harness.error(id).await.contains("the second opinion"));
}

async fn a_live_workers_claims_are_left_alone(harness: &Harness) {
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let busy = harness.drainer(vec![gated(&log, &gate)]).await;
    let id = harness.change("ada", 1).await;
    let running = Running::start(busy);
    begun(&log, id).await;
    let open = Arc::new(Semaphore::new(10));
    let other = harness.drainer(vec![gated(&log, &open)]).await;
    assert_eq!(other.drain_until_idle().await.unwrap(), 0);
    gate.add_permits(1);
    running.stop().await;
    assert_eq!(log.lines(), [id.to_string()]);
    assert_eq!(harness.status(id).await, EventStatus::Processed);
}

async fn r32_everything_that_a_dead_worker_has_in_hand_is_released_and_nothing_of_a_live_one(
    harness: &Harness,
) {
    /// More than two batches.
    const OF_THE_DEAD: usize = 1203;
    const OF_THE_LIVE: usize = 7;

    let db = harness.runtime.db();
    let (dead, live) = (harness.worker().await, harness.worker().await);
    let judge = harness.worker().await;
    let event = |n: u32| {
        let contact = n.to_string();
        (contact.clone(), Changed { contact, n })
    };
    let tx = harness.begin().await;
    let events = (0..).map(event).take(OF_THE_DEAD + OF_THE_LIVE);
    let published = harness.runtime.events().publish_many(&tx, events).await;
    tx.commit().await.unwrap();
    let ids: Vec<_> = published.unwrap().iter().map(|it| it.id()).collect();
    // Some of the live one's are between those of the dead.
    let (of_live, of_dead): (Vec<_>, Vec<_>) = ids
        .iter()
        .enumerate()
        .partition(|(n, _)| n % 180 == 0 && n / 180 < OF_THE_LIVE);
    assert_eq!((of_live.len(), of_dead.len()), (OF_THE_LIVE, OF_THE_DEAD));
    for (worker, ids) in [(dead, &of_dead), (live, &of_live)] {
        for ids in ids.chunks(500) {
            let ids = ids.iter().map(|(_, id)| id.as_uuid());
            let claim = Query::update()
                .table(domain_event::Entity)
                .value(domain_event::Column::ClaimedBy, worker)
                .value(domain_event::Column::ClaimToken, Uuid::now_v7())
                .and_where(domain_event::Column::Id.is_in(ids))
                .to_owned();
            db.execute(&claim).await.unwrap();
        }
    }
    let held_by = async |worker: Option<Uuid>| {
        let column = domain_event::Column::ClaimedBy;
        let held = match worker {
            Some(worker) => column.eq(worker),
            None => column.is_null(),
        };
        let held = domain_event::Entity::find().filter(held).count(db).await;
        usize::try_from(held.unwrap()).unwrap()
    };
    assert_eq!(release_dead_claims(db, judge, &[]).await.unwrap(), 0);
    harness.end_lease(dead).await;
    let released = release_dead_claims(db, judge, &[]).await.unwrap();
    assert_eq!(released, OF_THE_DEAD as u64);
    assert_eq!(held_by(None).await, OF_THE_DEAD);
    assert_eq!(held_by(Some(live)).await, OF_THE_LIVE);
    let lost = domain_event::Entity::find()
        .filter(domain_event::Column::Recoveries.eq(1))
        .count(db);
    assert_eq!(lost.await.unwrap(), OF_THE_DEAD as u64);
}

async fn r11_an_event_that_kills_its_workers_is_given_up(harness: &Harness) {
    let log = Log::default();
    let deadly = |log: &Log| {
        let log = log.clone();
        Subscription::new("s", move |event: EventEnvelope<Changed>| {
            let Changed { contact, n } = event.payload;
            log.add(format!("{contact} {n}"));
            async move {
                if n == 13 {
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        })
    };
    let deaths = |log: &Log| log.lines().iter().filter(|it| *it == "ada 13").count();
    let killer = harness.change("ada", 13).await;
    let behind = harness.change("ada", 14).await;
    for _ in 0..20 {
        let before = deaths(&log);
        let (drainer, worker) = harness
            .drainer_with(|parts| parts.subscriptions = vec![deadly(&log)])
            .await;
        let other = harness.change("bob", 1).await;
        let running = Running::start(drainer);
        until(async || {
            deaths(&log) > before || harness.status(killer).await == EventStatus::Failed
        })
        .await;
        if harness.status(killer).await == EventStatus::Failed {
            until(async || harness.status(behind).await == EventStatus::Processed).await;
            until(async || harness.status(other).await == EventStatus::Processed).await;
            running.stop().await;
            break;
        }
        running.task.abort();
        let _aborted = running.task.await;
        harness.end_lease(worker).await;
    }
    assert_eq!(deaths(&log), 6, "thrice with others around, thrice alone");
    assert!(harness.error(killer).await.contains("3 workers died"));
    let of_ada: Vec<_> = log
        .lines()
        .into_iter()
        .filter(|it| it == "ada 14")
        .collect();
    assert_eq!(of_ada.len(), 1);
}

async fn r63_a_worker_without_a_lease_claims_nothing(harness: &Harness) {
    let log = Log::default();
    let (drainer, worker) = harness
        .drainer_with(|parts| parts.subscriptions = vec![log.subscription("s")])
        .await;
    harness.end_lease(worker).await;
    harness.change("ada", 1).await;
    assert_eq!(drainer.drain_until_idle().await.unwrap(), 0);
    assert!(log.lines().is_empty());
}

async fn r03_a_drainer_whose_lease_is_over_begins_nothing_more(harness: &Harness) {
    let (here, there) = (Log::default(), Log::default());
    let gate = Arc::new(Semaphore::new(0));
    let beat = watch::Sender::new(Instant::now());
    let length = Duration::from_secs(600);
    let (stale, worker) = harness
        .drainer_with(|parts| {
            parts.subscriptions = vec![gated(&here, &gate)];
            parts.lease = Lease::new(
                beat.subscribe(),
                watch::Sender::default().subscribe(),
                length,
            );
        })
        .await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(harness.change("ada", n).await);
    }
    let running = Running::start(stale);
    begun(&here, ids[0]).await;
    // Its process is stopped for so long that the others take it for dead.
    beat.send_replace(Instant::now().checked_sub(length).unwrap());
    harness.end_lease(worker).await;
    let successor = harness.drainer(vec![there.subscription("s")]).await;
    successor.drain_until_idle().await.unwrap();
    gate.add_permits(100);
    running.stop().await;
    assert_eq!(here.lines(), [ids[0].to_string()]);
    let expected: Vec<_> = (0..3).map(|n| format!("s ada {n}")).collect();
    assert_eq!(there.lines(), expected);
    for id in ids {
        assert_eq!(harness.status(id).await, EventStatus::Processed);
    }
}

async fn r08_what_is_aborted_is_handed_back_without_burning_an_attempt(harness: &Harness) {
    let (log, never) = (Log::default(), Arc::new(Semaphore::new(0)));
    let drainer = harness.drainer(vec![gated(&log, &never)]).await;
    let id = harness.change("ada", 1).await;
    let running = Running::start(drainer);
    begun(&log, id).await;
    running.abort.cancel();
    running.stop().await;
    let event = harness
        .runtime
        .events()
        .show(id)
        .await
        .unwrap()
        .unwrap()
        .event;
    assert_eq!(
        (event.status, event.attempts, event.claimed_by),
        (EventStatus::Pending, 0, None)
    );
}

async fn a_shutdown_finishes_what_is_in_hand(harness: &Harness) {
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let drainer = harness.drainer(vec![gated(&log, &gate)]).await;
    let id = harness.change("ada", 1).await;
    let running = Running::start(drainer);
    begun(&log, id).await;
    running.shutdown.cancel();
    gate.add_permits(10);
    running.stop().await;
    assert_eq!(harness.status(id).await, EventStatus::Processed);
}

// The claim has committed, then the connection broke: the event is a live worker's that knows nothing of it.
async fn r13_a_claim_whose_answer_was_lost_does_not_keep_its_events(harness: &Harness) {
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (drainer, worker) = harness
        .drainer_with(|parts| parts.subscriptions = vec![gated(&log, &gate)])
        .await;
    let known = harness.change("ada", 1).await;
    let running = Running::start(drainer);
    begun(&log, known).await;
    // Published and claimed at once, so that the drainer cannot be faster.
    let tx = harness.begin().await;
    let event = Changed {
        contact: "bob".to_owned(),
        n: 1,
    };
    let published = harness.runtime.events().publish(&tx, "bob", event).await;
    let unknown = published.unwrap().id();
    let claim = Query::update()
        .table(domain_event::Entity)
        .value(domain_event::Column::ClaimedBy, worker)
        .value(domain_event::Column::ClaimToken, Uuid::now_v7())
        .value(domain_event::Column::Attempts, 1)
        .and_where(domain_event::Column::Id.eq(unknown.as_uuid()))
        .to_owned();
    tx.execute(&claim).await.unwrap();
    tx.commit().await.unwrap();
    begun(&log, unknown).await;
    gate.add_permits(10);
    running.stop().await;
    assert_eq!(harness.status(unknown).await, EventStatus::Processed);
    // What was known was left in peace.
    let of_known = log
        .lines()
        .iter()
        .filter(|it| **it == known.to_string())
        .count();
    assert_eq!(of_known, 1);
}

async fn r11_what_a_worker_died_over_has_its_turn_in_a_lane_that_is_never_empty(harness: &Harness) {
    let log = Log::default();
    let (drainer, _) = harness
        .drainer_with(|parts| {
            parts.subscriptions = vec![log.subscription("s")];
            parts.concurrency = 1;
        })
        .await;
    for n in 0..60 {
        harness.change(&n.to_string(), n).await;
    }
    let nobody = harness.drainer(Vec::new()).await;
    nobody.drain_until_idle().await.unwrap();
    let db = harness.runtime.db();
    let suspect = Query::update()
        .table(event_delivery::Entity)
        .value(event_delivery::Column::Recoveries, 1)
        .and_where(event_delivery::Column::AggregateId.is_in(["0", "1"]))
        .to_owned();
    db.execute(&suspect).await.unwrap();
    drainer.drain_until_idle().await.unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), 60);
    let place = |line: &str| lines.iter().position(|it| it == line).unwrap();
    let (first, second) = (place("s 0 0"), place("s 1 1"));
    assert!(
        0 < first && first < 20,
        "not at once, after a batch: {lines:?}"
    );
    assert!(first + 1 < second && second < 40, "in turns: {lines:?}");
}

async fn a_jump_of_the_databases_clock_retires_nothing_that_a_live_worker_hosts(harness: &Harness) {
    let log = Log::default();
    let live = harness.drainer(vec![log.subscription("live")]).await;
    harness.drainer(vec![log.subscription("gone")]).await;
    let judge = harness.drainer(Vec::new()).await;
    let db = harness.runtime.db();
    let dialect = database::dialect(db).unwrap();
    let jump = Query::update()
        .table(event_subscription::Entity)
        .value(
            event_subscription::Column::SeenAt,
            dialect.real_now_plus_seconds(-8.0 * 24.0 * 3600.0),
        )
        .to_owned();
    db.execute(&jump).await.unwrap();
    let retired = async || {
        let all = harness.runtime.events().subscriptions().await.unwrap();
        let retired = all.into_iter().filter(|it| it.retired_at.is_some());
        retired.map(|it| it.name).collect::<Vec<_>>()
    };
    let mut looks = Unhosted::default();
    judge.renew(db, &mut looks).await.unwrap();
    assert!(retired().await.is_empty());
    live.renew(db, &mut Unhosted::default()).await.unwrap();
    judge.renew(db, &mut looks).await.unwrap();
    assert!(retired().await.is_empty());
    judge.renew(db, &mut looks).await.unwrap();
    assert_eq!(retired().await, ["gone"]);
}

async fn r06_a_delivery_that_blocks_its_thread_is_given_up_when_its_time_is_up(harness: &Harness) {
    let (log, go) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let blocking = {
        let (log, go) = (log.clone(), go.clone());
        Subscription::new("blocking", move |event: EventEnvelope<Changed>| {
            let n = event.payload.n;
            log.add(format!("blocking {n}"));
            let go = go.clone();
            async move {
                while n == 1 && !go.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(())
            }
        })
    };
    let (drainer, _) = harness
        .drainer_with(|parts| {
            parts.subscriptions = vec![blocking, log.subscription("other")];
            parts.subscription_timeout = Duration::from_millis(50);
        })
        .await;
    let [blocked, behind] = [
        harness.change("ada", 1).await,
        harness.change("ada", 2).await,
    ];
    let running = Running::start(drainer);
    until(async || harness.status(behind).await == EventStatus::Processed).await;
    assert_eq!(harness.status(blocked).await, EventStatus::Failed);
    let error = harness.error(blocked).await;
    assert!(error.contains("blocks its thread"), "{error}");
    go.store(true, Ordering::SeqCst);
    running.stop().await;
    let mut lines = log.lines();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["blocking 1", "blocking 2", "other ada 1", "other ada 2"]
    );
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

async fn a_panic_while_a_handler_out_of_time_is_dropped_is_a_failure(harness: &Harness) {
    let subscription = Subscription::new("s", |_: EventEnvelope<Changed>| async {
        let _guard = PanicsWhenDropped;
        std::future::pending::<()>().await;
        Ok(())
    });
    let id = harness.change("ada", 1).await;
    let record = harness
        .runtime
        .events()
        .show(id)
        .await
        .unwrap()
        .unwrap()
        .event;
    let failure = call(&subscription, &record, 3, Duration::from_millis(10)).await;
    let failure = failure.unwrap_err();
    assert!(failure.error.contains("panicked: dropped"), "{failure:?}");
}
