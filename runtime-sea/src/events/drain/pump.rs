//! The loop of one lane: claim while there is room, settle what has finished.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Shared;
use super::claim::{
    ClaimedDelivery, ClaimedEvent, Source, claim_deliveries, claim_events, release_unknown_claims,
};
use super::dispatch::{
    DeliveryOutcome, DispatchedDelivery, DispatchedEvent, Failure, Held, dispatch_delivery,
    dispatch_event,
};
use super::settle::{held_consumers, postpone_event, settle_deliveries, settle_events};
use crate::database::{self, retrying};

/// The most that is claimed at a time.
const MAX_BATCH: usize = 256;

/// How many times more than it can work on at a time a lane takes in hand at once.
const AHEAD: usize = 8;

/// How often an event is taken up whose outcome the database refuses to record, before it is given up.
const MAX_REFUSALS: u32 = 5;

/// How often a source is searched for what was claimed without an answer.
const SEARCH: Duration = Duration::from_secs(3);

/// The longest pause between two tries while the database is away.
const MAX_OUTAGE_PAUSE: Duration = Duration::from_secs(5);

/// How long a pump goes on.
#[derive(Debug)]
pub(super) enum Mode {
    /// Until nothing is left that could be done now.
    UntilIdle,
    /// Until `shutdown`, and then until what is in hand is done, or until `abort`.
    Until {
        shutdown: CancellationToken,
        abort: CancellationToken,
    },
}

/// How much a pump takes in hand: not so much more than it can work on that others stand idle.
#[derive(Debug, Clone, Copy)]
struct Room {
    batch: usize,
    capacity: usize,
}

impl Room {
    fn of(concurrency: usize) -> Self {
        let batch = concurrency.saturating_mul(AHEAD).min(MAX_BATCH);
        Self {
            batch,
            capacity: 2 * batch,
        }
    }
}

#[derive(Debug)]
struct Done {
    outcome: Outcome,
    /// Nothing of its aggregate is in hand any more: what waited behind it can be claimed.
    ends_group: bool,
}

#[derive(Debug)]
enum Outcome {
    Event(Box<DispatchedEvent>),
    Delivery(Box<DispatchedDelivery>),
    /// The rest of a group, of which nothing was begun because the lease may be over, or of which a panic has left no
    /// outcome. Whoever takes the lease over has it; if nobody does, it is handed back as a claim that nobody knows of.
    Left {
        token: Uuid,
        count: usize,
    },
}

/// Claims, dispatches and settles. Returns how much was settled.
///
/// Only [`Mode::UntilIdle`] returns the database's errors; a pump that runs on waits until it is back.
pub(super) async fn pump(shared: &Arc<Shared>, source: Source, mode: Mode) -> Result<usize, DbErr> {
    let (shutdown, abort, until_idle) = match mode {
        Mode::UntilIdle => (CancellationToken::new(), CancellationToken::new(), true),
        Mode::Until { shutdown, abort } => (shutdown, abort, false),
    };
    let poll_interval = database::dialect(shared.runtime.db())?.max_poll_interval();
    let mut wake_ups = shared.runtime.wake_up().subscribe();
    let (sender, mut done) = mpsc::unbounded_channel();
    let Some(limit) = shared.lanes.get(&source.lane()) else {
        return Ok(0);
    };
    let Room {
        batch: at_a_time,
        capacity,
    } = Room::of(limit.concurrency);
    let mut groups = JoinSet::new();
    let mut in_hand = 0;
    // How many of each claim, by its token.
    let mut claims: HashMap<Uuid, usize> = HashMap::new();
    let mut searched = Instant::now();
    let mut settled = 0;
    let mut look = true;
    let mut failures = 0;
    loop {
        if !until_idle && !shutdown.is_cancelled() && searched.elapsed() > SEARCH {
            look |= hand_back_unknown(shared, source, &claims).await;
            searched = Instant::now();
        }
        let room = capacity - in_hand;
        if look && room >= at_a_time && !shutdown.is_cancelled() {
            let claim = claim(shared, source, at_a_time as u64, in_hand == 0);
            match database::answered(claim).await {
                Ok(batch) => {
                    failures = 0;
                    look = batch.len() >= at_a_time;
                    in_hand += batch.len();
                    for group in batch.groups {
                        *claims.entry(group.token()).or_default() += group.len();
                        let (shared, sender) = (Arc::clone(shared), sender.clone());
                        let permits = Arc::clone(&limit.permits);
                        groups.spawn(async move {
                            // The semaphore is never closed.
                            let _permit = permits.acquire_owned().await;
                            group.dispatch(&shared, &sender).await;
                        });
                    }
                    if look {
                        continue;
                    }
                }
                Err(error) if until_idle => return Err(error),
                Err(error) => {
                    failures += 1;
                    look = false;
                    log_outage(failures, &error, "events could not be claimed");
                }
            }
        }
        if in_hand == 0 && (shutdown.is_cancelled() || (until_idle && !look)) {
            return Ok(settled);
        }
        let pause = if failures > 0 {
            outage_pause(failures)
        } else {
            poll_interval
        };
        tokio::select! {
            biased;
            () = abort.cancelled() => {
                groups.shutdown().await;
                return Ok(settled);
            }
            Some(first) = done.recv() => {
                let mut batch = vec![first];
                while batch.len() < MAX_BATCH && let Ok(next) = done.try_recv() {
                    batch.push(next);
                }
                let taken: usize = batch.iter().map(|it| it.outcome.len()).sum();
                let ends_group = batch.iter().any(|it| it.ends_group);
                let of_claims: Vec<_> = batch
                    .iter()
                    .map(|it| (it.outcome.token(), it.outcome.len()))
                    .collect();
                settle(shared, batch, &abort).await;
                for (token, ended) in of_claims {
                    if let Some(left) = claims.get_mut(&token) {
                        *left -= ended;
                    }
                }
                claims.retain(|_, left| *left > 0);
                in_hand -= taken;
                settled += taken;
                look |= ends_group;
            }
            Some(ended) = groups.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, ?source, "delivering events panicked; they are handed back");
                }
            }
            () = shutdown.cancelled(), if in_hand == 0 => {}
            Ok(()) = wake_ups.changed(), if !look => look = true,
            () = tokio::time::sleep(pause), if !look => look = true,
        }
    }
}

