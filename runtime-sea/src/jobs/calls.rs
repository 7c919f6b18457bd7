//! What an attempt has called of its context so far, and what of it is under way.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::storable::check_name;

use super::JobError;

/// One call of a step, a child or a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// As it stands in `job_step.kind`.
    pub(crate) kind: &'static str,
    /// Unique in its run.
    pub(crate) name: String,
    /// Its place among the calls of the attempt, from 0.
    pub(crate) position: i32,
    /// Whether calls have overlapped by now, so that the next attempt may make them in another order.
    pub(crate) concurrent: bool,
}

/// The calls of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    names: HashSet<String>,
    under_way: usize,
    /// The waits that the handler's future is parked at.
    parked: Vec<String>,
    concurrent: bool,
}

impl Calls {
    /// Takes the next place for a call of this name.
    pub(crate) fn call(&self, kind: &'static str, name: String) -> Result<Call, JobError> {
        check_name("the name", &name).map_err(JobError::non_retryable)?;
        let mut state = self.lock();
        let position = i32::try_from(state.names.len()).unwrap_or(i32::MAX);
        if !state.names.insert(name.clone()) {
            return Err(JobError::non_retryable(format!(
                "`{name}` was used twice in one attempt; give every step and child of a run its own name"
            )));
        }
        state.note_overlap();
        Ok(Call {
            kind,
            name,
            position,
            concurrent: state.concurrent,
        })
    }

    /// How many calls of names that begin with this there were.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        let state = self.lock();
        state
            .names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .count()
    }

    /// Remembers that calls overlapped in an earlier attempt.
    pub(crate) fn note_concurrent(&self) {
        self.lock().concurrent = true;
    }

    /// Counts a call as under way until the guard is dropped.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        let mut state = self.lock();
        state.note_overlap();
        state.under_way += 1;
        UnderWay(self)
    }

    /// Counts a call as parked at its wait, and not as under way any more, until the guard is dropped.
    pub(crate) fn park<'a>(&'a self, name: &'a str, under_way: UnderWay<'a>) -> Parked<'a> {
        self.lock().parked.push(name.to_owned());
        drop(under_way);
        Parked { calls: self, name }
    }

    /// Returns the names of the waits once the handler can go on only when one of them is over.
    pub(crate) async fn suspended(&self) -> Vec<String> {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.lock();
                if state.under_way == 0 && !state.parked.is_empty() {
                    return state.parked.clone();
                }
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note_overlap(&mut self) {
        self.concurrent |= self.under_way > 0 || !self.parked.is_empty();
    }
}

/// A call that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a Calls);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
        self.0.changed.notify_one();
    }
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Parked<'a> {
    calls: &'a Calls,
    name: &'a str,
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.calls.lock().parked.retain(|it| it != self.name);
    }
}
