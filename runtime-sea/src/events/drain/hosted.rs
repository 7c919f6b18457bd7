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
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        if !now.hosts(kind, name) {
            return false;
        }
        *now = Arc::new(now.without(kind, name));
        true
    }
}
