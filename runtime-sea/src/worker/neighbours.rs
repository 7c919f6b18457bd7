//! Which workers hold their lease by this worker's own clock, whatever the database's says by now.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, FromQueryResult};
use uuid::Uuid;

use crate::database::{dialect, read_row};
use crate::jobs::entities::job_worker::{self, Column as C};

#[derive(Debug, FromQueryResult)]
struct Lease {
    id: Uuid,
    heartbeat_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl Lease {
    /// How much of it is left. No more than there was: a clock that went back must not make it longer.
    fn left(&self) -> Option<Duration> {
        let left = self.expires_at - self.now;
        let whole = self.expires_at - self.heartbeat_at;
        (left > TimeDelta::zero())
            .then(|| left.min(whole).to_std().ok())
            .flatten()
    }
}

/// Until when the leases last, as they were when they were last seen to hold.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    held_until: HashMap<Uuid, Instant>,
}

impl Neighbours {
    /// Looks at the leases, and returns the workers that hold theirs: when the database's clock is put forward, all are
    /// over for the database at once, until the next heartbeat of each. A lease of which this worker has not seen that it
    /// held is the database's to judge, so that who is started after a death need not watch first.
    pub(crate) async fn holding(&mut self, db: &DatabaseConnection) -> Result<Vec<Uuid>, DbErr> {
        let select = Query::select()
            .columns([C::Id, C::HeartbeatAt, C::ExpiresAt])
            .expr_as(dialect(db)?.real_now(), "now")
            .from(job_worker::Entity)
            .to_owned();
        // From before the answer: by this clock, no lease is over later than by the database's.
        let asked = Instant::now();
        let rows = db.query_all(&select).await?;
        Ok(self.look(asked, rows.iter().filter_map(|row| read_row(row).ok())))
    }

    fn look(&mut self, asked: Instant, leases: impl Iterator<Item = Lease>) -> Vec<Uuid> {
        let mut before = std::mem::take(&mut self.held_until);
        for lease in leases {
            let until = match lease.left() {
                Some(left) => asked.checked_add(left),
                None => before.remove(&lease.id),
            };
            if let Some(until) = until.filter(|until| *until > asked) {
                self.held_until.insert(lease.id, until);
            }
        }
        self.held_until.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: TimeDelta = TimeDelta::seconds(7);

    /// A lease whose last heartbeat was so long ago by the database's clock.
    fn lease(id: Uuid, ago: TimeDelta) -> Lease {
        let now = DateTime::UNIX_EPOCH;
        Lease {
            id,
            heartbeat_at: now - ago,
            expires_at: now - ago + LEASE,
            now,
        }
    }

    #[test]
    fn r57_a_lease_that_was_seen_to_hold_is_not_over_because_the_clock_was_put_forward() {
        let (worker, begin) = (Uuid::now_v7(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut neighbours = Neighbours::default();
        let mut look = |seconds, ago| {
            let lease = lease(worker, TimeDelta::seconds(ago));
            !neighbours.look(at(seconds), [lease].into_iter()).is_empty()
        };
        assert!(look(0, 2));
        // Ten minutes forward after a second.
        assert!(look(1, 603));
        assert!(look(4, 606));
        assert!(!look(6, 608), "its five seconds are over by any clock");
    }

    #[test]
    fn a_lease_that_is_over_is_over_at_the_first_look() {
        let lease = |ago| [lease(Uuid::nil(), ago)].into_iter();
        let mut neighbours = Neighbours::default();
        assert!(neighbours.look(Instant::now(), lease(LEASE)).is_empty());
        // And nothing but the clock makes one hold for longer than it is long.
        let begin = Instant::now();
        assert!(
            !neighbours
                .look(begin, lease(-TimeDelta::hours(1)))
                .is_empty()
        );
        let later = begin + Duration::from_secs(8);
        assert!(
            neighbours
                .look(later, lease(TimeDelta::hours(1)))
                .is_empty()
        );
    }
}
