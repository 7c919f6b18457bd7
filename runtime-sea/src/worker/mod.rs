//! The worker: executes runs, delivers events, keeps the promises about time.

mod blocked;
mod builder;
mod claiming;
mod endings;
mod executor;
mod idle;
mod maintenance;
mod neighbours;
pub(crate) mod panics;
mod pulse;
mod running;
mod sampling;
mod schedules;
mod subscriptions;
mod thread;
mod transactions;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::DbErr;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use builder::{BuildError, WorkerBuilder};

use crate::Runtime;
use crate::events::EventRegistry;
use crate::events::drain::{self, Drainer, DrainerParts, Hosted};
use crate::jobs::{self, Registration};
use crate::metrics::{self, Sampler};
use crate::schedule::{self, Scheduled, Timetable};

pub(crate) use blocked::Polling;
use claiming::Lane;
use executor::Executor;
pub(crate) use neighbours::Neighbours;
pub(crate) use pulse::Lease;
use pulse::{Life, Pulse};
use running::StopReason;
pub use subscriptions::Subscriptions;

/// How many endings may wait to be written before executors wait for the database.
const UNWRITTEN: usize = 1024;

/// How long handlers have to return once the grace is over, before they are dropped.
const LAST_MOMENT: Duration = Duration::from_secs(3);

/// A worker, ready to run. Made by [`Runtime::worker`].
pub struct Worker {
    runtime: Runtime,
    settings: builder::Settings,
    jobs: BTreeMap<String, Registration>,
    hosted: Hosted,
    registry: Option<EventRegistry>,
    schedules: Arc<[Scheduled]>,
}

/// Why a worker stopped other than by being asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The database refused the worker's registration.
    #[error("the worker could not register itself: {0}")]
    Register(#[source] DbErr),
    /// The worker's own thread could not be started.
    #[error("the worker's thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    /// The worker's own thread died.
    #[error("the worker's thread stopped unexpectedly; its runs will be taken over")]
    ThreadDied,
    /// The database failed while a drain was waited for.
    #[error("the database failed while the worker drained: {0}")]
    Database(#[from] DbErr),
}

/// Who drives the event drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drain {
    Hosted,
    ByCaller,
    /// And no run is executed.
    EventsByCaller,
}

impl Worker {
    /// A worker in the making; the same as [`Runtime::worker`].
    pub fn builder(runtime: &Runtime) -> WorkerBuilder {
        runtime.worker()
    }

    /// What this worker delivers events to, which may be taken from it while it runs.
    #[must_use]
    pub fn subscriptions(&self) -> Subscriptions {
        Subscriptions::new(self.hosted.clone())
    }

