//! What a worker is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::bridge;
use crate::events::drain::{Consumers, Hosted, Lane, SUBSCRIPTION_TIMEOUT};
use crate::events::{
    Event, EventEnvelope, EventPool, EventRecord, EventRegistry, EventRetry, Subscription,
    SubscriptionError,
};
use crate::jobs::{JobHandler, Registration, Trigger};
use crate::{Retention, Runtime};

use crate::schedule::{Schedule, Scheduled, Slot};

use super::Worker;

/// Why a worker could not be built. Every mistake is a mistake in the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A job asks for a lane of the event drain.
    #[error(
        "the job `{job_type}` uses the pool `{pool}`: pools that begin with `events_` belong to the event drain; to run a job when an event is published, give its policy a trigger with `.on::<Event>(..)`"
    )]
    ReservedPool {
        /// The job's type.
        job_type: String,
        /// The pool.
        pool: String,
    },
    /// Two jobs have one type.
    #[error("the job type `{job_type}` is registered twice")]
    DuplicateJob {
        /// The type.
        job_type: String,
    },
    /// Two subscriptions have one name.
    #[error(
        "the subscription `{name}` is registered twice; names are what deliveries are remembered by"
    )]
    DuplicateSubscription {
        /// The name.
        name: String,
    },
    /// Two triggers have one id.
    #[error("the trigger `{id}` is declared twice; name the second one with `.on_named(..)`")]
    DuplicateTrigger {
        /// The id.
        id: String,
    },
    /// A trigger has the id under which the runs are recorded that publishers ask for.
    #[error(
        "the trigger `{id}` has the name that `publish_and_start` is recorded by; give it another one with `.on_named(..)`"
    )]
    ReservedTrigger {
        /// The id.
        id: String,
    },
    /// A job is triggered by an audit event.
    #[error(
        "the job `{job_type}` is triggered by the audit event `{event_type}`: audit events start no jobs; make it a domain event or remove the trigger"
    )]
    AuditTrigger {
        /// The job's type.
        job_type: String,
        /// The event's type.
        event_type: String,
    },
    /// A name is empty.
    #[error("a {what} has an empty name")]
    EmptyName {
        /// What has no name.
        what: &'static str,
    },
    /// Jobs are registered on a worker that runs without the job tables.
    #[error("the job `{job_type}` is registered on a worker for events only")]
    JobOnEventsOnly {
        /// The job's type.
        job_type: String,
    },
    /// A schedule cannot be kept.
    #[error("the schedule `{name}`: {reason}")]
    Schedule {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
}

/// The settings of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) concurrency: usize,
    pub(crate) pool_concurrency: BTreeMap<String, usize>,
    pub(crate) pools: Option<BTreeSet<String>>,
    pub(crate) shutdown_grace: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) lease: Duration,
    pub(crate) max_recoveries: i32,
    pub(crate) events_only: bool,
    pub(crate) retention: Retention,
    pub(crate) sample_every: Option<Duration>,
    pub(crate) long_transaction: Duration,
}

impl Settings {
    /// Whether the worker takes the events of a lane from the outbox. Audit events go with the events of any.
    pub(crate) fn drains(&self, lane: Lane) -> bool {
        let Some(pools) = &self.pools else {
            return true;
        };
        let names = |lane: Lane| pools.contains(lane.name());
        names(lane) || (lane == Lane::Audit && Lane::ALL.into_iter().any(names))
    }
}

/// Collects what a worker hosts.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tokio_util::sync::CancellationToken;
///
/// let runtime = runtime_sea::Runtime::new(runtime_sea::connect("sqlite://app.db?mode=rwc").await?);
/// let worker = runtime.worker().concurrency(8).build()?;
/// worker.run(CancellationToken::new()).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct WorkerBuilder {
    runtime: Runtime,
    settings: Settings,
    jobs: Vec<Registration>,
    subscriptions: Vec<Subscription>,
    registry: Option<EventRegistry>,
    schedules: Vec<Scheduled>,
}

