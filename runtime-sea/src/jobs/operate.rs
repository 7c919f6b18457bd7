//! What operators do to runs and pools.

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use crate::database::News;
use crate::retention::{self, Pruned, Retention};

use crate::schedule::{self, ScheduleRecord};

use super::entities::job_run;
use super::pool::is_reserved;
use super::{
    Cancelled, JobTypeRecord, Jobs, PoolRecord, Replay, Replayed, Rescheduled, RunFilter, RunId,
    RunRecord, RunStatus, ScopeCancelled, Stats, cancel, pools, replay, scope, stats, types,
};

/// Why a lane is not limited.
pub(crate) fn no_limit(lane: &str) -> String {
    format!(
        "`{lane}` is no pool of runs: a lane of the event drain has no limit over all workers; how many aggregates each \
         worker delivers at a time is set by `Runtime::worker().pool(..)`"
    )
}

impl Jobs {
    /// Cancels a run: one that waits is over at once, one that runs is told to stop; so is everything below it, as each
    /// child's [`ParentClose`](super::ParentClose) says. Cancelling twice is harmless.
    ///
    /// A handler that completes before it has stopped has completed; its children are cancelled all the same.
    ///
    /// # Errors
    /// The database's own.
    pub async fn cancel(&self, id: RunId) -> Result<Cancelled, DbErr> {
        if !self.sees(id).await? {
            return Ok(Cancelled::NotFound);
        }
        let cancelled = cancel::cancel(self.runtime.db(), id).await?;
        self.runtime.wake_up().announce(News::RUNS);
        Ok(cancelled)
    }

    /// Puts a run that is over back in line: the same run, with its id, input and history of errors. Its attempts, its
    /// time limit and the count of dead workers begin anew. It goes through its concurrency key like a new start, and is
    /// refused while its deduplication window is open for another run.
    ///
    /// Children are runs of their own: the handler finds those again that it spawned before, whatever became of them.
    /// Only those that the end of the run has cancelled are put back with it, keeping their steps; one that is still
    /// stopping goes on with the same attempt, under its worker or the next one. The idempotency keys
    /// of the steps stay the same, so that other systems recognise what they have done before.
    ///
    /// # Errors
    /// The database's own.
    pub async fn replay(&self, id: RunId, replay: Replay) -> Result<Replayed, DbErr> {
        self.replay_if(id, replay, RunStatus::is_final).await
    }

    /// Gives a run that failed, ran out of time or was cancelled its attempts anew; completed steps are not executed
    /// again. As [`replay`](Self::replay) in everything else.
    ///
    /// # Errors
    /// The database's own.
    pub async fn retry(&self, id: RunId) -> Result<Replayed, DbErr> {
        self.replay_if(id, Replay::LastCheckpoint, |status| {
            status != RunStatus::Completed
        })
        .await
    }

    async fn replay_if(
        &self,
        id: RunId,
        replay: Replay,
        may_replay: fn(RunStatus) -> bool,
    ) -> Result<Replayed, DbErr> {
        if !self.sees(id).await? {
            return Ok(Replayed::NotFound);
        }
        let replayed = replay::replay(self.runtime.db(), id, replay, may_replay).await?;
        self.runtime.wake_up().announce(News::RUNS);
        Ok(replayed)
    }

    /// Moves a run that waits for a worker: not before `at`, by the database's clock. It gives up its place in the line
    /// for its concurrency key unless it has begun an attempt.
    ///
    /// # Errors
    /// The database's own.
    pub async fn reschedule(&self, id: RunId, at: DateTime<Utc>) -> Result<Rescheduled, DbErr> {
        if !self.sees(id).await? {
            return Ok(Rescheduled::NotFound);
        }
        let rescheduled = scope::reschedule(self.runtime.db(), id, at).await?;
        self.runtime.wake_up().announce(News::RUNS);
        Ok(rescheduled)
    }

