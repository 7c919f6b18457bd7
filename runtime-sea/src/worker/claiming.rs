//! The loop that takes a pool's runs and executes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::database::{Dialect, News, Outage, answered, dialect};
use crate::jobs::Registration;
use crate::jobs::claim::{Claimed, ClaimedRun, claim, hand_back_unknown};
use crate::jobs::complete::{Ending, EndingKind};
use crate::jobs::hosted::Hosted;
use crate::metrics;

use super::executor::Executor;
use super::pulse::Pulse;

/// The first pause of an idle pool; each further one is twice as long, up to what the database suggests.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// How long a stopping worker waits for the answer to a claim.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// How often a pool is searched for runs whose claim's answer was lost.
const SEARCH: Duration = Duration::from_secs(3);

/// After how many refusals in a row the database will refuse a claim the next time too.
const FOR_GOOD: u32 = 3;

/// One pool of a worker.
pub(super) struct Lane {
    pub(super) pool: String,
    pub(super) jobs: BTreeMap<String, Registration>,
    pub(super) concurrency: usize,
    pub(super) executor: Executor,
    pub(super) pulse: Arc<Pulse>,
    pub(super) tasks: TaskTracker,
}

impl Lane {
    /// Claims and executes until `stop` is cancelled. What runs then goes on in `tasks`.
    pub(super) async fn work(self, stop: CancellationToken) {
        let db = self.executor.runtime.db();
        let hosted: Hosted = self.jobs.values().collect();
        let slots = Arc::new(Semaphore::new(self.concurrency));
        let longest = dialect(db).map_or(Duration::from_secs(1), Dialect::max_poll_interval);
        let mut wake_up = self.executor.runtime.wake_up().subscribe(News::RUNS);
        let mut written = self.pulse.written.subscribe();
        let mut pause = FIRST_PAUSE;
        let mut searched = Instant::now();
        let mut outage = Outage::default();
        loop {
            if searched.elapsed() > SEARCH {
                stop.run_until_cancelled(self.hand_back_unknown()).await;
                searched = Instant::now();
            }
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                slot = slots.clone().acquire_owned() => slot,
                () = sleep(SEARCH) => continue,
            };
            // The semaphore is never closed.
            let Ok(mut taken) = first else { return };
            let free = slots.available_permits();
            if let Ok(more) = slots
                .clone()
                .try_acquire_many_owned(u32::try_from(free).unwrap_or(u32::MAX))
            {
                taken.merge(more);
            }
            let limit = taken.num_permits();
            wake_up.mark_unchanged();
            written.mark_unchanged();
            let claimed = if self.pulse.is_alive() {
                let claim = claim(db, self.pulse.worker_id, &self.pool, &hosted, limit);
                // A claim without an answer must not hold up a shutdown; what it took, if anything, is taken over.
                let no_answer = async {
                    stop.cancelled().await;
                    sleep(LAST_ANSWER).await;
                };
                tokio::select! {
                    biased;
                    claimed = answered(claim) => claimed,
                    () = no_answer => return,
                }
            } else {
                Ok(Claimed::default())
            };
            let mut is_limited = false;
            let full = match claimed {
                Ok(Claimed { runs, limited }) => {
                    if outage.failures() > 0 {
                        outage.is_over();
                        *self.pulse.unclaimable() = None;
                    }
                    is_limited = limited;
                    let full = runs.len() == limit;
                    if !runs.is_empty() {
                        pause = FIRST_PAUSE;
                    }
                    for run in runs {
                        metrics::claimed(&run.job_type, &self.pool, run.waited);
                        let slot = taken.split(1);
                        self.begin(run, slot, &stop).await;
                    }
                    full
                }
                Err(error) => {
                    outage.failed(&error, "no runs could be claimed");
                    let is_transient = dialect(db).is_ok_and(|it| it.is_transient(&error));
                    if !is_transient && outage.failures() >= FOR_GOOD {
                        *self.pulse.unclaimable() = Some(error);
                    }
                    pause = longest;
                    false
                }
            };
            drop(taken);
            if full {
                continue;
            }
            let jittered = pause.mul_f64(rand::random_range(0.8..1.2));
            tokio::select! {
                () = stop.cancelled() => return,
                // The end of a run makes room in a limited pool. The sender lives in the pulse.
                _ = written.changed(), if is_limited => pause = FIRST_PAUSE,
                woken = timeout(jittered, wake_up.changed()) => {
                    pause = if woken.is_ok() { FIRST_PAUSE } else { (pause * 2).min(longest) };
                }
            }
        }
    }

    // Between two claims, so that none is under way.
    async fn hand_back_unknown(&self) {
        let found = hand_back_unknown(
            self.executor.runtime.db(),
            self.pulse.worker_id,
            &self.pool,
            |id, fence| self.pulse.running.contains(id, fence),
        );
        match answered(found).await {
            Ok(0) => {}
            Ok(runs) => {
                tracing::warn!(
                    pool = self.pool,
                    runs,
                    "claims without an answer were handed back"
                );
                self.executor.runtime.wake_up().wake_here(News::RUNS);
            }
            Err(error) => {
                tracing::debug!(pool = self.pool, %error, "claims without an answer are looked for later");
            }
        }
    }

    async fn begin(
        &self,
        run: ClaimedRun,
        slot: Option<tokio::sync::OwnedSemaphorePermit>,
        stop: &CancellationToken,
    ) {
        // What was claimed while the worker was told to stop goes back untouched.
        let job = self
            .jobs
            .get(&run.job_type)
            .filter(|_| !stop.is_cancelled());
        let Some(job) = job.cloned() else {
            let ending = Ending {
                claim: run.claim,
                kind: EndingKind::HandedBack,
            };
            if self.executor.endings.send(ending).await.is_err() {
                tracing::debug!("a claim outlived its worker; the run will be taken over");
            }
            return;
        };
        let executor = self.executor.clone();
        let stop = executor.register(&run);
        self.tasks.spawn(async move {
            executor.execute(job, run, stop).await;
            drop(slot);
        });
    }
}
