//! Delivering events: claim, call what subscribed, record.
//!
//! Each lane claims a batch in a short transaction, calls the subscriptions and asks the triggers outside of every
//! transaction, and records the outcomes in batches, under the claim's fence. What did not succeed on the spot, what
//! waits behind it in its aggregate, and what only another process hosts becomes a row of `event_delivery`, which the
//! processes that host the consumer claim in the same way.

mod aside;
mod calls;
mod claim;
mod claimable;
mod dispatch;
mod group;
mod handover;
mod hosted;
mod lane;
mod observed;
mod persist;
mod pump;
mod registration;
mod retired;
mod settle;
#[cfg(test)]
mod tests;
mod turns;
mod unreadable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::EventRegistry;
use crate::Runtime;
use crate::database::{News, Outage, answered};
use crate::metrics;
use crate::worker::{Lease, Neighbours};
use calls::Calling;
pub(crate) use calls::Calls;
use claim::{Claimant, Source};
pub(crate) use dispatch::Consumers;
pub(crate) use hosted::Hosted;
pub(crate) use lane::Lane;
use pump::Mode;
use retired::Unhosted;
pub(super) use retired::{retire, skip_waiting};
pub(super) use settle::deliveries_wait;
use turns::SuspectTurns;

/// How often claims of dead workers are looked for.
const TAKE_OVER_INTERVAL: Duration = Duration::from_secs(2);

/// How long the claims of silent workers are left alone once the database is back.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the hosted consumers are marked as still hosted.
const REGISTRATION_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A consumer that no worker has hosted for so long is retired.
const RETIREMENT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// At so many renewals of its own in a row a worker has to find that nobody has marked a consumer for that long, before
/// it retires it. Whoever hosts it marks it meanwhile, even where the database's clock has jumped.
const LOOKS: u32 = 3;

/// No subscription may take longer over one event.
pub(crate) const SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(60);

/// How many aggregates of one lane are worked on at a time, unless the worker says otherwise.
pub(crate) const CONCURRENCY: usize = 32;

/// What a drainer is made of.
#[derive(Debug)]
pub(crate) struct DrainerParts {
    pub(crate) runtime: Runtime,
    /// The row of `job_worker` whose lease covers the drainer's claims. It must exist before the first claim.
    pub(crate) worker_id: Uuid,
    /// What the claims hold for.
    pub(crate) lease: Lease,
    pub(crate) hosted: Hosted,
    /// Events of types that it lacks are left to workers that know them; without one every type is known.
    pub(crate) registry: Option<EventRegistry>,
    /// How many aggregates of each lane are worked on at a time.
    pub(crate) lanes: BTreeMap<Lane, usize>,
    /// Where the calls of subscriptions can be looked at.
    pub(crate) calls: Calls,
    /// The lanes whose events it takes from the outbox. What others leave for its consumers it takes in every lane:
    /// they may host none of them.
    pub(crate) drained: BTreeSet<Lane>,
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
    lease: Lease,
    hosted: Hosted,
    known_types: Option<Vec<String>>,
    lanes: BTreeMap<Lane, LaneLimit>,
    drained: BTreeSet<Lane>,
    turns: SuspectTurns,
    calls: Calls,
}

/// What keeps a lane from taking more than its share. An aggregate counts whether its events come fresh from the outbox
/// or are tried again.
#[derive(Debug)]
struct LaneLimit {
    concurrency: usize,
    permits: Arc<Semaphore>,
}

impl Drainer {
    pub(crate) fn new(parts: DrainerParts) -> Self {
        let known_types = parts
            .registry
            .map(|it| it.iter().map(|it| it.event_type.to_owned()).collect());
        let lanes = parts.lanes.into_iter().map(|(lane, concurrency)| {
            let permits = Arc::new(Semaphore::new(concurrency));
            let limit = LaneLimit {
                concurrency,
                permits,
            };
            (lane, limit)
        });
        let shared = Shared {
            runtime: parts.runtime,
            worker_id: parts.worker_id,
            lease: parts.lease,
            hosted: parts.hosted,
            known_types,
            lanes: lanes.collect(),
            drained: parts.drained,
            turns: SuspectTurns::default(),
            calls: parts.calls,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Registers what this process hosts, so that no other drainer passes it over. Before the first claim.
    pub(crate) async fn register(&self) -> Result<(), DbErr> {
        registration::register(self.shared.runtime.db(), &self.shared.hosted.now()).await
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
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a lane of the event drain panicked");
            }
        }
        let db = self.shared.runtime.db();
        if let Err(error) = claim::release_own_claims(db, self.shared.worker_id).await {
            tracing::warn!(%error, "claims could not be handed back; they are taken over when the lease is over");
        }
    }

