//! What loops do about a database that does not answer.

use std::fmt::Display;
use std::time::Duration;

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::time::timeout;

/// How long a loop waits for an answer. A connection that has died silently gives none, and the operating system may
/// take a quarter of an hour to notice.
const PATIENCE: Duration = Duration::from_secs(40);

/// What the database answers, or the error of a connection that could not be had if it takes too long. What was asked
/// for may have happened then.
pub(crate) async fn answered<T>(asked: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    timeout(PATIENCE, asked)
        .await
        .unwrap_or(Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))
}

/// The failures of a loop in a row.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    failures: u32,
}

impl Outage {
    /// Counts a failure, and tells it where there were none, twice or four times as many and so on: an outage of an hour
    /// must not fill a disk.
    pub(crate) fn failed(&mut self, error: &impl Display, what: &str) {
        if self.is_to_be_told() {
            tracing::warn!(%error, failures = self.failures, "{what}; trying again");
        }
    }

    /// Counts a failure, and says whether to tell it.
    pub(crate) fn is_to_be_told(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures.is_power_of_two()
    }

    /// How many failures there were in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// The loop has succeeded.
    pub(crate) fn is_over(&mut self) {
        self.failures = 0;
    }
}
