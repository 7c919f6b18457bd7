//! Calling subscriptions and asking triggers, outside of every transaction.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;

use super::calls::Calling;
use super::claim::{ClaimedDelivery, ClaimedEvent};
use crate::bridge::Firing;
use crate::events::{ConsumerKind, EventRecord, Subscription, SubscriptionError, Tier, gets};
use crate::hook::panic_text;
use crate::jobs::Trigger;
use crate::metrics::Clock;
use crate::storable::stored_text;
use crate::trace::Traces;

/// How often workers may die over an event, and then over one delivery of it, before it counts as what kills them.
const MAX_RECOVERIES: u32 = 3;

/// The subscriptions and triggers that this process hosts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consumers {
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) triggers: Vec<Trigger>,
    /// No subscription may take longer over one event.
    pub(crate) subscription_timeout: Duration,
    pub(crate) traces: Traces,
    pub(crate) clock: Clock,
}

impl Consumers {
    /// Every hosted consumer: kind, name, event type.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConsumerKind, &str, &'static str)> {
        let subscriptions = self
            .subscriptions
            .iter()
            .map(|it| (ConsumerKind::Subscription, it.name.as_str(), it.event_type));
        let triggers = self
            .triggers
            .iter()
            .map(|it| (ConsumerKind::Trigger, it.id.as_str(), it.event_type));
        subscriptions.chain(triggers)
    }

    /// Whether the consumer of that name is hosted and gets events of the type. Another version of the program may have
    /// another type under the same name.
    pub(crate) fn hosts(&self, kind: ConsumerKind, name: &str, event_type: &str) -> bool {
        self.iter().any(|(hosted_kind, hosted, hosted_for)| {
            hosted_kind == kind && hosted == name && gets(hosted_for, event_type)
        })
    }

    /// Those for which the condition on kind, name and type does not hold.
    pub(super) fn without(&self, is_one: &impl Fn(ConsumerKind, &str, &str) -> bool) -> Self {
        let mut others = self.clone();
        others
            .subscriptions
            .retain(|it| !is_one(ConsumerKind::Subscription, &it.name, it.event_type));
        others
            .triggers
            .retain(|it| !is_one(ConsumerKind::Trigger, &it.id, it.event_type));
        others
    }

    pub(crate) fn names(&self, kind: ConsumerKind) -> Vec<String> {
        self.iter()
            .filter(|it| it.0 == kind)
            .map(|it| it.1.to_owned())
            .collect()
    }
}

/// Consumers that may not get an aggregate's events on the spot, because an earlier one still waits for them.
pub(crate) type Held = HashSet<(ConsumerKind, String)>;

/// Those of every aggregate of a batch, by its type and id.
pub(crate) type HeldByAggregate = HashMap<(String, String), Held>;

/// What a failed call leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    /// The pause before the next attempt; none where there is no further one.
    pub(crate) retry_after: Option<Duration>,
}

/// An event whose hosted consumers have been called.
#[derive(Debug)]
pub(crate) struct DispatchedEvent {
    pub(crate) event: ClaimedEvent,
    /// What was hosted then: all of it that gets the event was called, asked or held.
    pub(crate) consumers: Arc<Consumers>,
    pub(crate) failures: Vec<(String, Failure)>,
    pub(crate) held: Held,
    pub(crate) firings: Vec<Firing>,
}

/// What became of one delivery.
#[derive(Debug)]
pub(crate) enum DeliveryOutcome {
    Delivered,
    Fired(Box<Firing>),
    Failed(Failure),
    /// Not tried: the one before it in its aggregate has to be tried again first.
    Behind,
}

/// A delivery that has been tried.
#[derive(Debug)]
pub(crate) struct DispatchedDelivery {
    pub(crate) delivery: ClaimedDelivery,
    pub(crate) outcome: DeliveryOutcome,
}

