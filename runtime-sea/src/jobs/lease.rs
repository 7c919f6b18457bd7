//! Whether a worker still has what it claimed, as far as it can tell without asking.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The lease of one attempt. A process that was stopped for longer than that finds it over before its heartbeat does.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    /// When the last heartbeat that arrived was sent.
    pub(crate) beat: watch::Receiver<Instant>,
    pub(crate) term: Duration,
    /// Cancelled when the database has said that the lease had run out.
    pub(crate) lost: CancellationToken,
}

impl Lease {
    pub(crate) fn is_over(&self) -> bool {
        self.lost.is_cancelled() || self.beat.borrow().elapsed() >= self.term
    }
}
