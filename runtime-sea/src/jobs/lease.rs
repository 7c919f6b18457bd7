//! Whether a worker still has a run, as far as it can tell without asking.

use tokio_util::sync::CancellationToken;

use crate::worker::Lease;

/// What an attempt is executed under. A process that was stopped for longer than its lease finds that over before its
/// heartbeat does.
#[derive(Debug, Clone)]
pub(crate) struct HeldRun {
    pub(crate) lease: Lease,
    /// Cancelled when the database has said that the lease had run out.
    pub(crate) lost: CancellationToken,
}

impl HeldRun {
    pub(crate) fn is_over(&self) -> bool {
        self.lost.is_cancelled() || !self.lease.holds()
    }
}
