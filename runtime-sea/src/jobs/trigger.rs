//! What turns an event into a run.

use std::fmt;
use std::sync::Arc;

use crate::events::{DecodeError, EventRecord};

use super::prepared::{Cause, PreparedRun};
use super::{JobHandler, StartError, StartOptions};

/// Why a trigger could not say whether an event starts a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// The event's payload does not fit its type any more.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The run that it asks for cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

type InputOf<I> = Arc<dyn Fn(&EventRecord) -> Result<Option<I>, DecodeError> + Send + Sync>;

/// A trigger as the policy declares it.
pub(crate) struct PolicyTrigger<I> {
    /// The part of the trigger's id after the job's type.
    pub(crate) name: String,
    pub(crate) event_type: &'static str,
    /// Whether the event is of a tier that may start runs.
    pub(crate) is_audit: bool,
    pub(crate) input: InputOf<I>,
}

type Prepare = dyn Fn(&EventRecord) -> Result<Option<PreparedRun>, TriggerError> + Send + Sync;

/// A trigger of a registered job, its input type erased.
#[derive(Clone)]
pub(crate) struct Trigger {
    /// `<job>/<name>`: stable, whatever the order of registration.
    pub(crate) id: String,
    pub(crate) event_type: &'static str,
    pub(crate) job_type: &'static str,
    pub(crate) is_audit: bool,
    /// Whether the run that an event's publisher asks for stands for it.
    pub(crate) is_stood_for: bool,
    prepare: Arc<Prepare>,
}

impl Trigger {
    pub(crate) fn of<J: JobHandler>(trigger: PolicyTrigger<J::Input>, is_stood_for: bool) -> Self {
        let id = format!("{}/{}", J::TYPE, trigger.name);
        let PolicyTrigger {
            event_type,
            is_audit,
            input,
            ..
        } = trigger;
        let trigger_id = id.clone();
        let prepare = move |event: &EventRecord| {
            let Some(input) = input(event)? else {
                return Ok(None);
            };
            let mut run = PreparedRun::new::<J>(
                &input,
                StartOptions::new().tenant_or(event.tenant_id.as_deref()),
            )?;
            run.cause = Some(Cause {
                event_id: event.id,
                trigger_id: trigger_id.clone(),
            });
            Ok(Some(run))
        };
        Self {
            id,
            event_type,
            job_type: J::TYPE,
            is_audit,
            is_stood_for,
            prepare: Arc::new(prepare),
        }
    }

    /// The run that the event asks for, to be [inserted](PreparedRun::insert) in the transaction that records the
    /// delivery; `None` where the trigger passes the event over. The trigger's closure may panic: the caller catches.
    pub(crate) fn prepare(&self, event: &EventRecord) -> Result<Option<PreparedRun>, TriggerError> {
        (self.prepare)(event)
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}
