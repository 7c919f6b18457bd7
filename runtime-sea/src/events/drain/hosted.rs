//! What this process hosts at the moment.

use std::sync::{Arc, PoisonError, RwLock};

use super::dispatch::Consumers;
use crate::events::ConsumerKind;

/// The consumers of a worker, from which some may be taken while it runs.
///
/// Whoever dispatches an event does so with one snapshot from beginning to end, so that what is called and what is left
/// to others are always the two halves of the whole.
#[derive(Debug, Clone)]
pub(crate) struct Hosted {
    now: Arc<RwLock<Arc<Consumers>>>,
}

impl Hosted {
    pub(crate) fn new(consumers: Consumers) -> Self {
        Self {
            now: Arc::new(RwLock::new(Arc::new(consumers))),
        }
    }

    /// What is hosted now.
    pub(crate) fn now(&self) -> Arc<Consumers> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hosts a consumer no longer. Returns whether it was hosted.
    pub(crate) fn remove(&self, kind: ConsumerKind, name: &str) -> bool {
        self.remove_where(|hosted_kind, hosted, _| hosted_kind == kind && hosted == name) > 0
    }

    /// Hosts those no longer for which the condition on kind, name and type holds. Returns how many it were.
    pub(super) fn remove_where(&self, is_one: impl Fn(ConsumerKind, &str, &str) -> bool) -> usize {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let left = now.without(&is_one);
        let removed = now.iter().count() - left.iter().count();
        if removed > 0 {
            *now = Arc::new(left);
        }
        removed
    }
}