impl WorkerBuilder {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            settings: Settings {
                name: format!("worker-{}", std::process::id()),
                concurrency: 32,
                pool_concurrency: BTreeMap::new(),
                pools: None,
                shutdown_grace: Duration::from_secs(25),
                heartbeat: Duration::from_millis(1500),
                lease: Duration::from_secs(7),
                max_recoveries: 3,
                events_only: false,
                retention: Retention::new(),
                sample_every: Some(Duration::from_secs(15)),
                long_transaction: Duration::from_secs(10 * 60),
            },
            jobs: Vec::new(),
            subscriptions: Vec::new(),
            registry: None,
            schedules: Vec::new(),
        }
    }

    /// Hosts a job: executes its runs, and starts runs for its policy's triggers.
    pub fn job<J: JobHandler>(mut self, handler: J) -> Self {
        self.jobs.push(Registration::new(handler));
        self
    }

    /// Hosts a subscription: every event of type `E` reaches `handler` at least once, whichever worker publishes it.
    /// Deliveries are remembered under `name`: keep it stable, and the same in every process that hosts it.
    pub fn subscribe<E, H, F>(mut self, name: impl Into<String>, handler: H) -> Self
    where
        E: Event,
        H: Fn(EventEnvelope<E>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        self.subscriptions
            .push(Subscription::new(name.into(), handler));
        self
    }

    /// Hosts a subscription to events of every type, audit events and types that this program does not know included. A
    /// failed delivery is tried again up to five times; [`subscribe_all_with`](Self::subscribe_all_with) says otherwise.
    pub fn subscribe_all<H, F>(self, name: impl Into<String>, handler: H) -> Self
    where
        H: Fn(EventRecord) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        self.subscribe_all_with(name, EventRetry::exponential(5), handler)
    }

    /// As [`subscribe_all`](Self::subscribe_all), with another retry policy.
    pub fn subscribe_all_with<H, F>(
        mut self,
        name: impl Into<String>,
        retry: EventRetry,
        handler: H,
    ) -> Self
    where
        H: Fn(EventRecord) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        self.subscriptions
            .push(Subscription::to_every_type(name, retry, handler));
        self
    }

    /// Every slot of the schedule publishes an event, the one that `event` makes of it; as
    /// [`EventRegistry::schedule`], for a worker that has no registry.
    pub fn schedule_event<E: Event>(
        mut self,
        schedule: Schedule,
        event: impl Fn(Slot) -> E + Send + Sync + 'static,
    ) -> Self {
        self.schedules.push(Scheduled::event(schedule, event));
        self
    }

    /// The event types that this program knows. Events of other types are left to workers that know them.
    pub fn registry(mut self, registry: EventRegistry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Only these pools: those of hosted jobs, and the lanes `events_inbound`, `events_change`, `events_outbound` and
    /// `events_audit`; the last one goes with any of the others. All pools of the hosted jobs and all lanes unless set.
    ///
    /// Events of a lane that no worker names wait. What the worker that takes an event hosts no subscription or trigger
    /// for, it leaves to those that do, and these take it in every lane, whatever is said here.
    pub fn pools<P: Into<String>>(mut self, pools: impl IntoIterator<Item = P>) -> Self {
        self.settings.pools = Some(pools.into_iter().map(Into::into).collect());
        self
    }

    /// How many runs each pool executes at a time on this worker; 32 unless set.
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.settings.concurrency = runs;
        self
    }

    /// How many runs of one pool are executed at a time on this worker, whatever [`concurrency`](Self::concurrency) says;
    /// or of how many aggregates events of one lane are delivered at a time, 32 unless set.
    pub fn pool(mut self, pool: impl Into<String>, runs: usize) -> Self {
        self.settings.pool_concurrency.insert(pool.into(), runs);
        self
    }

    /// How long a shutdown waits for handlers to finish before it tells them to stop; 25 s unless set.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.settings.shutdown_grace = grace;
        self
    }

    /// A name for people; need not be unique.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// After how long without a heartbeat the other workers take over what this one holds; 7 s unless set. It beats
    /// about five times in this time.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self.settings.heartbeat = lease / 5;
        self
    }

    /// How often a run may be taken over from a dead worker before it counts as what kills them, and fails; 3 unless
    /// set.
    pub fn max_recoveries(mut self, recoveries: u32) -> Self {
        self.settings.max_recoveries = i32::try_from(recoveries).unwrap_or(i32::MAX);
        self
    }

    /// How often the queues are looked at for the gauges of [`metrics`](crate::metrics), with a short query per pool;
    /// every 15 s unless set, never with `None`.
    pub fn sample_queues(mut self, every: Option<Duration>) -> Self {
        self.settings.sample_every = every;
        self
    }

    /// After how long the log warns of a transaction that stays open, whosever it is, where that keeps the database from
    /// clearing away dead rows: on PostgreSQL. Ten minutes unless set.
    pub fn long_transaction(mut self, age: Duration) -> Self {
        self.settings.long_transaction = age;
        self
    }

    /// How long runs and events are kept that are over; see [`Retention::new`] for what holds unless set. Workers on one
    /// database should agree: the shortest time counts.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.settings.retention = retention;
        self
    }

    /// A worker for events alone, where the job tables are not installed.
    pub fn events_only(mut self) -> Self {
        self.settings.events_only = true;
        self
    }

    /// The worker.
    ///
    /// # Errors
    /// A [`BuildError`] for the first thing that is wrong with what was registered.
    pub fn build(self) -> Result<Worker, BuildError> {
        check_settings(&self.settings)?;
        let mut schedules = self.schedules;
        schedules.extend(
            self.registry
                .iter()
                .flat_map(|registry| registry.schedules().iter().cloned()),
        );
        let mut jobs = BTreeMap::new();
        let mut triggers: BTreeMap<String, Trigger> = BTreeMap::new();
        for mut job in self.jobs {
            let job_type = job.job_type.to_owned();
            if job_type.is_empty() {
                return Err(BuildError::EmptyName { what: "job" });
            }
            if self.settings.events_only {
                return Err(BuildError::JobOnEventsOnly { job_type });
            }
            if let Some(pool) = job.reserved_pool() {
                return Err(BuildError::ReservedPool {
                    pool: pool.to_owned(),
                    job_type,
                });
            }
            schedules.append(&mut job.schedules);
            for trigger in job.triggers.drain(..) {
                if trigger.is_audit {
                    let event_type = trigger.event_type.to_owned();
                    return Err(BuildError::AuditTrigger {
                        job_type,
                        event_type,
                    });
                }
                if trigger.id == bridge::direct_id(&job_type) {
                    return Err(BuildError::ReservedTrigger { id: trigger.id });
                }
                if let Some(twice) = triggers.insert(trigger.id.clone(), trigger) {
                    return Err(BuildError::DuplicateTrigger { id: twice.id });
                }
            }
            if jobs.insert(job_type.clone(), job).is_some() {
                return Err(BuildError::DuplicateJob { job_type });
            }
        }
        check_schedules(&schedules)?;
        check_pools(&self.settings, &jobs)?;
        let mut names = BTreeSet::new();
        for subscription in &self.subscriptions {
            if subscription.name.is_empty() {
                return Err(BuildError::EmptyName {
                    what: "subscription",
                });
            }
            if !names.insert(&subscription.name) {
                return Err(BuildError::DuplicateSubscription {
                    name: subscription.name.clone(),
                });
            }
        }
        let hosted = Hosted::new(Consumers {
            subscriptions: self.subscriptions,
            triggers: triggers.into_values().collect(),
            subscription_timeout: SUBSCRIPTION_TIMEOUT,
            traces: self.runtime.traces().clone(),
            clock: self.runtime.clock().clone(),
        });
        Ok(Worker {
            runtime: self.runtime,
            settings: self.settings,
            jobs,
            hosted,
            schedules: schedules.into(),
            registry: self.registry,
        })
    }
}

