//! The `job` table: what the workers host.

use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use crate::database::{dialect, rows_per_statement};

use super::Registration;
use super::entities::job;

/// Writes down the types that a worker hosts, with their policies.
pub(crate) async fn register_types<'a>(
    db: &DatabaseConnection,
    jobs: impl Iterator<Item = &'a Registration>,
) -> Result<(), DbErr> {
    use job::Column as C;

    let dialect = dialect(db)?;
    let jobs: Vec<_> = jobs.collect();
    for chunk in jobs.chunks(rows_per_statement(dialect, 5)) {
        let mut insert = Query::insert();
        insert.into_table(job::Entity).columns([
            C::Type,
            C::Pool,
            C::Policy,
            C::RegisteredAt,
            C::UpdatedAt,
        ]);
        for job in chunk {
            insert.values_panic([
                job.job_type.into(),
                job.pool.clone().into(),
                job.description.clone().into(),
                dialect.now(),
                dialect.now(),
            ]);
        }
        insert.on_conflict(
            OnConflict::column(C::Type)
                .update_columns([C::Pool, C::Policy, C::UpdatedAt])
                .to_owned(),
        );
        db.execute(&insert).await?;
    }
    Ok(())
}
