//! Runs of triggers whose key a transaction of the app has taken that is still open: nobody knows for how long, so that
//! they are put aside, and nothing waits for them but what comes behind them in their aggregate.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::claim::ClaimedDelivery;
use super::dispatch::{DeliveryOutcome, DispatchedDelivery, DispatchedEvent, Failure};
use super::group::{Done, Outcome};
use crate::events::{ConsumerKind, EventOrdering};

/// The longest pause until another look at the key, about.
const MAX_PAUSE: u32 = 32;

type Aggregate = (String, String);

/// The triggers of which something was put aside, by the aggregate, for as long as more of it may be in hand: what is
/// claimed later finds the delivery that waits.
#[derive(Debug, Default)]
pub(super) struct Aside {
    triggers: HashMap<Aggregate, HashSet<String>>,
}

impl Aside {
    /// Leaves what comes behind something that was put aside to later.
    pub(super) fn hold_back(
        &self,
        events: &mut [DispatchedEvent],
        deliveries: &mut [DispatchedDelivery],
    ) {
        if self.triggers.is_empty() {
            return;
        }
        for event in events {
            let behind = aggregate_of_event(event).and_then(|it| self.triggers.get(&it));
            if let Some(triggers) = behind {
                leave(event, |trigger_id, _| triggers.contains(trigger_id));
            }
        }
        for it in deliveries {
            if self.is_behind(&it.delivery) {
                it.outcome = DeliveryOutcome::Behind;
            }
        }
    }

    pub(super) fn is_behind(&self, delivery: &ClaimedDelivery) -> bool {
        let triggers = aggregate_of_delivery(delivery).and_then(|it| self.triggers.get(&it));
        delivery.kind == ConsumerKind::Trigger
            && triggers.is_some_and(|it| it.contains(&delivery.row.subscription))
    }

    /// Puts the runs aside that may have to wait for a key.
    pub(super) fn put_events(&mut self, events: &mut [DispatchedEvent]) {
        for event in events {
            let aggregate = aggregate_of_event(event);
            // What comes behind in the batch stays behind.
            let known = aggregate.as_ref().and_then(|it| self.triggers.get(it));
            let known = known.cloned().unwrap_or_default();
            let left = leave(event, |trigger_id, may_wait| {
                may_wait || known.contains(trigger_id)
            });
            if let Some(aggregate) = aggregate.filter(|_| !left.is_empty()) {
                self.triggers.entry(aggregate).or_default().extend(left);
            }
        }
    }

    /// Puts a delivery aside.
    pub(super) fn put_delivery(&mut self, delivery: ClaimedDelivery) -> DispatchedDelivery {
        if let Some(aggregate) = aggregate_of_delivery(&delivery) {
            let triggers = self.triggers.entry(aggregate).or_default();
            triggers.insert(delivery.row.subscription.clone());
        }
        let attempts = u32::try_from(delivery.row.attempts).unwrap_or_default();
        let seconds = 2_u32.saturating_pow(attempts).min(MAX_PAUSE);
        let pause = Duration::from_secs(seconds.into());
        let outcome = DeliveryOutcome::Failed(Failure {
            error: "a transaction that is still open has the key of its run".to_owned(),
            retry_after: Some(pause.mul_f64(rand::random_range(0.75..=1.25))),
        });
        DispatchedDelivery { delivery, outcome }
    }

    /// Forgets what nothing comes behind any more.
    pub(super) fn forget(&mut self, ended: Ended) {
        match ended {
            Ended::Everything => self.triggers.clear(),
            Ended::Groups(groups) => {
                for (aggregate, trigger) in groups {
                    match (trigger, self.triggers.get_mut(&aggregate)) {
                        (Some(trigger), Some(triggers)) => {
                            triggers.remove(&trigger);
                        }
                        _ => {
                            self.triggers.remove(&aggregate);
                        }
                    }
                }
                self.triggers.retain(|_, triggers| !triggers.is_empty());
            }
        }
    }
}

/// Of what nothing is in hand any more once a batch is settled.
pub(super) enum Ended {
    /// Of an aggregate, or of one of its triggers.
    Groups(Vec<(Aggregate, Option<String>)>),
    /// Of something that nobody knows any more.
    Everything,
}

impl Ended {
    pub(super) fn with(batch: &[Done]) -> Self {
        let mut groups = Vec::new();
        for it in batch.iter().filter(|it| it.ends_group) {
            match &it.outcome {
                Outcome::Event(event) => {
                    groups.extend(aggregate_of_event(event).map(|it| (it, None)));
                }
                Outcome::Delivery(it) if it.delivery.kind == ConsumerKind::Trigger => {
                    let trigger = Some(it.delivery.row.subscription.clone());
                    let aggregate = aggregate_of_delivery(&it.delivery);
                    groups.extend(aggregate.map(|it| (it, trigger)));
                }
                Outcome::Delivery(_) => {}
                Outcome::Left { .. } => return Self::Everything,
            }
        }
        Self::Groups(groups)
    }
}

fn leave(event: &mut DispatchedEvent, is_left: impl Fn(&str, bool) -> bool) -> Vec<String> {
    let (left, stays): (Vec<_>, Vec<_>) = std::mem::take(&mut event.firings)
        .into_iter()
        .partition(|it| is_left(&it.trigger_id, it.may_wait_for_a_key()));
    event.firings = stays;
    let left: Vec<_> = left.into_iter().map(|it| it.trigger_id).collect();
    let held = left.iter().map(|it| (ConsumerKind::Trigger, it.clone()));
    event.held.extend(held);
    left
}

fn aggregate_of_event(event: &DispatchedEvent) -> Option<Aggregate> {
    let (kind, id) = event.event.aggregate()?;
    Some((kind.to_owned(), id.to_owned()))
}

fn aggregate_of_delivery(delivery: &ClaimedDelivery) -> Option<Aggregate> {
    let row = &delivery.row;
    if row.ordering != EventOrdering::Aggregate.as_str() {
        return None;
    }
    row.aggregate_type.clone().zip(row.aggregate_id.clone())
}
