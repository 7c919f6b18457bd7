//! The `job_pool` table: settings that hold for every worker.

use std::collections::BTreeMap;

use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QuerySelect};
use serde::Serialize;

use crate::database::dialect;
use crate::events::EventPool;

use super::entities::{job, job_pool};

/// A pool of runs or a lane of the event drain, as it is set for all workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PoolRecord {
    /// Its name.
    pub name: String,
    /// Whether nothing is claimed from it.
    pub paused: bool,
    /// The most runs that execute at a time, over all workers.
    pub run_limit: Option<u32>,
}

pub(super) async fn set_paused(
    db: &DatabaseConnection,
    pool: &str,
    paused: bool,
) -> Result<(), DbErr> {
    set(db, pool, job_pool::Column::Paused, paused.into()).await
}

pub(super) async fn set_limit(
    db: &DatabaseConnection,
    pool: &str,
    limit: Option<u32>,
) -> Result<(), DbErr> {
    let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
    set(db, pool, job_pool::Column::RunLimit, limit.into()).await
}

async fn set(
    db: &DatabaseConnection,
    pool: &str,
    column: job_pool::Column,
    value: sea_orm::Value,
) -> Result<(), DbErr> {
    use job_pool::Column as C;

    let upsert = Query::insert()
        .into_table(job_pool::Entity)
        .columns([C::Name, column, C::UpdatedAt])
        .values_panic([pool.into(), value.into(), dialect(db)?.now()])
        .on_conflict(
            OnConflict::column(C::Name)
                .update_columns([column, C::UpdatedAt])
                .to_owned(),
        )
        .to_owned();
    db.execute(&upsert).await.map(drop)
}

/// The pools of registered jobs, the lanes, and every other one that has settings; by name.
pub(super) async fn list(db: &DatabaseConnection) -> Result<Vec<PoolRecord>, DbErr> {
    let of_jobs = job::Entity::find()
        .select_only()
        .column(job::Column::Pool)
        .distinct()
        .into_tuple::<String>()
        .all(db)
        .await?;
    let lanes = EventPool::ALL.map(|lane| lane.as_str().to_owned());
    let mut pools: BTreeMap<_, _> = of_jobs
        .into_iter()
        .chain(lanes)
        .map(|name| {
            let record = PoolRecord {
                name: name.clone(),
                paused: false,
                run_limit: None,
            };
            (name, record)
        })
        .collect();
    let set = job_pool::Entity::find()
        .select_only()
        .columns([
            job_pool::Column::Name,
            job_pool::Column::Paused,
            job_pool::Column::RunLimit,
        ])
        .into_tuple::<(String, bool, Option<i32>)>();
    for (name, paused, run_limit) in set.all(db).await? {
        let record = PoolRecord {
            name: name.clone(),
            paused,
            run_limit: run_limit.and_then(|limit| u32::try_from(limit).ok()),
        };
        pools.insert(name, record);
    }
    Ok(pools.into_values().collect())
}
