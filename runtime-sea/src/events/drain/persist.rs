//! Recording outcomes whatever the database does: it is waited for where it is away, and where it refuses a batch, what
//! it refuses is found.

use std::time::Duration;

use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::aside::{Aside, Ended};
use super::claim::ClaimedEvent;
use super::dispatch::{DeliveryOutcome, DispatchedDelivery, DispatchedEvent, Failure};
use super::group::{Done, Outcome};
use super::settle::{postpone_event, settle_deliveries, settle_events};
use crate::bridge::Firing;
use crate::database::{self, News, retrying};

/// How often an event is taken up whose outcome the database refuses to record, before it is given up.
const MAX_REFUSALS: u32 = 5;

/// How many runs whose key is taken are waited for in one batch of deliveries.
const MAX_IN_VAIN: u32 = 2;

/// The longest pause between two tries while the database is away.
const MAX_OUTAGE_PAUSE: Duration = Duration::from_secs(5);

/// Records a batch. While the database is away the outcomes are kept, because the handlers have done their work; where
/// it refuses a batch, each outcome is tried alone, so that one cannot stand in the way of the others. Nor can a run whose
/// key a transaction has taken that stays open.
pub(super) async fn settle(
    shared: &Shared,
    batch: Vec<Done>,
    aside: &mut Aside,
    abort: &CancellationToken,
) {
    let ended = Ended::with(&batch);
    let mut events = Vec::new();
    let mut deliveries = Vec::new();
    for it in batch {
        match it.outcome {
            Outcome::Event(event) => events.push(*event),
            Outcome::Delivery(delivery) => deliveries.push(*delivery),
            Outcome::Left { .. } => {}
        }
    }
    aside.hold_back(&mut events, &mut deliveries);
    let started = settle_all_events(shared, events, aside, abort).await
        + settle_all_deliveries(shared, deliveries, aside, abort).await;
    aside.forget(ended);
    if started > 0 {
        shared.runtime.wake_up().announce(News::RUNS);
    }
}

async fn settle_all_events(
    shared: &Shared,
    mut events: Vec<DispatchedEvent>,
    aside: &mut Aside,
    abort: &CancellationToken,
) -> usize {
    if events.is_empty() {
        return 0;
    }
    let mut result = persist(shared, Write::Events(&events), abort).await;
    if result
        .as_ref()
        .is_err_and(|error| is_locked_out(shared, error))
    {
        aside.put_events(&mut events);
        result = persist(shared, Write::Events(&events), abort).await;
    }
    let mut started = 0;
    match result {
        Ok(runs) => started += runs,
        // What is in hand is handed back, or taken over where the database is away.
        Err(_) if abort.is_cancelled() => {}
        Err(_) => {
            for event in events.chunks(1) {
                match persist(shared, Write::Events(event), abort).await {
                    Ok(runs) => started += runs,
                    Err(error) => refuse(shared, event, &error, abort).await,
                }
            }
        }
    }
    started
}

async fn settle_all_deliveries(
    shared: &Shared,
    deliveries: Vec<DispatchedDelivery>,
    aside: &mut Aside,
    abort: &CancellationToken,
) -> usize {
    if deliveries.is_empty() {
        return 0;
    }
    match persist(shared, Write::Deliveries(&deliveries), abort).await {
        Ok(runs) => runs,
        Err(_) if abort.is_cancelled() => 0,
        Err(error) if is_locked_out(shared, &error) => {
            let (keyed, free): (Vec<_>, Vec<_>) =
                deliveries.into_iter().partition(may_wait_for_a_key);
            one_by_one(shared, free, abort).await + settle_keyed(shared, keyed, aside, abort).await
        }
        Err(_) => one_by_one(shared, deliveries, abort).await,
    }
}

async fn one_by_one(
    shared: &Shared,
    deliveries: Vec<DispatchedDelivery>,
    abort: &CancellationToken,
) -> usize {
    let mut started = 0;
    for delivery in deliveries.chunks(1) {
        match persist(shared, Write::Deliveries(delivery), abort).await {
            Ok(runs) => started += runs,
            Err(error) => refuse_delivery(shared, delivery, &error, abort).await,
        }
    }
    started
}

// Each try may have to wait: after a few in vain the others are put aside untried. They have their turn first when it comes
// again, for those that were tried are put aside for longer each time.
async fn settle_keyed(
    shared: &Shared,
    deliveries: Vec<DispatchedDelivery>,
    aside: &mut Aside,
    abort: &CancellationToken,
) -> usize {
    let (mut started, mut in_vain) = (0, 0);
    for mut it in deliveries {
        if aside.is_behind(&it.delivery) {
            it.outcome = DeliveryOutcome::Behind;
        } else if in_vain < MAX_IN_VAIN {
            match persist(shared, Write::Deliveries(std::slice::from_ref(&it)), abort).await {
                Ok(runs) => {
                    started += runs;
                    continue;
                }
                Err(error) if is_locked_out(shared, &error) => {
                    in_vain += 1;
                    it = aside.put_delivery(it.delivery);
                }
                Err(error) => {
                    refuse_delivery(shared, &[it], &error, abort).await;
                    continue;
                }
            }
        } else {
            it = aside.put_delivery(it.delivery);
        }
        let id = it.delivery.record.id;
        if let Err(error) = persist(shared, Write::Deliveries(&[it]), abort).await {
            tracing::error!(event_id = %id, %error, "a delivery could not be put aside");
        }
    }
    started
}

