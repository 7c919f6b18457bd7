//! The `job` table: what the workers host.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect,
};

use uuid::Uuid;

use crate::database::{dialect, literal, rows_per_statement};

use super::Registration;
use super::entities::{job, job_run};

/// How many runs are moved to another pool by one statement.
const MOVED: u64 = 1000;

/// Writes down the types that a worker hosts, with their policies.
pub(crate) async fn register_types<'a>(
    db: &DatabaseConnection,
    jobs: impl Iterator<Item = &'a Registration>,
) -> Result<(), DbErr> {
    use job::Column as C;

    let dialect = dialect(db)?;
    let jobs: Vec<_> = jobs.collect();
    // A worker for events only may have no job tables.
    if jobs.is_empty() {
        return Ok(());
    }
    move_to_new_pools(db, &jobs).await?;
    for chunk in jobs.chunks(rows_per_statement(dialect, 7)) {
        let mut insert = Query::insert();
        insert.into_table(job::Entity).columns([
            C::Type,
            C::Pool,
            C::Policy,
            C::Version,
            C::RegisteredAt,
            C::UpdatedAt,
            C::SeenAt,
        ]);
        for job in chunk {
            insert.values_panic([
                job.job_type.into(),
                job.pool.clone().into(),
                job.description.clone().into(),
                job.version.into(),
                dialect.now(),
                dialect.now(),
                dialect.real_now(),
            ]);
        }
        insert.on_conflict(
            OnConflict::column(C::Type)
                .update_columns([C::Pool, C::Policy, C::Version, C::UpdatedAt, C::SeenAt])
                .value(C::GoneAt, Expr::null())
                .to_owned(),
        );
        db.execute(&insert).await?;
    }
    Ok(())
}

// Runs that wait in another pool would wait for ever: in the one that their job had before, or the one that a client
// without its code has guessed.
async fn move_to_new_pools(db: &DatabaseConnection, jobs: &[&Registration]) -> Result<(), DbErr> {
    let known: HashMap<_, _> = job::Entity::find()
        .select_only()
        .columns([job::Column::Type, job::Column::Pool])
        .filter(job::Column::Type.is_in(jobs.iter().map(|job| job.job_type)))
        .into_tuple::<(String, String)>()
        .all(db)
        .await?
        .into_iter()
        .collect();
    for job in jobs {
        if known.get(job.job_type) == Some(&job.pool) {
            continue;
        }
        move_to_pool(db, job).await?;
    }
    Ok(())
}

/// Moves the runs that wait for a worker, or for something to happen, to the pool that the job has here.
pub(super) async fn move_to_pool(db: &DatabaseConnection, job: &Registration) -> Result<(), DbErr> {
    // In the order in which runs go from one to the other: one that is woken meanwhile is not missed.
    for status in ["waiting", "pending"] {
        move_in_status(db, job, status).await?;
    }
    Ok(())
}

// In batches: a statement over all that waits would keep claims out for as long as it takes.
async fn move_in_status(
    db: &DatabaseConnection,
    job: &Registration,
    status: &'static str,
) -> Result<(), DbErr> {
    use job_run::Column as C;

    let mut after = Uuid::nil();
    loop {
        let select = Query::select()
            .column(C::Id)
            .from(job_run::Entity)
            .and_where(Expr::col(C::Status).eq(literal(status)))
            .and_where(C::JobType.eq(job.job_type))
            .and_where(C::Pool.ne(job.pool.as_str()))
            .and_where(C::Id.gt(after))
            .order_by(C::Id, Order::Asc)
            .limit(MOVED)
            .to_owned();
        let rows = db.query_all(&select).await?;
        let ids = rows
            .iter()
            .map(|row| row.try_get("", "id"))
            .collect::<Result<Vec<Uuid>, _>>()?;
        let Some(last) = ids.last() else {
            return Ok(());
        };
        after = *last;
        let update = Query::update()
            .table(job_run::Entity)
            .value(C::Pool, job.pool.as_str())
            .and_where(C::Id.is_in(ids))
            .and_where(C::Status.is_in(["pending", "waiting"]))
            .to_owned();
        db.execute(&update).await?;
    }
}
