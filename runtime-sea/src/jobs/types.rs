//! Which jobs there are, and whether a worker hosts them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::database::{dialect, literal, rows_per_statement};

use super::admit::waiting;
use super::entities::{job, job_run};

/// How often a worker says what it hosts.
pub(crate) const SEEN_EVERY: Duration = Duration::from_secs(30);

/// How long after the last word of a worker a job counts as gone.
const GONE_AFTER: Duration = Duration::from_secs(5 * 60);

/// How many runs are moved to their pool at a time.
const ASTRAY: u64 = 1000;

/// A job that a worker has registered at some time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobTypeRecord {
    /// Its type.
    pub job_type: String,
    /// The pool that its runs go to.
    pub pool: String,
    /// The plain settings of its policy.
    pub policy: Value,
    /// The version of the code that was registered last.
    pub version: i32,
    /// When it was first registered.
    pub registered_at: DateTime<Utc>,
    /// When it was last registered.
    pub updated_at: DateTime<Utc>,
    /// When a live worker last hosted it, to half a minute.
    pub seen_at: DateTime<Utc>,
    /// When it was found that no live worker had hosted it for five minutes. Its runs wait for one that does.
    pub gone_at: Option<DateTime<Utc>>,
}

impl From<job::Model> for JobTypeRecord {
    fn from(row: job::Model) -> Self {
        Self {
            job_type: row.r#type,
            pool: row.pool,
            policy: row.policy,
            version: row.version,
            registered_at: row.registered_at,
            updated_at: row.updated_at,
            seen_at: row.seen_at,
            gone_at: row.gone_at,
        }
    }
}

/// Every job, by type.
pub(super) async fn list(db: &DatabaseConnection) -> Result<Vec<JobTypeRecord>, DbErr> {
    let rows = job::Entity::find()
        .order_by_asc(job::Column::Type)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(JobTypeRecord::from).collect())
}

/// Says that these jobs are hosted, and marks those that nobody has said so of for long. Rows are never deleted: another
/// worker of the fleet may host the job again.
pub(crate) async fn keep(db: &DatabaseConnection, hosted: &[String]) -> Result<(), DbErr> {
    use job::Column as C;

    let dialect = dialect(db)?;
    for types in hosted.chunks(rows_per_statement(dialect, 1) / 2) {
        let seen = Query::update()
            .table(job::Entity)
            .value(C::SeenAt, dialect.real_now())
            .value(C::GoneAt, Expr::null())
            .and_where(C::Type.is_in(types))
            .to_owned();
        db.execute(&seen).await?;
    }
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

/// Moves runs that wait in another pool than their job's, where perhaps no worker claims: a process with older code has
/// started them, or held them when the job got its pool. Returns whether there were any.
pub(crate) async fn bring_home(db: &DatabaseConnection, hosted: &[String]) -> Result<bool, DbErr> {
    use job_run::Column as R;

    let homes = job::Entity::find()
        .filter(job::Column::Type.is_in(hosted))
        .all(db)
        .await?;
    let mut moved = false;
    if homes.is_empty() {
        return Ok(moved);
    }
    let astray = homes.iter().fold(Condition::any(), |any, job| {
        any.add(R::JobType.eq(&job.r#type).and(R::Pool.ne(&job.pool)))
    });
    for readiness in ["ready", "scheduled", "blocked"] {
        loop {
            let select = waiting(readiness)
                .columns([R::Id, R::JobType])
                .cond_where(astray.clone())
                .limit(ASTRAY)
                .to_owned();
            let rows = db.query_all(&select).await?;
            let runs = rows
                .iter()
                .map(|row| Ok((row.try_get("", "id")?, row.try_get("", "job_type")?)))
                .collect::<Result<Vec<(Uuid, String)>, DbErr>>()?;
            let mut changed = 0;
            for job in &homes {
                let ids: Vec<_> = runs
                    .iter()
                    .filter(|(_, job_type)| *job_type == job.r#type)
                    .map(|(id, _)| *id)
                    .collect();
                if ids.is_empty() {
                    continue;
                }
                let update = Query::update()
                    .table(job_run::Entity)
                    .value(R::Pool, job.pool.as_str())
                    .and_where(R::Id.is_in(ids))
                    .and_where(Expr::col(R::Status).eq(literal("pending")))
                    .to_owned();
                changed += db.execute(&update).await?.rows_affected();
            }
            moved |= changed > 0;
            if changed == 0 {
                break;
            }
        }
    }
    Ok(moved)
}
