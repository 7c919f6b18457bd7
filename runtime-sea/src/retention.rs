//! How long what is over is kept.

use std::time::Duration;

use sea_orm::{DatabaseConnection, DbErr};
use serde::Serialize;

use crate::{events, jobs};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long runs and events are kept once they are over. Every worker clears away what is older, a thousand rows at a
/// time, beside its work.
///
/// A run is kept longer: for as long as its parent is there, whose replay comes back to it; while one of its children is
/// not over; and while a run is kept that found it by its deduplication key. Its steps go with it; an event's
/// deliveries and the ledger of what its triggers did go with the event, and with them the memory of its id: an event
/// of the same id is a new one then. A deduplication window stays open to its end, although the run that it stands for
/// may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Retention {
    pub(crate) completed: Option<Duration>,
    pub(crate) failed: Option<Duration>,
    pub(crate) events: Option<Duration>,
    pub(crate) failed_events: Option<Duration>,
}

impl Retention {
    /// Completed runs and processed events for 14 days; runs that failed, timed out or were cancelled, and failed
    /// events, for 90 days.
    pub const fn new() -> Self {
        Self {
            completed: Some(DAY.saturating_mul(14)),
            failed: Some(DAY.saturating_mul(90)),
            events: Some(DAY.saturating_mul(14)),
            failed_events: Some(DAY.saturating_mul(90)),
        }
    }

    /// Everything for ever.
    pub const fn forever() -> Self {
        Self {
            completed: None,
            failed: None,
            events: None,
            failed_events: None,
        }
    }

    /// How long completed runs are kept.
    pub const fn completed(mut self, time: Duration) -> Self {
        self.completed = Some(time);
        self
    }

    /// How long runs are kept that failed, timed out or were cancelled.
    pub const fn failed(mut self, time: Duration) -> Self {
        self.failed = Some(time);
        self
    }

    /// How long events are kept that every consumer is done with. A run that begins to wait for an event finds only what
    /// is there.
    pub const fn events(mut self, time: Duration) -> Self {
        self.events = Some(time);
        self
    }

    /// How long events are kept whose delivery was given up.
    pub const fn failed_events(mut self, time: Duration) -> Self {
        self.failed_events = Some(time);
        self
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::new()
    }
}

/// What was cleared away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pruned {
    /// Runs, each with its steps.
    pub runs: u64,
    /// Events, each with its deliveries.
    pub events: u64,
}

/// Clears away what is older than the retention says.
pub(crate) async fn prune(
    db: &DatabaseConnection,
    retention: &Retention,
    with_jobs: bool,
) -> Result<Pruned, DbErr> {
    let runs = if with_jobs {
        jobs::prune::prune(db, retention).await?
    } else {
        0
    };
    let events = events::prune::prune(db, retention).await?;
    Ok(Pruned { runs, events })
}