/// Calls every hosted consumer of the event that is not held, and adds those that failed to `held`. Nothing comes of it
/// where the lease is over before the calls are.
pub(crate) async fn dispatch_event(
    calling: &Calling<'_>,
    event: ClaimedEvent,
    held: &mut Held,
) -> Option<DispatchedEvent> {
    let (consumers, record) = (calling.consumers, &event.record);
    // Something about it kills workers: one delivery at a time will show what, and spare the others.
    let is_suspect = record.recoveries >= MAX_RECOVERIES;
    let starts_work = record.tier == Tier::Domain;
    let held_now: Held = consumers
        .iter()
        .filter(|(kind, _, event_type)| {
            gets(event_type, &record.event_type) && (starts_work || *kind != ConsumerKind::Trigger)
        })
        .map(|(kind, name, _)| (kind, name.to_owned()))
        .filter(|it| is_suspect || held.contains(it))
        .collect();
    let is_free = |kind, name: &str| !held_now.contains(&(kind, name.to_owned()));
    let calls = consumers
        .subscriptions
        .iter()
        .filter(|it| {
            gets(it.event_type, &record.event_type) && is_free(ConsumerKind::Subscription, &it.name)
        })
        .map(async |it| {
            let delivered = calling.deliver(it, record, 1).await?;
            Some(delivered.err().map(|failure| (it.name.clone(), failure)))
        });
    let ended: Option<Vec<_>> = join_all(calls).await.into_iter().collect();
    let failures: Vec<_> = ended?.into_iter().flatten().collect();
    let firings = consumers
        .triggers
        .iter()
        .filter(|it| {
            starts_work
                && it.event_type == record.event_type
                && is_free(ConsumerKind::Trigger, &it.id)
        })
        .map(|it| consumers.ask(it, record, 1))
        .collect();
    if event.aggregate().is_some() {
        let retried = failures
            .iter()
            .filter(|(_, failure)| failure.retry_after.is_some());
        held.extend(held_now.iter().cloned());
        held.extend(retried.map(|(name, _)| (ConsumerKind::Subscription, name.clone())));
    }
    Some(DispatchedEvent {
        consumers: Arc::clone(consumers),
        event,
        failures,
        held: held_now,
        firings,
    })
}

/// Tries one delivery again, or for the first time where another process left it. Nothing comes of it where the lease is
/// over before it is.
pub(crate) async fn dispatch_delivery(
    calling: &Calling<'_>,
    delivery: &ClaimedDelivery,
) -> Option<DeliveryOutcome> {
    let consumers = calling.consumers;
    let (name, event_type) = (&delivery.row.subscription, &delivery.record.event_type);
    let recoveries = u32::try_from(delivery.row.recoveries).unwrap_or_default();
    if recoveries >= MAX_RECOVERIES {
        let error = format!("{recoveries} workers died while they delivered the event");
        return Some(DeliveryOutcome::Failed(Failure {
            error,
            retry_after: None,
        }));
    }
    let attempt = u32::try_from(delivery.row.attempts).unwrap_or(1).max(1);
    let outcome = match delivery.kind {
        ConsumerKind::Subscription => {
            let hosted = &mut consumers.subscriptions.iter();
            let Some(subscription) =
                hosted.find(|it| it.name == *name && gets(it.event_type, event_type))
            else {
                return Some(DeliveryOutcome::Behind);
            };
            match calling
                .deliver(subscription, &delivery.record, attempt)
                .await?
            {
                Ok(()) => DeliveryOutcome::Delivered,
                Err(failure) => DeliveryOutcome::Failed(failure),
            }
        }
        ConsumerKind::Trigger => {
            let hosted = &mut consumers.triggers.iter();
            match hosted.find(|it| it.id == *name && it.event_type == event_type) {
                Some(trigger) => {
                    let firing = consumers.ask(trigger, &delivery.record, attempt);
                    DeliveryOutcome::Fired(Box::new(firing))
                }
                None => DeliveryOutcome::Behind,
            }
        }
    };
    Some(outcome)
}

pub(crate) async fn call(
    subscription: &Subscription,
    record: &EventRecord,
    attempt: u32,
    timeout: Duration,
) -> Result<(), Failure> {
    // A handler that is out of time is dropped inside, for it may panic in a destructor.
    let called = async {
        tokio::time::timeout(timeout, async { subscription.call(record, attempt).await }).await
    };
    let result = match AssertUnwindSafe(called).catch_unwind().await {
        Ok(Ok(result)) => result,
        Err(panic) => Err(SubscriptionError::new(format_args!(
            "panicked: {}",
            panic_text(&*panic)
        ))),
        Ok(Err(_)) => Err(SubscriptionError::new(format_args!(
            "did not finish within {timeout:?}; start a job for work that takes long"
        ))),
    };
    result.map_err(|error| {
        let retry = subscription.retry;
        let more = error.is_retryable() && attempt < retry.attempts();
        tracing::warn!(
            subscription = %subscription.name,
            event_type = %record.event_type,
            event_id = %record.id,
            attempt,
            attempts = retry.attempts(),
            error = error.message(),
            "a subscription failed on an event"
        );
        Failure {
            error: stored_text(error.message()),
            retry_after: more.then(|| retry.delay_after(attempt)),
        }
    })
}

pub(super) fn fire(trigger: &Trigger, record: &EventRecord) -> Firing {
    let prepared = std::panic::catch_unwind(AssertUnwindSafe(|| trigger.prepare(record)));
    let run = match prepared {
        Ok(Ok(run)) => Ok(run),
        Ok(Err(error)) => Err(stored_text(&error.to_string())),
        Err(panic) => Err(stored_text(&format!(
            "the trigger panicked: {}",
            panic_text(&*panic)
        ))),
    };
    Firing {
        event_id: record.id,
        event_type: record.event_type.clone(),
        trigger_id: trigger.id.clone(),
        job_type: trigger.job_type,
        is_stood_for: trigger.is_stood_for,
        run,
    }
}
