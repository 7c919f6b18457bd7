//! The signal that there is new work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::runtime::Handle;
use tokio::sync::watch::error::RecvError;
use tokio::sync::{mpsc, watch};

use crate::TestClock;

use super::dialect;
use super::news::{News, Tally};

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
    here: watch::Sender<Tally>,
    db: DatabaseConnection,
    /// Whether other processes are called, and call.
    notifications: bool,
    /// What was announced and has not gone out yet.
    announced: Arc<Mutex<News>>,
    announcer: Arc<Mutex<Option<mpsc::Sender<()>>>>,
    /// Where the pool's connections belong: one that is opened elsewhere, as by a worker's thread, breaks when that ends.
    home: Option<Handle>,
}

impl WakeUp {
    pub(crate) fn new(db: DatabaseConnection, notifications: bool) -> Self {
        Self {
            here: watch::Sender::default(),
            db,
            notifications,
            announced: Arc::default(),
            home: Handle::try_current().ok(),
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
    pub(crate) fn announce(&self, news: News) {
        add(&self.announced, news);
        let mut announcer = self
            .announcer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match announcer.as_ref().map(|sender| sender.try_send(())) {
            // A full channel holds a request that takes this along.
            Some(Ok(()) | Err(mpsc::error::TrySendError::Full(()))) => {}
            // Not started yet, or the runtime that it ran on is gone.
            None | Some(Err(mpsc::error::TrySendError::Closed(()))) => {
                let (sender, requests) = mpsc::channel(1);
                self.spawn(announce_in_bursts(
                    requests,
                    Arc::clone(&self.announced),
                    self.here.clone(),
                    self.notifications.then(|| self.db.clone()),
                ));
                let _first = sender.try_send(());
                *announcer = Some(sender);
            }
        }
    }

    fn spawn(&self, announcer: impl Future<Output = ()> + Send + 'static) {
        match &self.home {
            Some(home) => home.spawn(announcer),
            None => tokio::spawn(announcer),
        };
    }

    /// Whether other processes are called, and call.
    pub(crate) fn has_notifications(&self) -> bool {
        self.notifications
    }

    /// Wakes the workers of this process.
    pub(crate) fn wake_here(&self, news: News) {
        self.here.send_modify(|tally| tally.count(news));
    }

    /// A receiver that sees every wake-up about these from now on.
    pub(crate) fn subscribe(&self, wanted: News) -> WakeUps {
        let tally = self.here.subscribe();
        let seen = *tally.borrow();
        WakeUps {
            tally,
            wanted,
            seen,
        }
    }
}

/// The wake-ups that a loop waits for.
#[derive(Debug)]
pub(crate) struct WakeUps {
    tally: watch::Receiver<Tally>,
    wanted: News,
    seen: Tally,
}

impl WakeUps {
    /// Takes all that have come so far as seen.
    pub(crate) fn mark_unchanged(&mut self) {
        self.seen = *self.tally.borrow_and_update();
    }

    /// Returns at the first one that was not seen. Cancel safe.
    ///
    /// # Errors
    /// Nobody is left who could wake.
    pub(crate) async fn changed(&mut self) -> Result<(), RecvError> {
        let (wanted, seen) = (self.wanted, self.seen);
        self.seen = *self.tally.wait_for(|tally| tally.has(wanted, seen)).await?;
        Ok(())
    }
}

fn add(announced: &Mutex<News>, news: News) {
    let mut announced = announced.lock().unwrap_or_else(PoisonError::into_inner);
    *announced |= news;
}

fn take(announced: &Mutex<News>) -> News {
    std::mem::take(&mut announced.lock().unwrap_or_else(PoisonError::into_inner))
}

// One task per process sends one notification per burst, however many transactions it had: a NOTIFY inside of each
// transaction would make their commits queue behind one another.
async fn announce_in_bursts(
    mut requests: mpsc::Receiver<()>,
    announced: Arc<Mutex<News>>,
    here: watch::Sender<Tally>,
    others: Option<DatabaseConnection>,
) {
    while requests.recv().await.is_some() {
        let mut news = take(&announced);
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
                news |= take(&announced);
                delays = REPEATS.into_iter();
                delays.next();
            }
            here.send_modify(|tally| tally.count(news));
            if let Some(db) = &others
                && let Err(error) = notify(db, news).await
            {
                tracing::debug!(%error, "work could not be announced; the workers will find it by polling");
            }
            next = delays.next();
        }
    }
}

async fn notify(db: &DatabaseConnection, news: News) -> Result<(), sea_orm::DbErr> {
    dialect(db)?.notify(db, news).await
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_loop_sleeps_on_when_what_is_new_does_not_concern_it() {
        let wake_up = WakeUp::new(DatabaseConnection::default(), false);
        let [mut events, mut runs, mut all] =
            [News::EVENTS, News::RUNS, News::ALL].map(|it| wake_up.subscribe(it));
        wake_up.wake_here(News::EVENTS);
        assert!(runs.changed().now_or_never().is_none());
        events.changed().await.unwrap();
        all.changed().await.unwrap();
        wake_up.announce(News::RUNS);
        runs.changed().await.unwrap();
        all.changed().await.unwrap();
        assert!(events.changed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_a_thread_announces_goes_out_when_the_thread_has_ended() {
        let wake_up = WakeUp::new(DatabaseConnection::default(), false);
        let mut runs = wake_up.subscribe(News::RUNS);
        let thread = std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            tokio.block_on(async { wake_up.announce(News::RUNS) });
            wake_up
        });
        let _wake_up = thread.join().unwrap();
        let woken = tokio::time::timeout(Duration::from_secs(60), runs.changed());
        woken.await.unwrap().unwrap();
    }
}
