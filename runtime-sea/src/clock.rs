//! The clock that decisions go by, and how a test moves it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::database::{News, Tally};

/// A clock that a test moves: the database's own, and so much time more or less.
///
/// ```
/// # use std::time::Duration;
/// # use runtime_sea::{Runtime, TestClock};
/// # async fn example(db: sea_orm::DatabaseConnection) -> Result<(), sea_orm::DbErr> {
/// let clock = TestClock::start();
/// let runtime = Runtime::new(db);
/// let before = runtime.now().await?;
/// clock.advance(Duration::from_secs(24 * 60 * 60));
/// assert!(runtime.now().await? >= before + Duration::from_secs(24 * 60 * 60));
/// # Ok(())
/// # }
/// ```
///
/// It holds for everything that runs on the Tokio runtime that it was started on, and each `#[tokio::test]` has one of
/// its own. Everything goes by it that a run, an event or a schedule may or may not do yet: starting times, waits
/// between attempts, timeouts, deduplication windows, slots. Whether a worker is alive does not: leases and heartbeats
/// are a matter of real time, so that no worker dies because a test moves its clock.
#[derive(Clone)]
pub struct TestClock {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    ahead_ms: AtomicI64,
    moves: watch::Sender<()>,
    /// The wake-ups of the runtimes that go by this clock.
    wake_ups: Mutex<Vec<watch::Sender<Tally>>>,
}

/// Whether there is a clock at all: outside of tests nobody asks further.
static ANY: AtomicBool = AtomicBool::new(false);

static CLOCKS: LazyLock<RwLock<HashMap<Id, TestClock>>> = LazyLock::new(RwLock::default);

impl TestClock {
    /// The clock of the current Tokio runtime; it agrees with the database's until it is moved. Start it before the
    /// [`Runtime`](crate::Runtime) is made, so that its workers notice each move at once.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn start() -> Self {
        current().unwrap_or_else(|| {
            let clock = Self {
                inner: Arc::default(),
            };
            clock.hold_here();
            clock
        })
    }

    /// Moves the clock on, in steps of a millisecond, and wakes the workers for what is due now.
    pub fn advance(&self, duration: Duration) {
        self.shift(milliseconds(duration));
    }

    /// Turns the clock back.
    pub fn turn_back(&self, duration: Duration) {
        self.shift(-milliseconds(duration));
    }

    fn shift(&self, milliseconds: i64) {
        // What was added in vain can only be a sum beyond all time.
        let _ahead = self
            .inner
            .ahead_ms
            .fetch_add(milliseconds, Ordering::SeqCst);
        self.inner.moves.send_replace(());
        let wake_ups = self.inner.wake_ups.lock();
        for wake_up in wake_ups.unwrap_or_else(PoisonError::into_inner).iter() {
            wake_up.send_modify(|tally| tally.count(News::ALL));
        }
    }

    /// Makes it the clock of the current Tokio runtime.
    pub(crate) fn hold_here(&self) {
        let mut clocks = CLOCKS.write().unwrap_or_else(PoisonError::into_inner);
        clocks.insert(Handle::current().id(), self.clone());
        ANY.store(true, Ordering::SeqCst);
    }

    /// Counts `wake_up` up whenever the clock is moved.
    pub(crate) fn wakes(&self, wake_up: &watch::Sender<Tally>) {
        let wake_ups = self.inner.wake_ups.lock();
        wake_ups
            .unwrap_or_else(PoisonError::into_inner)
            .push(wake_up.clone());
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClock")
            .field("ahead_ms", &self.inner.ahead_ms)
            .finish()
    }
}

/// The clock of the current Tokio runtime, where a test has started one.
pub(crate) fn current() -> Option<TestClock> {
    if !ANY.load(Ordering::Relaxed) {
        return None;
    }
    let id = Handle::try_current().ok()?.id();
    let clocks = CLOCKS.read().unwrap_or_else(PoisonError::into_inner);
    clocks.get(&id).cloned()
}

/// By how many milliseconds decisions are ahead of the database's clock: not at all, except in a test.
pub(crate) fn ahead_ms() -> i64 {
    current().map_or(0, |clock| clock.inner.ahead_ms.load(Ordering::SeqCst))
}

/// Sleeps in this process until so much of the clock's time has passed since the call, not since the first poll.
pub(crate) fn sleep_by_clock(duration: Duration) -> impl Future<Output = ()> + Send {
    let begun = Instant::now();
    let moved = current().map(|clock| {
        let moves = clock.inner.moves.subscribe();
        (moves, clock.inner.ahead_ms.load(Ordering::SeqCst), clock)
    });
    async move {
        let Some((mut moves, ahead, clock)) = moved else {
            return sleep(duration.saturating_sub(begun.elapsed())).await;
        };
        loop {
            let now = clock.inner.ahead_ms.load(Ordering::SeqCst);
            let moved_on = u64::try_from(now.saturating_sub(ahead)).unwrap_or_default();
            let passed = begun
                .elapsed()
                .saturating_add(Duration::from_millis(moved_on));
            let left = duration.saturating_sub(passed);
            if left.is_zero() {
                return;
            }
            // The sender lives in the clock.
            let _ = timeout(left, moves.changed()).await;
        }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    // A century is beyond what any test needs.
    i64::try_from(duration.min(crate::database::CENTURY).as_millis()).unwrap_or(i64::MAX)
}