    /// Works until `shutdown` is cancelled, then finishes what it can within the grace period and hands back the rest.
    /// A database that goes away is waited for.
    ///
    /// # Errors
    /// [`WorkerError::Register`] if the worker cannot even register, [`WorkerError::ThreadDied`] if its own thread ends.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        if shutdown.is_cancelled() {
            return Ok(());
        }
        self.host(Drain::Hosted, |_, _, _| async move {
            shutdown.cancelled().await;
            Ok(())
        })
        .await
    }

    /// Works until nothing is left that could be done now, then returns. For tests. What is scheduled for later, waits
    /// between attempts included, is left.
    ///
    /// # Errors
    /// As [`run`](Self::run), and what the database answers while it is asked for what is left.
    pub async fn drain_until_idle(&self) -> Result<(), WorkerError> {
        self.host(Drain::ByCaller, |pulse, drainer, timetable| async move {
            idle::wait(self, &pulse, &drainer, &timetable).await
        })
        .await
    }

    /// Delivers the events that can be delivered now, once, and executes no run. For tests. Returns how many events, and
    /// deliveries that had been put off, have got an outcome.
    ///
    /// # Errors
    /// As [`drain_until_idle`](Self::drain_until_idle).
    pub async fn drain_once(&self) -> Result<usize, WorkerError> {
        let settled = AtomicUsize::new(0);
        let count = &settled;
        self.host(Drain::EventsByCaller, |_, drainer, _| async move {
            count.store(drainer.drain_once().await?, Ordering::Relaxed);
            Ok(())
        })
        .await?;
        Ok(settled.load(Ordering::Relaxed))
    }

    /// Works until `until` is over.
    async fn host<F, Fut>(&self, drain: Drain, until: F) -> Result<(), WorkerError>
    where
        F: FnOnce(Arc<Pulse>, Drainer, Arc<Timetable>) -> Fut,
        Fut: Future<Output = Result<(), WorkerError>>,
    {
        metrics::describe();
        let db = self.runtime.db();
        let pulse = Arc::new(Pulse::new(Uuid::now_v7()));
        pulse::register(db, pulse.worker_id, &self.settings)
            .await
            .map_err(WorkerError::Register)?;
        jobs::register_types(db, self.jobs.values())
            .await
            .map_err(WorkerError::Register)?;
        let (endings, unwritten) = mpsc::channel(UNWRITTEN);
        let end = CancellationToken::new();
        let drainer = self.drainer(&pulse);
        drainer.register().await.map_err(WorkerError::Register)?;
        schedule::register(&self.runtime, &self.schedules)
            .await
            .map_err(WorkerError::Register)?;
        let timetable = Arc::new(Timetable::new(self.runtime.clone(), self.schedules.clone()));
        let mut thread = thread::start(Life {
            runtime: self.runtime.clone(),
            settings: self.settings.clone(),
            jobs: self.executed().cloned().collect(),
            sampler: self.sampler(),
            timetable: timetable.clone(),
            drainer: (drain == Drain::Hosted).then(|| drainer.clone()),
            pulse: pulse.clone(),
            endings: unwritten,
            end: end.clone(),
        })?;

        let stop = CancellationToken::new();
        let abort = CancellationToken::new();
        // A caller that drops this future must not leave loops behind that go on claiming.
        let _stop_on_drop = stop.clone().drop_guard();
        let loops = TaskTracker::new();
        let tasks = TaskTracker::new();
        if drain != Drain::EventsByCaller {
            for lane in self.lanes(&pulse, &endings, &tasks) {
                loops.spawn(lane.work(stop.clone()));
            }
        }
        if drain == Drain::Hosted {
            let (drainer, stop, abort) = (drainer.clone(), stop.clone(), abort.clone());
            tasks.spawn(async move { drainer.run(stop, abort).await });
        }
        loops.close();
        let result = tokio::select! {
            result = until(pulse.clone(), drainer, timetable) => result,
            died = &mut thread => {
                // Nobody renews the lease any more: others will have the runs and the events soon.
                abort.cancel();
                pulse.stop_all();
                return died.unwrap_or(Err(WorkerError::ThreadDied)).and(Err(WorkerError::ThreadDied));
            }
        };

        stop.cancel();
        loops.wait().await;
        tasks.close();
        if timeout(self.settings.shutdown_grace, tasks.wait())
            .await
            .is_err()
        {
            abort.cancel();
            pulse.running.stop_all(StopReason::Shutdown);
            if timeout(LAST_MOMENT, tasks.wait()).await.is_err() {
                tracing::error!("handlers block their threads; their runs will be taken over");
            }
        }
        end.cancel();
        // The thread writes endings for as long as there may be some; a worker may have no lane that could send any.
        drop(endings);
        match timeout(LAST_MOMENT * 4, thread).await {
            Ok(Ok(ended)) => ended.and(result),
            Ok(Err(_)) => Err(WorkerError::ThreadDied),
            Err(_) => {
                tracing::error!("the worker's thread did not end in time");
                result
            }
        }
    }

    fn drainer(&self, pulse: &Pulse) -> Drainer {
        let settings = &self.settings;
        let lanes = drain::Lane::ALL.into_iter().map(|lane| {
            let concurrency = settings.pool_concurrency.get(lane.name()).copied();
            (lane, concurrency.unwrap_or(drain::CONCURRENCY))
        });
        let drained = drain::Lane::ALL
            .into_iter()
            .filter(|lane| settings.drains(*lane));
        Drainer::new(DrainerParts {
            runtime: self.runtime.clone(),
            worker_id: pulse.worker_id,
            lease: pulse.lease(settings.lease),
            hosted: self.hosted.clone(),
            registry: self.registry.clone(),
            lanes: lanes.collect(),
            calls: pulse.calls.clone(),
            drained: drained.collect(),
        })
    }

    fn sampler(&self) -> Sampler {
        let job_pools: BTreeSet<&str> = self
            .jobs
            .values()
            .map(|job| job.pool.as_str())
            .filter(|pool| self.hosts_pool(pool))
            .collect();
        let lanes = drain::Lane::ALL.into_iter();
        Sampler {
            job_pools: job_pools.into_iter().map(str::to_owned).collect(),
            lanes: lanes.filter(|it| self.settings.drains(*it)).collect(),
        }
    }

    fn lanes(
        &self,
        pulse: &Arc<Pulse>,
        endings: &mpsc::Sender<jobs::complete::Ending>,
        tasks: &TaskTracker,
    ) -> Vec<Lane> {
        let mut pools: BTreeMap<&str, BTreeMap<String, Registration>> = BTreeMap::new();
        for (job_type, job) in &self.jobs {
            if self.hosts_pool(&job.pool) {
                pools
                    .entry(&job.pool)
                    .or_default()
                    .insert(job_type.clone(), job.clone());
            }
        }
        let executor = Executor {
            runtime: self.runtime.clone(),
            running: pulse.running.clone(),
            endings: endings.clone(),
            lease: pulse.lease(self.settings.lease),
        };
        pools
            .into_iter()
            .map(|(pool, jobs)| Lane {
                pool: pool.to_owned(),
                jobs,
                concurrency: self
                    .settings
                    .pool_concurrency
                    .get(pool)
                    .copied()
                    .unwrap_or(self.settings.concurrency),
                executor: executor.clone(),
                pulse: pulse.clone(),
                tasks: tasks.clone(),
            })
            .collect()
    }

    /// The jobs that the worker executes.
    fn executed(&self) -> impl Iterator<Item = &Registration> {
        self.jobs.values().filter(|job| self.hosts_pool(&job.pool))
    }

    fn hosts_pool(&self, pool: &str) -> bool {
        self.settings
            .pools
            .as_ref()
            .is_none_or(|pools| pools.contains(pool))
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("settings", &self.settings)
            .field("jobs", &self.jobs.keys())
            .finish_non_exhaustive()
    }
}
