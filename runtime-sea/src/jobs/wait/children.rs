//! Waiting for children.

use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::read_one;
use crate::jobs::entities::{job_run, job_step};
use crate::jobs::step::stored_as;
use crate::jobs::{JobContext, JobError, JobHandler, JobResult, RunId, RunStatus};

use super::Wait;

/// A child that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndedChild {
    /// Its name.
    pub name: String,
    /// Its run.
    pub run_id: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// Its last error, shortened, where it did not complete.
    pub error: Option<String>,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildOutcome<T> {
    /// It completed with this.
    Completed(T),
    /// It failed for good.
    Failed {
        /// Its last error.
        error: String,
    },
    /// Its time was up.
    TimedOut,
    /// Somebody cancelled it.
    Canceled,
}

impl<T> ChildOutcome<T> {
    /// What the child returned.
    ///
    /// # Errors
    /// A non-retryable one where it did not complete: it will not, however often its parent is tried.
    pub fn completed(self) -> JobResult<T> {
        match self {
            Self::Completed(output) => Ok(output),
            Self::Failed { error } => Err(JobError::non_retryable(format!(
                "a child has failed: {error}"
            ))),
            Self::TimedOut => Err(JobError::non_retryable("a child's time was up")),
            Self::Canceled => Err(JobError::non_retryable("a child was canceled")),
        }
    }
}

impl JobContext {
    /// Waits without a worker until every child that this run has spawned so far has ended, well or not; see
    /// [`sleep`](Self::sleep) for what waiting means. Returns the children by name. A run may spawn more afterwards and
    /// wait again.
    ///
    /// # Errors
    /// As [`sleep`](Self::sleep). That a child has failed is none: see [`EndedChild::status`] and
    /// [`child_output`](Self::child_output).
    pub fn wait_for_children(&self) -> impl Future<Output = JobResult<Vec<EndedChild>>> {
        const NAME: &str = "children:";
        let name = format!("{NAME}{}", self.calls.count(NAME) + 1);
        let call = self.calls.call("children", name);
        async move { stored_as("a wait", Some(self.wait(call, Wait::default()).await?)) }
    }

    /// How the child of this name ended, with what it returned; waits for it without a worker until it has.
    ///
    /// # Errors
    /// As [`sleep`](Self::sleep), and: this run has not spawned such a child; its output does not fit its type; its row
    /// was pruned, which retention does not do before its parent has ended.
    pub fn child_output<'a, J: JobHandler>(
        &'a self,
        name: &str,
    ) -> impl Future<Output = JobResult<ChildOutcome<J::Output>>> + use<'a, J> {
        let name = name.to_owned();
        let call = self.calls.call("children", format!("output:{name}"));
        async move {
            let wait = Wait {
                key: Some(step_of(&name)),
                ..Wait::default()
            };
            let child = self.child(&name).await?;
            self.wait(call, wait).await?;
            let run = read_one(self.db(), job_run::Entity::find_by_id(child)).await?;
            let run = run.ok_or_else(|| {
                JobError::non_retryable(format!("the child `{name}` is gone: it was pruned"))
            })?;
            Ok(match RunStatus::from_name(&run.status) {
                Some(RunStatus::Completed) => {
                    ChildOutcome::Completed(stored_as(&format!("child `{name}`"), run.output)?)
                }
                Some(RunStatus::TimedOut) => ChildOutcome::TimedOut,
                Some(RunStatus::Canceled) => ChildOutcome::Canceled,
                Some(RunStatus::Failed) => ChildOutcome::Failed {
                    error: run.error.unwrap_or_default(),
                },
                _ => {
                    return Err(JobError::retryable(format!(
                        "the child `{name}` was started again"
                    )));
                }
            })
        }
    }

    async fn child(&self, name: &str) -> JobResult<uuid::Uuid> {
        let key = (self.claim.run_id.0, step_of(name));
        let step = read_one(self.db(), job_step::Entity::find_by_id(key)).await?;
        step.and_then(|step| step.child_run_id).ok_or_else(|| {
            JobError::non_retryable(format!("this run has not spawned a child `{name}`"))
        })
    }
}

/// The name of the step that spawns the child of this name.
pub(in crate::jobs) fn step_of(child: &str) -> String {
    format!("child:{child}")
}

/// As [`step_of`], backwards.
pub(super) fn child_of(step: &str) -> &str {
    step.strip_prefix("child:").unwrap_or(step)
}

/// What a wait for all children stores.
pub(super) fn output(children: Vec<EndedChild>) -> Result<Value, sea_orm::DbErr> {
    serde_json::to_value(children).map_err(|error| sea_orm::DbErr::Json(error.to_string()))
}