    /// The newest hundred runs about this; [`RunFilter::scope`] with [`list`](Self::list) for other numbers.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list_for_scope(
        &self,
        kind: &str,
        id: impl ToString,
    ) -> Result<Vec<RunRecord>, DbErr> {
        self.list(RunFilter::new().scope(kind, id.to_string()))
            .await
    }

    /// [Cancels](Self::cancel) every run about this that is not over. Runs that are started meanwhile may be missed.
    ///
    /// # Errors
    /// The database's own; the runs before the one that it was refused for are cancelled.
    pub async fn cancel_for_scope(
        &self,
        kind: &str,
        id: impl ToString,
    ) -> Result<ScopeCancelled, DbErr> {
        let cancelled = scope::cancel_scope(self.runtime.db(), &self.about(kind, &id)?).await;
        self.runtime.wake_up().announce(News::RUNS);
        cancelled
    }

    /// [Moves](Self::reschedule) every run about this that waits for a worker, and returns how many there were.
    ///
    /// # Errors
    /// The database's own; some runs may have been moved.
    pub async fn reschedule_for_scope(
        &self,
        kind: &str,
        id: impl ToString,
        to: DateTime<Utc>,
    ) -> Result<u64, DbErr> {
        let moved = scope::reschedule_scope(self.runtime.db(), &self.about(kind, &id)?, to).await;
        self.runtime.wake_up().announce(News::RUNS);
        moved
    }

    /// The schedules of all jobs and events that were ever registered, by name.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, DbErr> {
        self.scope.fleet_wide()?;
        schedule::list(self.runtime.db()).await
    }

    /// Stops a schedule, by the name that [`schedules`](Self::schedules) gives it. Returns whether there is one.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none.
    pub async fn pause_schedule(&self, name: &str) -> Result<bool, DbErr> {
        self.scope.fleet_wide()?;
        schedule::set_paused(&self.runtime, name, true).await
    }

    /// Lets a schedule go on with the first slot from now on: what the pause covered is not made up for. Returns whether
    /// there is one.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none.
    pub async fn resume_schedule(&self, name: &str) -> Result<bool, DbErr> {
        self.scope.fleet_wide()?;
        let known = schedule::set_paused(&self.runtime, name, false).await?;
        self.runtime.wake_up().announce(News::RUNS);
        Ok(known)
    }

    /// Stops every worker from claiming runs of this pool, or events of this lane. What runs already goes on.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none.
    pub async fn pause_pool(&self, pool: &str) -> Result<(), DbErr> {
        self.scope.fleet_wide()?;
        pools::set_paused(self.runtime.db(), pool, true).await
    }

    /// At most so many runs of this pool execute at a time, over all workers, whatever their own concurrency is; `None`
    /// takes the limit away. What runs already goes on. A run that waits durably does not count. The lanes of the event
    /// drain have no such limit, and are refused.
    ///
    /// Claims of a limited pool follow one another in the database; the others pay nothing for it.
    ///
    /// # Errors
    /// The database's own, that the pool is a lane of the event drain, or that the handle is for one tenant or for none.
    pub async fn limit_pool(&self, pool: &str, runs: Option<u32>) -> Result<(), DbErr> {
        self.scope.fleet_wide()?;
        if is_reserved(pool) {
            return Err(DbErr::Custom(no_limit(pool)));
        }
        pools::set_limit(self.runtime.db(), pool, runs).await?;
        self.runtime.wake_up().announce(News::RUNS);
        Ok(())
    }

    /// The pools of registered jobs, the lanes of the event drain, and every other pool that has settings; by name.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none.
    pub async fn pools(&self) -> Result<Vec<PoolRecord>, DbErr> {
        self.scope.fleet_wide()?;
        pools::list(self.runtime.db()).await
    }

    /// Every job that a worker has registered, by type.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none.
    pub async fn types(&self) -> Result<Vec<JobTypeRecord>, DbErr> {
        self.scope.fleet_wide()?;
        types::list(self.runtime.db()).await
    }

    /// How many runs wait, run and have ended in the last hour, by pool and job. The cost is bounded, however many there
    /// are.
    ///
    /// # Errors
    /// The database's own.
    pub async fn stats(&self) -> Result<Stats, DbErr> {
        let seen = self.scope.condition(job_run::Column::TenantId)?;
        stats::stats(self.runtime.db(), seen).await
    }

    /// Clears away what is older than the retention says, in small transactions; workers do so by themselves.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none; what was cleared away until then is gone.
    pub async fn prune(&self, retention: Retention) -> Result<Pruned, DbErr> {
        self.scope.fleet_wide()?;
        retention::prune(self.runtime.db(), &retention, true).await
    }

    /// Lets the workers claim from this pool again.
    ///
    /// # Errors
    /// The database's own, or that the handle is for one tenant or for none.
    pub async fn resume_pool(&self, pool: &str) -> Result<(), DbErr> {
        self.scope.fleet_wide()?;
        pools::set_paused(self.runtime.db(), pool, false).await?;
        self.runtime.wake_up().announce(News::ALL);
        Ok(())
    }

    fn about(&self, kind: &str, id: &impl ToString) -> Result<scope::About, DbErr> {
        Ok(scope::About {
            kind: kind.to_owned(),
            id: id.to_string(),
            seen: self.scope.condition(job_run::Column::TenantId)?,
        })
    }
}