impl Outcome {
    fn token(&self) -> Uuid {
        match self {
            Self::Event(it) => it.event.token,
            Self::Delivery(it) => it.delivery.token,
            Self::Left { token, .. } => *token,
        }
    }

    /// How much of the claim it is.
    fn len(&self) -> usize {
        match self {
            Self::Event(_) | Self::Delivery(_) => 1,
            Self::Left { count, .. } => *count,
        }
    }
}

// Between two claims of the source, so that none is under way. Returns whether there is something to claim again.
async fn hand_back_unknown(shared: &Shared, source: Source, claims: &HashMap<Uuid, usize>) -> bool {
    let known: Vec<_> = claims.keys().copied().collect();
    let db = shared.runtime.db();
    match release_unknown_claims(db, shared.worker_id, source, &known).await {
        Ok(0) => false,
        Ok(events) => {
            tracing::warn!(events, ?source, "claims without an answer were handed back");
            true
        }
        Err(error) => {
            tracing::debug!(?source, %error, "claims without an answer are looked for later");
            false
        }
    }
}

struct Batch {
    groups: Vec<Group>,
}

impl Batch {
    fn len(&self) -> usize {
        self.groups.iter().map(Group::len).sum()
    }
}

/// What has to be done one after the other.
enum Group {
    Events {
        events: Vec<ClaimedEvent>,
        held: Held,
    },
    Deliveries(Vec<ClaimedDelivery>),
}

impl Group {
    fn len(&self) -> usize {
        match self {
            Self::Events { events, .. } => events.len(),
            Self::Deliveries(deliveries) => deliveries.len(),
        }
    }

    /// That of the claim; a group is never empty.
    fn token(&self) -> Uuid {
        match self {
            Self::Events { events, .. } => events.first().map(|it| it.token),
            Self::Deliveries(deliveries) => deliveries.first().map(|it| it.token),
        }
        .unwrap_or_default()
    }

    async fn dispatch(self, shared: &Shared, done: &mpsc::UnboundedSender<Done>) {
        let mut rest = Rest {
            token: self.token(),
            count: self.len(),
            done,
        };
        match self {
            Self::Events { events, mut held } => {
                for event in events {
                    if !shared.lease.holds() {
                        return;
                    }
                    let dispatched = dispatch_event(shared.hosted.now(), event, &mut held).await;
                    rest.take(Outcome::Event(Box::new(dispatched)));
                }
            }
            Self::Deliveries(deliveries) => {
                let mut blocked = false;
                for delivery in deliveries {
                    if !shared.lease.holds() {
                        return;
                    }
                    let outcome = if blocked {
                        DeliveryOutcome::Behind
                    } else {
                        dispatch_delivery(&shared.hosted.now(), &delivery).await
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

async fn claim(
    shared: &Shared,
    source: Source,
    limit: u64,
    has_nothing_in_hand: bool,
) -> Result<Batch, DbErr> {
    let db = shared.runtime.db();
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
    Ok(Batch { groups })
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

/// Records a batch. While the database is away the outcomes are kept, because the handlers have done their work; where
/// it refuses a batch, each outcome is tried alone, so that one cannot stand in the way of the others.
async fn settle(shared: &Shared, batch: Vec<Done>, abort: &CancellationToken) {
    let mut events = Vec::new();
    let mut deliveries = Vec::new();
    for it in batch {
        match it.outcome {
            Outcome::Event(event) => events.push(*event),
            Outcome::Delivery(delivery) => deliveries.push(*delivery),
            Outcome::Left { .. } => {}
        }
    }
    let mut started = 0;
    if !events.is_empty() {
        match persist(shared, Write::Events(&events), abort).await {
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
    }
    if !deliveries.is_empty() {
        match persist(shared, Write::Deliveries(&deliveries), abort).await {
            Ok(runs) => started += runs,
            Err(_) if abort.is_cancelled() => {}
            Err(_) => {
                for delivery in deliveries.chunks(1) {
                    match persist(shared, Write::Deliveries(delivery), abort).await {
                        Ok(runs) => started += runs,
                        Err(error) => refuse_delivery(shared, delivery, &error, abort).await,
                    }
                }
            }
        }
    }
    if started > 0 {
        shared.runtime.wake_up().announce();
    }
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
                } => postpone_event(db, event, error, pause).await.map(|()| 0),
            }
        };
        match database::answered(writing).await {
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

fn outage_pause(failures: u32) -> Duration {
    let pause = Duration::from_millis(20).saturating_mul(1_u32 << failures.min(8));
    let spread = rand::random_range(0.75..=1.25);
    pause.min(MAX_OUTAGE_PAUSE).mul_f64(spread)
}

// One line per doubling: an outage of an hour must not fill a disk.
fn log_outage(failures: u32, error: &DbErr, what: &str) {
    if failures.is_power_of_two() {
        tracing::warn!(%error, failures, "{what}; trying again");
    }
}
