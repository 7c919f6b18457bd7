//! Which jobs there are, and whether a worker hosts them.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::database::{literal, read_all};

use super::Registration;
use super::admit::waiting;
use super::entities::{job, job_run};

/// How many runs are moved to their pool at a time.
const ASTRAY: u64 = 1000;

/// A job that a worker has registered at some time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobTypeRecord {
    /// Its type.
    pub job_type: String,
    /// The pool that its runs go to: the one that the worker has which registered the job last, for as long as there are
    /// workers that have it.
    pub pool: String,
    /// The plain settings of its policy.
    pub policy: Value,
    /// The version of the code that was registered last.
    pub version: i32,
    /// When it was first registered.
    pub registered_at: DateTime<Utc>,
    /// When it was last registered.
    pub updated_at: DateTime<Utc>,
    /// When a live worker last hosted it, to some seconds.
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
    let rows = read_all(db, &job::Entity::find().order_by_asc(job::Column::Type)).await?;
    Ok(rows.into_iter().map(JobTypeRecord::from).collect())
}

/// Moves runs that wait in another pool than their job's, where perhaps no worker claims: a process with older code has
/// started them, or held them when the job got its pool. Returns whether there were any.
pub(crate) async fn bring_home(
    db: &DatabaseConnection,
    hosted: &[Registration],
) -> Result<bool, DbErr> {
    use job_run::Column as R;

    let homes = job::Entity::find()
        .select_only()
        .columns([job::Column::Type, job::Column::Pool])
        .filter(job::Column::Type.is_in(hosted.iter().map(|job| job.job_type)))
        .into_tuple::<(String, String)>()
        .all(db)
        .await?;
    let mut moved = false;
    if homes.is_empty() {
        return Ok(moved);
    }
    let astray = homes
        .iter()
        .fold(Condition::any(), |any, (job_type, pool)| {
            any.add(R::JobType.eq(job_type).and(R::Pool.ne(pool)))
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
            for (home_of, pool) in &homes {
                let ids: Vec<_> = runs
                    .iter()
                    .filter(|(_, job_type)| job_type == home_of)
                    .map(|(id, _)| *id)
                    .collect();
                if ids.is_empty() {
                    continue;
                }
                let update = Query::update()
                    .table(job_run::Entity)
                    .value(R::Pool, pool.as_str())
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
