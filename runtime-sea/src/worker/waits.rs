//! The loop that ends waits.

use std::time::{Duration, Instant};

use sea_orm::DatabaseConnection;
use tokio::time::{sleep, timeout};

use crate::Runtime;
use crate::database::{Dialect, News, Outage, answered, dialect};
use crate::jobs::wait::sweep::Sweeper;

/// The longest rest after a look, however long that took.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Wakes the runs whose waits are over, for as long as the worker lives.
pub(super) async fn end_waits(runtime: &Runtime, db: &DatabaseConnection, with_jobs: bool) {
    if !with_jobs {
        return std::future::pending().await;
    }
    let mut wake_up = runtime.wake_up().subscribe(News::ALL);
    let poll = dialect(db).map_or(Duration::from_secs(1), Dialect::max_poll_interval);
    let mut outage = Outage::default();
    let mut sweeper = Sweeper::default();
    loop {
        wake_up.mark_unchanged();
        let begun = Instant::now();
        let pause = match answered(sweeper.sweep(db)).await {
            Ok(swept) => {
                outage.is_over();
                if swept.woken {
                    runtime.wake_up().wake_here(News::RUNS);
                    wake_up.mark_unchanged();
                }
                match swept.next {
                    _ if swept.more => Duration::ZERO,
                    next => next.map_or(poll, |next| next.min(poll)),
                }
            }
            Err(error) => {
                outage.failed(&error, "waits could not be looked at");
                poll
            }
        };
        // However many runs wait, looking takes a tenth of the time at most.
        sleep((begun.elapsed() * 9).min(LONGEST_REST)).await;
        // The sender lives in the runtime that this borrows.
        let _ = timeout(pause, wake_up.changed()).await;
    }
}
