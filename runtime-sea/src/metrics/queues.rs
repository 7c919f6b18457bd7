//! The gauges: how much waits, for how long, and how far the clocks are apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr};

use super::{
    CLOCK_OFFSET, DELIVERY_DEPTH, DELIVERY_OLDEST, EVENT_DEPTH, EVENT_OLDEST, JOB_DEPTH,
    JOB_OLDEST, gauge, record,
};
use crate::database::{dialect, literal};
use crate::events::drain::Lane;
use crate::events::entities::{domain_event, event_delivery};
use crate::jobs::entities::job_run;

/// How far a queue is counted: a sample must stay cheap when there is a backlog.
const DEEPEST: u64 = 10_000;

/// From which difference on the clocks are worth a warning.
const SKEW: TimeDelta = TimeDelta::seconds(5);

/// How far the database's clock is ahead of this process's, as measured last. Never for a decision: those are the
/// database's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    microseconds: Arc<AtomicI64>,
}

impl Clock {
    /// How long ago a moment of the database's clock is, about.
    pub(crate) fn since(&self, moment: DateTime<Utc>) -> Duration {
        let now = Utc::now() + self.offset();
        (now - moment).to_std().unwrap_or_default()
    }

    fn offset(&self) -> TimeDelta {
        TimeDelta::microseconds(self.microseconds.load(Ordering::Relaxed))
    }

    // Returns the offset before.
    fn measured(&self, offset: TimeDelta) -> TimeDelta {
        let microseconds = offset.num_microseconds().unwrap_or_default();
        TimeDelta::microseconds(self.microseconds.swap(microseconds, Ordering::Relaxed))
    }
}

/// What a worker samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sampler {
    /// The pools whose runs it executes.
    pub(crate) job_pools: Vec<String>,
    /// The lanes whose events it takes from the outbox.
    pub(crate) lanes: Vec<Lane>,
}

impl Sampler {
    /// Asks the database, and sets the gauges.
    pub(crate) async fn sample(&self, db: &DatabaseConnection, clock: &Clock) -> Result<(), DbErr> {
        measure(db, clock).await?;
        for pool in &self.job_pools {
            let (depth, oldest) = look(db, ready_runs(pool)).await?;
            record(|| {
                gauge!(JOB_DEPTH, "pool" => pool.clone()).set(depth);
                gauge!(JOB_OLDEST, "pool" => pool.clone()).set(oldest);
            });
        }
        for lane in &self.lanes {
            let name = lane.name();
            let (depth, oldest) = look(db, undispatched_events(*lane)).await?;
            record(|| {
                gauge!(EVENT_DEPTH, "pool" => name).set(depth);
                gauge!(EVENT_OLDEST, "pool" => name).set(oldest);
            });
            let (depth, oldest) = look(db, waiting_deliveries(*lane)).await?;
            record(|| {
                gauge!(DELIVERY_DEPTH, "pool" => name).set(depth);
                gauge!(DELIVERY_OLDEST, "pool" => name).set(oldest);
            });
        }
        Ok(())
    }
}

async fn measure(db: &DatabaseConnection, clock: &Clock) -> Result<(), DbErr> {
    let select = Query::select()
        .expr_as(dialect(db)?.now(), "now")
        .to_owned();
    let (asked, sent) = (Utc::now(), Instant::now());
    let Some(row) = db.query_one(&select).await? else {
        return Ok(());
    };
    // An answer that had to be waited for does not tell the difference.
    if TimeDelta::from_std(sent.elapsed()).unwrap_or(TimeDelta::MAX) > SKEW {
        return Ok(());
    }
    let midway = asked + TimeDelta::from_std(sent.elapsed() / 2).unwrap_or_default();
    let offset = row.try_get::<DateTime<Utc>>("", "now")? - midway;
    let before = clock.measured(offset);
    if offset.abs() > SKEW && before.abs() <= SKEW {
        tracing::warn!(
            seconds = offset.as_seconds_f64(),
            "the database's clock and this process's differ; the database's is the one that counts"
        );
    }
    record(|| gauge!(CLOCK_OFFSET).set(offset.as_seconds_f64()));
    Ok(())
}

fn ready_runs(pool: &str) -> SelectStatement {
    use job_run::Column as C;

    Query::select()
        .expr_as(Expr::col(C::RunAt), "since")
        .from(job_run::Entity)
        .and_where(Expr::col(C::Status).eq(literal("pending")))
        .and_where(Expr::col(C::Readiness).eq(literal("ready")))
        .and_where(C::Pool.eq(pool))
        .order_by(C::Priority, Order::Desc)
        .order_by(C::RunAt, Order::Asc)
        .limit(DEEPEST)
        .to_owned()
}

fn undispatched_events(lane: Lane) -> SelectStatement {
    use domain_event::Column as C;

    Query::select()
        .expr_as(Expr::col(C::CreatedAt), "since")
        .from(domain_event::Entity)
        .and_where(Expr::col(C::Status).eq(literal("pending")))
        .and_where(C::DispatchedAt.is_null())
        .and_where(match lane {
            Lane::Pool(pool) => C::Pool.eq(pool.as_str()),
            Lane::Audit => C::Pool.is_null(),
        })
        .order_by(C::Seq, Order::Asc)
        .limit(DEEPEST)
        .to_owned()
}

fn waiting_deliveries(lane: Lane) -> SelectStatement {
    use event_delivery::Column as C;

    Query::select()
        .expr_as(Expr::col(C::CreatedAt), "since")
        .from(event_delivery::Entity)
        .and_where(Expr::col(C::Status).eq(literal("pending")))
        .and_where(C::Pool.eq(lane.name()))
        .order_by(C::EventSeq, Order::Asc)
        .limit(DEEPEST)
        .to_owned()
}

// How many there are, and for how many seconds the oldest has been there.
async fn look(db: &DatabaseConnection, waiting: SelectStatement) -> Result<(f64, f64), DbErr> {
    let select = Query::select()
        .expr_as(Expr::col(Asterisk).count(), "depth")
        .expr_as(Expr::col("since").min(), "oldest")
        .expr_as(dialect(db)?.now(), "now")
        .from_subquery(waiting, "waiting")
        .to_owned();
    let Some(row) = db.query_one(&select).await? else {
        return Ok((0.0, 0.0));
    };
    let depth: i64 = row.try_get("", "depth")?;
    let oldest: Option<DateTime<Utc>> = row.try_get("", "oldest")?;
    let now: DateTime<Utc> = row.try_get("", "now")?;
    let age = oldest.map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0));
    // At most ten thousand, which every number has room for.
    Ok((f64::from(i32::try_from(depth).unwrap_or(i32::MAX)), age))
}
