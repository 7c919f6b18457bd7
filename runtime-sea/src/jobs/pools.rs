//! The `job_pool` table: settings that hold for every worker.

use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use crate::database::dialect;

use super::entities::job_pool;

pub(crate) async fn set_paused(
    db: &DatabaseConnection,
    pool: &str,
    paused: bool,
) -> Result<(), DbErr> {
    use job_pool::Column as C;

    let upsert = Query::insert()
        .into_table(job_pool::Entity)
        .columns([C::Name, C::Paused, C::UpdatedAt])
        .values_panic([pool.into(), paused.into(), dialect(db)?.now()])
        .on_conflict(
            OnConflict::column(C::Name)
                .update_columns([C::Paused, C::UpdatedAt])
                .to_owned(),
        )
        .to_owned();
    db.execute(&upsert).await.map(drop)
}