fn is_locked_out(shared: &Shared, error: &DbErr) -> bool {
    database::dialect(shared.runtime.db()).is_ok_and(|it| it.is_locked_out(error))
}

fn may_wait_for_a_key(delivery: &DispatchedDelivery) -> bool {
    matches!(&delivery.outcome, DeliveryOutcome::Fired(firing) if firing.may_wait_for_a_key())
}

async fn refuse(
    shared: &Shared,
    events: &[DispatchedEvent],
    error: &DbErr,
    abort: &CancellationToken,
) {
    for DispatchedEvent { event, .. } in events {
        let (id, attempts) = (event.record.id, event.record.attempts);
        tracing::error!(event_id = %id, attempts, %error, "the database refuses an event's outcome");
        let text = format!("the outcome could not be recorded: {error}");
        let pause = (attempts < MAX_REFUSALS).then(|| outage_pause(attempts));
        let write = Write::Postpone {
            event,
            error: &text,
            pause,
        };
        if let Err(error) = persist(shared, write, abort).await {
            tracing::error!(event_id = %id, %error, "an event could not be put back");
        }
    }
}

// The same as a failure of the consumer: what it did is not on record, so that it has to do it again.
async fn refuse_delivery(
    shared: &Shared,
    deliveries: &[DispatchedDelivery],
    error: &DbErr,
    abort: &CancellationToken,
) {
    for DispatchedDelivery { delivery, .. } in deliveries {
        let attempts = u32::try_from(delivery.row.attempts).unwrap_or_default();
        tracing::error!(event_id = %delivery.record.id, %error, "the database refuses a delivery's outcome");
        let failure = Failure {
            error: format!("the outcome could not be recorded: {error}"),
            retry_after: (attempts < MAX_REFUSALS).then(|| outage_pause(attempts)),
        };
        let failed = [DispatchedDelivery {
            delivery: delivery.clone(),
            outcome: DeliveryOutcome::Failed(failure),
        }];
        if let Err(error) = persist(shared, Write::Deliveries(&failed), abort).await {
            tracing::error!(event_id = %delivery.record.id, %error, "a delivery could not be put back");
        }
    }
}

#[derive(Clone, Copy)]
enum Write<'a> {
    Events(&'a [DispatchedEvent]),
    Deliveries(&'a [DispatchedDelivery]),
    Postpone {
        event: &'a ClaimedEvent,
        error: &'a str,
        pause: Option<Duration>,
    },
}

impl Write<'_> {
    /// Whether others need not wait where somebody keeps a lock that it needs.
    fn can_be_put_aside(self) -> bool {
        match self {
            Self::Events(events) => events
                .iter()
                .flat_map(|it| &it.firings)
                .any(Firing::may_wait_for_a_key),
            Self::Deliveries(deliveries) => deliveries.iter().any(may_wait_for_a_key),
            Self::Postpone { .. } => false,
        }
    }
}

// Tries until the database takes it, refuses it, or the drain is aborted.
async fn persist(
    shared: &Shared,
    write: Write<'_>,
    abort: &CancellationToken,
) -> Result<usize, DbErr> {
    let db = shared.runtime.db();
    let dialect = database::dialect(db)?;
    let mut failures = 0;
    loop {
        let writing = async {
            match write {
                Write::Events(events) => retrying(db, || settle_events(db, events)).await,
                Write::Deliveries(deliveries) => {
                    retrying(db, || settle_deliveries(db, deliveries)).await
                }
                Write::Postpone {
                    event,
                    error,
                    pause,
                } => {
                    let claim = (event.record.seq, event.token);
                    postpone_event(db, claim, error, pause).await.map(|()| 0)
                }
            }
        };
        match database::answered(writing).await {
            Err(error) if dialect.is_locked_out(&error) && write.can_be_put_aside() => {
                return Err(error);
            }
            Err(error) if dialect.is_transient(&error) && !abort.is_cancelled() => {
                failures += 1;
                log_outage(
                    failures,
                    &error,
                    "the outcome of events could not be recorded",
                );
                abort
                    .run_until_cancelled(tokio::time::sleep(outage_pause(failures)))
                    .await;
            }
            result => return result,
        }
    }
}

pub(super) fn outage_pause(failures: u32) -> Duration {
    let pause = Duration::from_millis(20).saturating_mul(1_u32 << failures.min(8));
    let spread = rand::random_range(0.75..=1.25);
    pause.min(MAX_OUTAGE_PAUSE).mul_f64(spread)
}

// One line per doubling: an outage of an hour must not fill a disk.
pub(super) fn log_outage(failures: u32, error: &DbErr, what: &str) {
    if failures.is_power_of_two() {
        tracing::warn!(%error, failures, "{what}; trying again");
    }
}
