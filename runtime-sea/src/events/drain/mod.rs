//! Delivering events: claim, call what subscribed, record.
//!
//! Each lane claims a batch in a short transaction, calls the subscriptions and asks the triggers outside of every
//! transaction, and records the outcomes in batches, under the claim's fence. What did not succeed on the spot, what
//! waits behind it in its aggregate, and what only another process hosts becomes a row of `event_delivery`, which the
//! processes that host the consumer claim in the same way.

mod claim;
mod dispatch;
mod handover;
mod observed;
mod pump;
mod registration;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ConsumerKind, EventPool, EventRegistry, Subscription};
use crate::Runtime;
use crate::jobs::Trigger;
use crate::metrics;
use claim::{Claimant, Lane, Source};
use dispatch::Consumers;
use pump::Mode;
pub(super) use settle::{end_events, lock_events};

/// How often claims of dead workers are looked for.
const TAKE_OVER_INTERVAL: Duration = Duration::from_secs(2);

/// How long the claims of silent workers are left alone once the database is back.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the hosted consumers are marked as still hosted.
const REGISTRATION_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// No subscription may take longer over one event.
const SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(60);

/// What a drainer is made of.
#[derive(Debug)]
pub(crate) struct DrainerParts {
    pub(crate) runtime: Runtime,
    /// The row of `job_worker` whose lease covers the drainer's claims. It must exist before the first claim.
    pub(crate) worker_id: Uuid,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) triggers: Vec<Trigger>,
    /// Events of types that it lacks are left to workers that know them; without one every type is known.
    pub(crate) registry: Option<EventRegistry>,
    /// The lanes to drain; all of them where this is none. Audit events go with any.
    pub(crate) pools: Option<Vec<EventPool>>,
}

/// Delivers events to one process's subscriptions and triggers.
#[derive(Debug, Clone)]
pub(crate) struct Drainer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    runtime: Runtime,
    worker_id: Uuid,
    consumers: Consumers,
    known_types: Option<Vec<String>>,
    lanes: Vec<Lane>,
}

impl Drainer {
    pub(crate) fn new(parts: DrainerParts) -> Self {
        let pools = parts.pools;
        let lanes = Lane::ALL
            .into_iter()
            .filter(|lane| match (lane, &pools) {
                (Lane::Pool(pool), Some(pools)) => pools.contains(pool),
                (Lane::Pool(_) | Lane::Audit, _) => true,
            })
            .collect();
        let known_types = parts
            .registry
            .map(|it| it.iter().map(|it| it.event_type.to_owned()).collect());
        let consumers = Consumers {
            subscriptions: parts.subscriptions,
            triggers: parts.triggers,
            subscription_timeout: SUBSCRIPTION_TIMEOUT,
            traces: parts.runtime.traces().clone(),
            clock: parts.runtime.clock().clone(),
        };
        let shared = Shared {
            runtime: parts.runtime,
            worker_id: parts.worker_id,
            consumers,
            known_types,
            lanes,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Registers what this process hosts, so that no other drainer passes it over. Before the first claim.
    pub(crate) async fn register(&self) -> Result<(), DbErr> {
        registration::register(self.shared.runtime.db(), &self.shared.consumers).await
    }

    /// Delivers events until `shutdown`, then finishes what is in hand. `abort` ends the handlers that are still
    /// running then; what they had in hand is handed back.
    ///
    /// A failing database is waited out.
    pub(crate) async fn run(&self, shutdown: CancellationToken, abort: CancellationToken) {
        let mut tasks = tokio::task::JoinSet::new();
        for source in self.sources() {
            let (shared, mode) = (
                Arc::clone(&self.shared),
                Mode::Until {
                    shutdown: shutdown.clone(),
                    abort: abort.clone(),
                },
            );
            tasks.spawn(async move {
                if let Err(error) = pump::pump(&shared, source, mode).await {
                    tracing::error!(%error, ?source, "a lane of the event drain stopped");
                }
            });
        }
        let keeper = {
            let (drainer, shutdown) = (self.clone(), shutdown.clone());
            tokio::spawn(async move { shutdown.run_until_cancelled(drainer.keep()).await })
        };
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a lane of the event drain panicked");
            }
        }
        keeper.abort();
        let db = self.shared.runtime.db();
        if let Err(error) = claim::release_own_claims(db, self.shared.worker_id).await {
            tracing::warn!(%error, "claims could not be handed back; they are taken over when the lease is over");
        }
    }

    /// Delivers what can be delivered now. Returns how many events and deliveries were settled.
    pub(crate) async fn drain_until_idle(&self) -> Result<usize, DbErr> {
        claim::release_dead_claims(self.shared.runtime.db(), self.shared.worker_id).await?;
        let mut settled = 0;
        loop {
            let mut this_round = 0;
            for source in self.sources() {
                this_round += pump::pump(&self.shared, source, Mode::UntilIdle).await?;
            }
            settled += this_round;
            if this_round == 0 {
                return Ok(settled);
            }
        }
    }

    async fn take_over(&self, patient_until: Instant) -> Result<u64, DbErr> {
        // The database is asked all the same: it may be away again.
        let db = self.shared.runtime.db();
        if Instant::now() < patient_until {
            return db.ping().await.map(|()| 0);
        }
        claim::release_dead_claims(db, self.shared.worker_id).await
    }

    fn sources(&self) -> impl Iterator<Item = Source> {
        let lanes = self.shared.lanes.iter().map(|lane| Source::Events(*lane));
        let consumers = &self.shared.consumers;
        let hosted = [
            (
                ConsumerKind::Subscription,
                consumers.subscriptions.is_empty(),
            ),
            (ConsumerKind::Trigger, consumers.triggers.is_empty()),
        ];
        let deliveries = hosted
            .into_iter()
            .filter(|(_, none)| !none)
            .map(|(kind, _)| Source::Deliveries(kind));
        lanes.chain(deliveries)
    }

    async fn keep(&self) {
        let mut take_over = tokio::time::interval(TAKE_OVER_INTERVAL);
        let mut registration = tokio::time::interval(REGISTRATION_INTERVAL);
        // The first tick comes at once, and the worker has just registered.
        registration.tick().await;
        // After an outage the other workers get time to be heard again before they count as dead.
        let mut patient_until = Instant::now();
        loop {
            let kept = tokio::select! {
                _ = take_over.tick() => match self.take_over(patient_until).await {
                    Ok(0) => Ok(()),
                    Ok(released) => {
                        metrics::events_taken_over(released);
                        tracing::warn!(released, "took over events from dead workers");
                        self.shared.runtime.wake_up().wake_here();
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                _ = registration.tick() => self.register().await,
            };
            if let Err(error) = kept {
                patient_until = Instant::now() + PATIENCE;
                tracing::warn!(%error, "the event drain's upkeep failed; it is tried again");
            }
        }
    }
}

impl Shared {
    fn claimant(&self) -> Claimant<'_> {
        Claimant {
            worker_id: self.worker_id,
            known_types: self.known_types.as_deref(),
        }
    }
}
