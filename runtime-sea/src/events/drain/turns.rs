//! Whose turn it is in a lane: what a worker died over, which is taken alone, or the others.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::SUBSCRIPTION_TIMEOUT;
use super::lane::Lane;

/// How long a lane is held back at first until nothing of it is in hand.
const HOLD: Duration = Duration::from_secs(5);

/// How many times as long as it was held back in vain a lane then goes on.
const REST: u32 = 10;

/// The lanes in which a delivery that a worker died over is next, so that neither these nor the others wait for as long
/// as there are some of the other sort.
#[derive(Debug)]
pub(crate) struct SuspectTurns {
    hold: Duration,
    lanes: Mutex<BTreeMap<Lane, Option<Hold>>>,
}

/// A lane is held back for that long, and goes on for a while after it.
#[derive(Debug, Clone, Copy)]
struct Hold {
    since: Instant,
    length: Duration,
}

impl Default for SuspectTurns {
    fn default() -> Self {
        Self::holding_back_for(HOLD)
    }
}

impl SuspectTurns {
    pub(crate) const fn holding_back_for(hold: Duration) -> Self {
        Self {
            hold,
            lanes: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn is_suspects_turn(&self, lane: Lane) -> bool {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.contains_key(&lane)
    }

    pub(super) fn set_suspects_turn(&self, lane: Lane, is_next: bool) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if is_next {
            lanes.entry(lane).or_default();
        } else {
            lanes.remove(&lane);
        }
    }

    /// Whether nothing more is taken while there is something in hand. One handler that is slow, or blocked for good,
    /// stops a lane for a while only: longer each time, for the sake of handlers that are all slow, and seldom.
    pub(super) fn holds_back(&self, lane: Lane) -> bool {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let hold = lanes.entry(lane).or_default().get_or_insert(Hold {
            since: now,
            length: self.hold,
        });
        let elapsed = now.saturating_duration_since(hold.since);
        if elapsed >= hold.length.saturating_mul(1 + REST) {
            *hold = Hold {
                since: now,
                length: hold
                    .length
                    .saturating_mul(2)
                    .min(self.hold.max(SUBSCRIPTION_TIMEOUT)),
            };
            return true;
        }
        elapsed < hold.length
    }
}
