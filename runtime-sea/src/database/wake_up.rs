//! The signal that there is new work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::sync::{mpsc, watch};

use crate::TestClock;

use super::dialect;

/// When the announcements of one burst go out, each counted from the one before. A start inside of a transaction cannot
/// know when that commits, so the announcement is repeated; what commits still later is found by polling.
const REPEATS: [Duration; 4] = [
    Duration::from_millis(1),
    Duration::from_millis(8),
    Duration::from_millis(40),
    Duration::from_millis(200),
];

/// The least time between two announcements while more and more work comes in.
const SPACING: Duration = Duration::from_millis(5);

/// Wakes the workers of this process and, where the database can, of the others.
#[derive(Clone)]
pub(crate) struct WakeUp {
    here: watch::Sender<u64>,
    db: DatabaseConnection,
    /// Whether other processes are called, and call.
    notifications: bool,
    announcer: Arc<Mutex<Option<mpsc::Sender<()>>>>,
}

impl WakeUp {
    pub(crate) fn new(db: DatabaseConnection, notifications: bool) -> Self {
        Self {
            here: watch::Sender::new(0),
            db,
            notifications,
            announcer: Arc::default(),
        }
    }

    /// Wakes the workers of this process whenever the test's clock is moved.
    pub(crate) fn wake_with(&self, clock: &TestClock) {
        clock.wakes(&self.here);
    }

    /// Announces work whose transaction may not have committed yet. Never waits and never fails: whoever misses it
    /// finds the work by polling.
    ///
    /// Must be called on a Tokio runtime.
    pub(crate) fn announce(&self) {
        let mut announcer = self
            .announcer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match announcer.as_ref().map(|sender| sender.try_send(())) {
            // A full channel holds the same announcement already.
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(()))) => {}
            // Not started yet, or the runtime that it ran on is gone.
            None | Some(Err(mpsc::error::TrySendError::Closed(()))) => {
                let (sender, requests) = mpsc::channel(1);
                tokio::spawn(announce_in_bursts(
                    requests,
                    self.here.clone(),
                    self.notifications.then(|| self.db.clone()),
                ));
                let _first = sender.try_send(());
                *announcer = Some(sender);
            }
        }
    }

    /// Whether other processes are called, and call.
    pub(crate) fn has_notifications(&self) -> bool {
        self.notifications
    }

    /// Wakes the workers of this process.
    pub(crate) fn wake_here(&self) {
        self.here
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A receiver that sees every wake-up from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.here.subscribe()
    }
}

// One task per process sends one notification per burst, however many transactions it had: a NOTIFY inside of each
// transaction would make their commits queue behind one another.
async fn announce_in_bursts(
    mut requests: mpsc::Receiver<()>,
    here: watch::Sender<u64>,
    others: Option<DatabaseConnection>,
) {
    while requests.recv().await.is_some() {
        let mut delays = REPEATS.into_iter();
        let mut next = delays.next();
        while let Some(delay) = next {
            tokio::time::sleep(delay.min(SPACING)).await;
            // What is left of a longer pause ends early when more work is announced, and the burst starts over.
            let rest = delay.saturating_sub(SPACING);
            if !rest.is_zero()
                && let Ok(more) = tokio::time::timeout(rest, requests.recv()).await
            {
                if more.is_none() {
                    return;
                }
                delays = REPEATS.into_iter();
                delays.next();
            }
            here.send_modify(|count| *count = count.wrapping_add(1));
            if let Some(db) = &others
                && let Err(error) = notify(db).await
            {
                tracing::debug!(%error, "work could not be announced; the workers will find it by polling");
            }
            next = delays.next();
        }
    }
}

async fn notify(db: &DatabaseConnection) -> Result<(), sea_orm::DbErr> {
    dialect(db)?.notify(db).await
}