    /// Goes once through all that can be delivered now. Returns how many events and deliveries were settled.
    pub(crate) async fn drain_once(&self) -> Result<usize, DbErr> {
        let mut settled = 0;
        for source in self.sources() {
            settled += pump::pump(&self.shared, source, Mode::UntilIdle).await?;
        }
        Ok(settled)
    }

    /// Delivers what can be delivered now. Returns how many events and deliveries were settled.
    pub(crate) async fn drain_until_idle(&self) -> Result<usize, DbErr> {
        let db = self.shared.runtime.db();
        claim::release_dead_claims(db, self.shared.worker_id, &[]).await?;
        let mut settled = 0;
        loop {
            let this_round = self.drain_once().await?;
            settled += this_round;
            if this_round == 0 {
                return Ok(settled);
            }
        }
    }

    async fn take_over(
        &self,
        db: &DatabaseConnection,
        neighbours: &mut Neighbours,
        patient_until: Instant,
    ) -> Result<u64, DbErr> {
        // The database is asked all the same: it may be away again.
        let holding = neighbours.holding(db).await?;
        if Instant::now() < patient_until {
            return Ok(0);
        }
        claim::release_dead_claims(db, self.shared.worker_id, &holding).await
    }

    fn sources(&self) -> impl Iterator<Item = Source> {
        let shared = &self.shared;
        let has_consumers = shared.hosted.now().iter().next().is_some();
        shared.lanes.keys().copied().flat_map(move |lane| {
            let is_drained = shared.drained.contains(&lane);
            let events = is_drained.then_some(Source::Events(lane));
            let deliveries = (is_drained || has_consumers).then_some(Source::Deliveries(lane));
            [events, deliveries].into_iter().flatten()
        })
    }

    /// Hosts what was retired no longer, and ends what waits for it.
    async fn retire(&self, db: &DatabaseConnection) -> Result<(), DbErr> {
        let stopped = retired::stop_hosting(db, &self.shared.hosted).await?;
        let skipped = retired::skip_waiting(db, None).await?;
        if stopped > 0 || skipped > 0 {
            tracing::warn!(stopped, skipped, "consumers of events were retired");
        }
        Ok(())
    }

    /// Marks what is hosted here, and then retires what nobody has marked for long.
    async fn renew(&self, db: &DatabaseConnection, unhosted: &mut Unhosted) -> Result<(), DbErr> {
        registration::renew(db, &self.shared.hosted.now()).await?;
        unhosted.look(db).await.map(drop)
    }

    /// What has to go on whatever the handlers do: takes events over from dead workers, and marks and retires what is
    /// hosted. Also where there is no lane to drain.
    pub(crate) async fn keep(&self, db: &DatabaseConnection) {
        let mut take_over = tokio::time::interval(TAKE_OVER_INTERVAL);
        let mut registration = tokio::time::interval(REGISTRATION_INTERVAL);
        // The first tick comes at once, and the worker has just registered. Between two of them every worker that lives
        // has its own, so that they must not come together after a standstill.
        registration.set_missed_tick_behavior(MissedTickBehavior::Delay);
        registration.tick().await;
        let (mut unhosted, mut neighbours) = (Unhosted::default(), Neighbours::default());
        // After an outage the other workers get time to be heard again before they count as dead.
        let mut patient_until = Instant::now();
        let mut outage = Outage::default();
        loop {
            let kept = tokio::select! {
                _ = take_over.tick() => match answered(self.take_over(db, &mut neighbours, patient_until)).await {
                    Ok(released) => {
                        if released > 0 {
                            metrics::events_taken_over(released);
                            tracing::warn!(released, "took over events from dead workers");
                            self.shared.runtime.wake_up().wake_here(News::EVENTS);
                        }
                        answered(self.retire(db)).await
                    }
                    Err(error) => Err(error),
                },
                _ = registration.tick() => answered(self.renew(db, &mut unhosted)).await,
            };
            if let Err(error) = kept {
                patient_until = Instant::now() + PATIENCE;
                outage.failed(&error, "the event drain's upkeep failed");
            } else {
                outage.is_over();
            }
        }
    }
}

impl Shared {
    fn claimant<'a>(&'a self, consumers: &'a Consumers) -> Claimant<'a> {
        Claimant {
            worker_id: self.worker_id,
            known_types: self.known_types.as_deref(),
            consumers,
            turns: &self.turns,
        }
    }

    fn calling<'a>(
        &'a self,
        consumers: &'a Arc<Consumers>,
        term: &'a CancellationToken,
    ) -> Calling<'a> {
        Calling {
            consumers,
            calls: &self.calls,
            term,
        }
    }
}
