//! Which workers may be alive although the database's clock says that their lease is over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use uuid::Uuid;

use crate::database::dialect;
use crate::jobs::entities::job_worker::{self, Column as C};

/// For what part of a lease a worker has to be silent before anybody else's eyes. A live one beats five times in a
/// lease, and stops its handlers before this part is over.
const SILENT: f64 = 0.75;

/// The other workers' leases, and since when this one has seen them as they are.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    seen: HashMap<Uuid, (DateTime<Utc>, Instant)>,
}

impl Neighbours {
    /// Looks at the leases, and returns whose is over but was not seen to be for long enough: when the database's clock
    /// is put forward, those of all workers are over at once, until the next heartbeat of each.
    pub(crate) async fn doubted(
        &mut self,
        db: &DatabaseConnection,
        lease: Duration,
    ) -> Result<Vec<Uuid>, DbErr> {
        let select = Query::select()
            .columns([C::Id, C::ExpiresAt])
            .expr_as(dialect(db)?.real_now(), "now")
            .from(job_worker::Entity)
            .to_owned();
        let mut before = std::mem::take(&mut self.seen);
        let mut doubted = Vec::new();
        for row in db.query_all(&select).await? {
            let id: Uuid = row.try_get("", "id")?;
            let expires_at: DateTime<Utc> = row.try_get("", "expires_at")?;
            let now: DateTime<Utc> = row.try_get("", "now")?;
            let since = before
                .remove(&id)
                .filter(|(seen, _)| *seen == expires_at)
                .map_or_else(Instant::now, |(_, since)| since);
            if expires_at <= now && since.elapsed() < lease.mul_f64(SILENT) {
                doubted.push(id);
            }
            self.seen.insert(id, (expires_at, since));
        }
        Ok(doubted)
    }
}
