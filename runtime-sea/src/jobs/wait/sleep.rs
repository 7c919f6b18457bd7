//! Waiting for a moment.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::jobs::{JobContext, JobResult};

use super::{Until, Wait};

impl JobContext {
    /// Waits without a worker until so much time has passed; `name` is unique among the steps of the run.
    ///
    /// The moment is fixed by the database's clock when the run first comes here, and survives restarts. While a run
    /// waits, the handler's future is gone: it is executed again from its begin, and what it has completed in steps is
    /// not repeated. What runs beside a wait belongs into a step: a step that is under way is finished before the run
    /// is suspended, any other future is dropped. The run keeps its concurrency key, its attempt number and its
    /// timeout while it waits.
    ///
    /// # Errors
    /// A name that this attempt has used already, or that is too long; a wait inside of a step; steps that changed
    /// while the run was under way; the loss of the run to another worker.
    pub fn sleep(&self, name: &str, duration: Duration) -> impl Future<Output = JobResult<()>> {
        self.sleep_for(name, Until::After(duration))
    }

    /// As [`sleep`](Self::sleep), until a moment of the database's clock.
    ///
    /// # Errors
    /// As [`sleep`](Self::sleep).
    pub fn sleep_until(
        &self,
        name: &str,
        moment: DateTime<Utc>,
    ) -> impl Future<Output = JobResult<()>> {
        self.sleep_for(name, Until::At(moment))
    }

    fn sleep_for<'a>(
        &'a self,
        name: &str,
        until: Until,
    ) -> impl Future<Output = JobResult<()>> + use<'a> {
        let call = self.calls.call("sleep", name.to_owned());
        async move {
            let wait = Wait {
                until: Some(until),
                ..Wait::default()
            };
            self.wait(call, wait).await.map(drop)
        }
    }
}
