//! Whose pool counts where workers disagree about a job's.
//!
//! The one that was registered last, for as long as workers say that they host the job in it: runs that wait go there,
//! and those that are started by name or replayed. A deployment that is taken back, or a worker of the old one that was
//! the last to start, leaves its pool behind, and then the job goes to the workers that are left.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, FromQueryResult};

use crate::database::{dialect, read_row, rows_per_statement};
use crate::watched::{SEEN_EVERY, Watched};

use super::Registration;
use super::entities::job::{self, Column as C};
use super::register::move_to_pool;

/// How long after the last word of a worker a job counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(5 * 60);

/// The jobs that a worker executes, and what it has seen of their rows.
pub(crate) struct Hosting<'a> {
    jobs: &'a [Registration],
    looked: Option<Instant>,
    /// Those whose row names another pool than this worker's.
    watched: HashMap<String, Watched>,
    /// Those that have this worker's pool since it has looked, and whose runs are not all there yet.
    moving: Vec<&'a Registration>,
}

#[derive(Debug, FromQueryResult)]
struct Row {
    r#type: String,
    pool: String,
    seen_at: DateTime<Utc>,
    real_now: DateTime<Utc>,
}

impl<'a> Hosting<'a> {
    pub(crate) fn new(jobs: &'a [Registration]) -> Self {
        Self {
            jobs,
            looked: None,
            watched: HashMap::new(),
            moving: Vec::new(),
        }
    }

    /// Where it is time: says that these jobs are hosted in their pools, marks those that nobody has said so of for long,
    /// and gives a job its pool here where nobody is left that hosts it in another. Rows are never deleted: another worker
    /// of the fleet may host the job again. Returns whether runs were moved.
    pub(crate) async fn look(&mut self, db: &DatabaseConnection) -> Result<bool, DbErr> {
        if self.looked.is_some_and(|at| at.elapsed() < SEEN_EVERY) {
            return Ok(false);
        }
        self.renew(db).await?;
        mark_gone(db).await?;
        for job in self.left_alone(db).await? {
            if adopt(db, job).await? {
                self.moving.push(job);
            }
        }
        let moved = !self.moving.is_empty();
        while let Some(job) = self.moving.last() {
            move_to_pool(db, job).await?;
            self.moving.pop();
        }
        self.looked = Some(Instant::now());
        Ok(moved)
    }

    // Unless another worker just has.
    async fn renew(&self, db: &DatabaseConnection) -> Result<(), DbErr> {
        let dialect = dialect(db)?;
        let mut by_pool: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for job in self.jobs {
            by_pool.entry(&job.pool).or_default().push(job.job_type);
        }
        let long_ago = || dialect.real_now_plus_seconds(-SEEN_EVERY.as_secs_f64());
        for (pool, types) in by_pool {
            for types in types.chunks(rows_per_statement(dialect, 1) / 2) {
                let seen_at = || Expr::col(C::SeenAt);
                let seen = Query::update()
                    .table(job::Entity)
                    .value(C::SeenAt, dialect.real_now())
                    .value(C::GoneAt, Expr::null())
                    .and_where(C::Type.is_in(types.iter().copied()))
                    .and_where(C::Pool.eq(pool))
                    .and_where(
                        C::GoneAt
                            .is_not_null()
                            .or(seen_at().lt(long_ago()))
                            .or(seen_at().gt(dialect.real_now())),
                    )
                    .to_owned();
                db.execute(&seen).await?;
            }
        }
        Ok(())
    }

    // The jobs that nobody hosts in the pool of their row.
    async fn left_alone(
        &mut self,
        db: &DatabaseConnection,
    ) -> Result<Vec<&'a Registration>, DbErr> {
        let dialect = dialect(db)?;
        let before = std::mem::take(&mut self.watched);
        let mut left = Vec::new();
        for jobs in self.jobs.chunks(rows_per_statement(dialect, 1) / 2) {
            let select = Query::select()
                .columns([C::Type, C::Pool, C::SeenAt])
                .expr_as(dialect.real_now(), "real_now")
                .from(job::Entity)
                .and_where(C::Type.is_in(jobs.iter().map(|job| job.job_type)))
                .to_owned();
            for row in db.query_all(&select).await? {
                // Who mends it registers it anew.
                let Ok(Row {
                    r#type,
                    pool,
                    seen_at,
                    real_now,
                }) = read_row(&row)
                else {
                    continue;
                };
                let other = |job: &&Registration| job.job_type == r#type && job.pool != pool;
                let Some(job) = jobs.iter().find(other) else {
                    continue;
                };
                let watched = Watched::go_on(before.get(&r#type).copied(), seen_at);
                if watched.is_over(real_now) {
                    tracing::warn!(
                        job_type = job.job_type,
                        left_behind = pool,
                        pool = job.pool,
                        "no worker is left that hosts the job in the pool that its runs go to; they go to this worker's"
                    );
                    left.push(job);
                }
                self.watched.insert(r#type, watched);
            }
        }
        Ok(left)
    }
}

async fn mark_gone(db: &DatabaseConnection) -> Result<(), DbErr> {
    let dialect = dialect(db)?;
    let gone = Query::update()
        .table(job::Entity)
        .value(C::GoneAt, dialect.now())
        .and_where(C::GoneAt.is_null())
        .and_where(
            Expr::col(C::SeenAt).lt(dialect.real_now_plus_seconds(-GONE_AFTER.as_secs_f64())),
        )
        .to_owned();
    db.execute(&gone).await.map(drop)
}

// Gives the job's row what this worker registers, unless another worker has said something about it just now. Returns
// whether it has.
async fn adopt(db: &DatabaseConnection, job: &Registration) -> Result<bool, DbErr> {
    let dialect = dialect(db)?;
    let long_ago = dialect.real_now_plus_seconds(-SEEN_EVERY.as_secs_f64());
    let update = Query::update()
        .table(job::Entity)
        .value(C::Pool, job.pool.as_str())
        .value(C::Policy, job.description.clone())
        .value(C::Version, job.version)
        .value(C::UpdatedAt, dialect.now())
        .value(C::SeenAt, dialect.real_now())
        .value(C::GoneAt, Expr::null())
        .and_where(C::Type.eq(job.job_type))
        .and_where(C::Pool.ne(job.pool.as_str()))
        .and_where(
            Expr::col(C::SeenAt)
                .lt(long_ago)
                .or(Expr::col(C::SeenAt).gt(dialect.real_now())),
        )
        .to_owned();
    Ok(db.execute(&update).await?.rows_affected() > 0)
}
