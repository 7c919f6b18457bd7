//! Starting children.

use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use crate::database::{News, begin_patient, repeating};
use crate::failpoint;

use super::calls::Call;
use super::prepared::{Parent, PreparedRun};
use super::step::{StepResult, store};
use super::wait::step_of;
use super::{JobContext, JobError, JobHandler, RunId, StartError, StartOptions};

impl JobContext {
    /// Starts a child run, once per run and `name`: a later attempt gets the same child. Returns at once; the child
    /// executes on its own, and [`wait_for_children`](Self::wait_for_children) waits for it.
    ///
    /// # Errors
    /// As [`Jobs::start`](super::Jobs::start); a name that this attempt has used already, or that is too long; steps
    /// that changed while the run was under way; the loss of the run to another worker.
    pub fn spawn_child<J: JobHandler>(
        &self,
        name: &str,
        input: J::Input,
    ) -> impl Future<Output = Result<RunId, JobError>> {
        self.spawn_child_with::<J>(name, input, StartOptions::new())
    }

    /// As [`spawn_child`](Self::spawn_child), with a time, a priority or labels.
    ///
    /// # Errors
    /// As [`spawn_child`](Self::spawn_child).
    pub fn spawn_child_with<'a, J: JobHandler>(
        &'a self,
        name: &str,
        input: J::Input,
        options: StartOptions,
    ) -> impl Future<Output = Result<RunId, JobError>> + use<'a, J> {
        let child_name = name.to_owned();
        let call = self.calls.call("child", step_of(name));
        async move {
            let call = call?;
            let _under_way = self.calls.begin();
            if let Some(row) = self.recorded(&call).await?
                && let Some(child) = row.child_run_id
            {
                return Ok(RunId(child));
            }
            let options = options.tenant_or(self.tenant_id());
            let mut run = PreparedRun::new::<J>(&input, options)?
                .traced(self.runtime().traces())
                .traced_or(self.traceparent());
            run.parent = Some(Parent {
                run_id: self.claim.run_id,
                root_run_id: self.claim.root_run_id,
                child_name,
                worker_id: self.claim.worker_id,
                fence: self.claim.fence,
            });
            let started_at = self.claim.now();
            let child = repeating(self.db(), || self.insert_child(&run, &call, started_at)).await?;
            match child {
                Ok(child) => {
                    self.runtime().wake_up().announce(News::RUNS);
                    Ok(child)
                }
                Err(StartError::LeaseLost { .. }) => Err(self.lose()),
                Err(error) => Err(error.into()),
            }
        }
    }

    // What the database refuses is apart from the rest, because it may be tried again.
    async fn insert_child(
        &self,
        run: &PreparedRun,
        call: &Call,
        started_at: DateTime<Utc>,
    ) -> Result<Result<RunId, StartError>, DbErr> {
        let tx = begin_patient(self.db()).await?;
        let child = match run.insert(&tx).await {
            Ok(started) => started.run_id,
            Err(StartError::Database(error)) => return Err(error),
            Err(error) => return Ok(Err(error)),
        };
        let spawned = StepResult::Spawned(child);
        if !store(&tx, &self.claim, call, &spawned, started_at).await? {
            return Ok(Err(StartError::LeaseLost {
                parent: self.claim.run_id,
                name: call.name.clone(),
            }));
        }
        failpoint::before("jobs.spawn_child");
        tx.commit().await?;
        failpoint::after("jobs.spawn_child");
        Ok(Ok(child))
    }
}