fn check_schedules(schedules: &[Scheduled]) -> Result<(), BuildError> {
    let mut names = BTreeSet::new();
    for scheduled in schedules {
        let checked = scheduled.check().and_then(|()| {
            if names.insert(&scheduled.name) {
                Ok(())
            } else {
                Err("it is declared twice; give the second one a `.name(..)`".to_owned())
            }
        });
        checked.map_err(|reason| BuildError::Schedule {
            name: scheduled.name.clone(),
            reason,
        })?;
    }
    Ok(())
}

/// A worker that is to work for a pool which none of its jobs is in would wait for ever.
fn check_pools(
    settings: &Settings,
    jobs: &BTreeMap<String, Registration>,
) -> Result<(), BuildError> {
    let hosted: BTreeSet<&str> = jobs.values().map(|job| job.pool.as_str()).collect();
    let is_known = |pool: &str| hosted.contains(pool) || Lane::from_name(pool).is_some();
    match settings.pools.iter().flatten().find(|it| !is_known(it)) {
        None => Ok(()),
        Some(pool) => {
            let lanes = Lane::ALL.map(Lane::name);
            let names: Vec<_> = hosted.into_iter().chain(lanes).collect();
            Err(BuildError::Setting(format!(
                "no job of this worker is in the pool `{pool}`; it can work for {}",
                names.join(", ")
            )))
        }
    }
}

fn check_settings(settings: &Settings) -> Result<(), BuildError> {
    if settings.concurrency == 0 || settings.pool_concurrency.values().any(|runs| *runs == 0) {
        return Err(BuildError::Setting(
            "a worker's concurrency must be at least 1".to_owned(),
        ));
    }
    let pools = settings.pools.iter().flatten();
    for pool in pools.chain(settings.pool_concurrency.keys()) {
        if pool.starts_with(EventPool::RESERVED_PREFIX) && Lane::from_name(pool).is_none() {
            return Err(BuildError::Setting(format!(
                "there is no lane `{pool}`; the lanes of events are {}",
                Lane::ALL.map(Lane::name).join(", ")
            )));
        }
    }
    if settings.lease < Duration::from_millis(500) {
        return Err(BuildError::Setting(
            "a worker's lease must be at least half a second, or live workers lose their runs"
                .to_owned(),
        ));
    }
    Ok(())
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_worker_is_noticed_within_ten_seconds_by_default() {
        let runtime = Runtime::new(crate::connect("sqlite::memory:").await.unwrap());
        let settings = runtime.worker().settings;
        // Every worker looks at least so often.
        let next_look = super::super::maintenance::longest_pause_between_looks(&settings);
        assert!(settings.lease + next_look < Duration::from_secs(9));
        // And a live one is late only after several heartbeats in a row were lost.
        assert!(settings.heartbeat * 4 < settings.lease);
    }
}
