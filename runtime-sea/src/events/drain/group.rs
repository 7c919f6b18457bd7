//! What a claim has taken in hand: in groups, of which each is worked on in its order.

use std::collections::BTreeMap;

use sea_orm::DbErr;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Shared;
use super::claim::{ClaimedDelivery, ClaimedEvent, Source, claim_deliveries, claim_events};
use super::dispatch::{
    DeliveryOutcome, DispatchedDelivery, DispatchedEvent, Held, dispatch_delivery, dispatch_event,
};
use super::settle::held_consumers;

#[derive(Debug)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    /// Nothing of its aggregate is in hand any more: what waited behind it can be claimed.
    pub(super) ends_group: bool,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Event(Box<DispatchedEvent>),
    Delivery(Box<DispatchedDelivery>),
    /// The rest of a group, of which nothing was begun, or finished, because the lease may be over, or of which a panic
    /// has left no outcome. Whoever takes the lease over has it; if nobody does, it is handed back as a claim that nobody knows of.
    Left {
        token: Uuid,
        count: usize,
    },
}

impl Outcome {
    pub(super) fn token(&self) -> Uuid {
        match self {
            Self::Event(it) => it.event.token,
            Self::Delivery(it) => it.delivery.token,
            Self::Left { token, .. } => *token,
        }
    }

    /// How much of the claim it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Event(_) | Self::Delivery(_) => 1,
            Self::Left { count, .. } => *count,
        }
    }
}

pub(super) struct Batch {
    pub(super) groups: Vec<Group>,
    /// Cancelled when the lease is over that the claim was made under.
    pub(super) term: CancellationToken,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.groups.iter().map(Group::len).sum()
    }
}

/// What has to be done one after the other.
pub(super) enum Group {
    Events {
        events: Vec<ClaimedEvent>,
        held: Held,
    },
    Deliveries(Vec<ClaimedDelivery>),
}

impl Group {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Events { events, .. } => events.len(),
            Self::Deliveries(deliveries) => deliveries.len(),
        }
    }

    /// That of the claim; a group is never empty.
    pub(super) fn token(&self) -> Uuid {
        match self {
            Self::Events { events, .. } => events.first().map(|it| it.token),
            Self::Deliveries(deliveries) => deliveries.first().map(|it| it.token),
        }
        .unwrap_or_default()
    }

    pub(super) async fn dispatch(
        self,
        shared: &Shared,
        term: &CancellationToken,
        done: &mpsc::UnboundedSender<Done>,
    ) {
        let holds = || shared.lease.holds() && !term.is_cancelled();
        let mut rest = Rest {
            token: self.token(),
            count: self.len(),
            done,
        };
        match self {
            Self::Events { events, mut held } => {
                for event in events {
                    if !holds() {
                        return;
                    }
                    let consumers = &shared.hosted.now();
                    let calling = shared.calling(consumers, term);
                    let Some(dispatched) = dispatch_event(&calling, event, &mut held).await else {
                        return;
                    };
                    rest.take(Outcome::Event(Box::new(dispatched)));
                }
            }
            Self::Deliveries(deliveries) => {
                let mut blocked = false;
                for delivery in deliveries {
                    if !holds() {
                        return;
                    }
                    let consumers = &shared.hosted.now();
                    let calling = shared.calling(consumers, term);
                    let outcome = if blocked {
                        DeliveryOutcome::Behind
                    } else if let Some(outcome) = dispatch_delivery(&calling, &delivery).await {
                        outcome
                    } else {
                        return;
                    };
                    if let DeliveryOutcome::Failed(failure) = &outcome {
                        blocked = failure.retry_after.is_some();
                    }
                    let dispatched = DispatchedDelivery { delivery, outcome };
                    rest.take(Outcome::Delivery(Box::new(dispatched)));
                }
            }
        }
    }
}

/// What of a group has no outcome yet. The pump is told of it however the group ends, a panic included: it would wait
/// for it for ever.
struct Rest<'a> {
    token: Uuid,
    count: usize,
    done: &'a mpsc::UnboundedSender<Done>,
}

impl Rest<'_> {
    fn take(&mut self, outcome: Outcome) {
        self.count = self.count.saturating_sub(outcome.len());
        self.send(outcome);
    }

    // Nobody listens any more where sending fails, so that nothing can be done about it.
    fn send(&self, outcome: Outcome) {
        let ends_group = self.count == 0 || matches!(outcome, Outcome::Left { .. });
        let _sent = self.done.send(Done {
            outcome,
            ends_group,
        });
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.send(Outcome::Left {
                token: self.token,
                count: self.count,
            });
        }
    }
}

/// Takes up to `limit` of a source in hand.
pub(super) async fn claim(
    shared: &Shared,
    source: Source,
    limit: u64,
    has_nothing_in_hand: bool,
) -> Result<Batch, DbErr> {
    let db = shared.runtime.db();
    let term = shared.lease.term();
    let consumers = shared.hosted.now();
    let claimant = shared.claimant(&consumers);
    let groups = match source {
        Source::Events(lane) => {
            let events = claim_events(db, &claimant, lane, limit).await?;
            let mut held = held_consumers(db, &consumers, &events).await?;
            let (keyed, single) = grouped(events, |it| {
                it.aggregate()
                    .map(|(kind, id)| (kind.to_owned(), id.to_owned()))
            });
            let keyed = keyed.into_iter().map(|(aggregate, events)| Group::Events {
                events,
                held: held.remove(&aggregate).unwrap_or_default(),
            });
            let single = single.into_iter().map(|it| Group::Events {
                events: vec![it],
                held: Held::new(),
            });
            keyed.chain(single).collect()
        }
        Source::Deliveries(lane) => {
            let deliveries =
                claim_deliveries(db, &claimant, lane, limit, has_nothing_in_hand).await?;
            let (keyed, single) = grouped(deliveries, |it| {
                let aggregate = it
                    .row
                    .aggregate_type
                    .clone()
                    .zip(it.row.aggregate_id.clone());
                let ordered = it.row.ordering == crate::events::EventOrdering::Aggregate.as_str();
                aggregate
                    .filter(|_| ordered)
                    .map(|it_of| (it.kind, it.row.subscription.clone(), it_of))
            });
            let keyed = keyed.into_values().map(Group::Deliveries);
            keyed
                .chain(single.into_iter().map(|it| Group::Deliveries(vec![it])))
                .collect()
        }
    };
    Ok(Batch { groups, term })
}

// Keeps the order within a key; what has no key stands alone.
fn grouped<T, K: Ord>(
    items: Vec<T>,
    key: impl Fn(&T) -> Option<K>,
) -> (BTreeMap<K, Vec<T>>, Vec<T>) {
    let mut keyed: BTreeMap<K, Vec<T>> = BTreeMap::new();
    let mut single = Vec::new();
    for item in items {
        match key(&item) {
            Some(key) => keyed.entry(key).or_default().push(item),
            None => single.push(item),
        }
    }
    (keyed, single)
}
