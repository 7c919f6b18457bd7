//! Keys that a decision would wait for: a transaction of the app that is still open has started a rejecting run with one.
//!
//! Decisions are serialised over all workers, so that who waits for one key keeps the others waiting. They are tried by
//! themselves, and more and more rarely.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sea_orm::{ColumnTrait, Condition, DbErr};

use crate::jobs::entities::job_run;

/// The first pause of a key, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct StuckKeys {
    keys: BTreeMap<String, Stuck>,
}

#[derive(Debug)]
struct Stuck {
    pause: Duration,
    again: Instant,
}

impl StuckKeys {
    /// Holds for the runs with other keys, and for those without one.
    pub(super) fn others(&self) -> Condition {
        let key = job_run::Column::ConcurrencyKey;
        if self.keys.is_empty() {
            return Condition::all();
        }
        Condition::any()
            .add(key.is_null())
            .add(key.is_not_in(self.keys.keys()))
    }

    pub(super) fn to_be_tried(&self) -> Vec<String> {
        let now = Instant::now();
        let due = self.keys.iter().filter(|(_, stuck)| stuck.again <= now);
        due.map(|(key, _)| key.clone()).collect()
    }

    /// How soon the first of them is to be tried again.
    pub(super) fn next(&self) -> Option<Duration> {
        let again = self.keys.values().map(|stuck| stuck.again).min()?;
        Some(again.saturating_duration_since(Instant::now()))
    }

    pub(super) fn put_off(&mut self, key: String, error: &DbErr) {
        let pause = self
            .keys
            .get(&key)
            .map_or(FIRST_PAUSE, |stuck| (stuck.pause * 2).min(LONGEST_PAUSE));
        if pause == FIRST_PAUSE {
            tracing::warn!(%error, key, "an open transaction has a concurrency key; the runs that wait for it wait on");
        }
        let again = Instant::now() + pause;
        self.keys.insert(key, Stuck { pause, again });
    }

    /// Another worker is deciding: soon again.
    pub(super) fn leave(&mut self, key: &str) {
        if let Some(stuck) = self.keys.get_mut(key) {
            stuck.again = Instant::now() + FIRST_PAUSE;
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.keys.remove(key);
    }
}
