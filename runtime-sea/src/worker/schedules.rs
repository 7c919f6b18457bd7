//! The loop that makes what schedules ask for.

use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::time::{sleep, timeout};

use crate::Runtime;
use crate::database::{Dialect, News, Outage, answered, dialect};
use crate::schedule::Timetable;

/// Makes slots as they come, for as long as the worker lives.
pub(super) async fn make_slots(runtime: &Runtime, db: &DatabaseConnection, timetable: &Timetable) {
    if timetable.is_empty() {
        return std::future::pending().await;
    }
    let mut wake_up = runtime.wake_up().subscribe(News::RUNS);
    let poll = dialect(db).map_or(Duration::from_secs(1), Dialect::max_poll_interval);
    let mut outage = Outage::default();
    loop {
        wake_up.mark_unchanged();
        let pause = match answered(timetable.fire_due(db)).await {
            Ok(fired) => {
                outage.is_over();
                fired.next.map_or(poll, |next| next.min(poll))
            }
            Err(error) => {
                outage.failed(&error, "schedules could not be looked at");
                poll
            }
        };
        let woken = async {
            // Wake-ups come with every start and every publish: one look serves many.
            sleep(Duration::from_millis(20)).await;
            // The sender lives in the runtime that this borrows.
            let _ = timeout(pause, wake_up.changed()).await;
        };
        tokio::select! {
            () = woken => {}
            () = timetable.closure_returned() => {}
        }
    }
}
