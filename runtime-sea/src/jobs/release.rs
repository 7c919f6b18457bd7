//! Handing a concurrency key on to the next run.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement,
};

use crate::database::{begin_short, update_picked_in};

use super::admit::waiting;
use super::entities::job_run;

/// Hands a key that its holder has given up in this transaction to the next run that waits for it.
pub(crate) async fn release(tx: &DatabaseTransaction, key: &str) -> Result<bool, DbErr> {
    use job_run::Column as C;

    let holder = Alias::new("holder");
    let taken = Query::select()
        .expr(Expr::val(1))
        .from_as(job_run::Entity, holder.clone())
        .and_where(Expr::col((holder, C::ActiveKey)).eq(key))
        .to_owned();
    let next = waiting("blocked")
        .column(C::Id)
        .and_where(C::ConcurrencyKey.eq(key))
        .and_where(Expr::exists(taken).not())
        .order_by(C::Priority, Order::Desc)
        .order_by(C::RunAt, Order::Asc)
        .order_by(C::Id, Order::Asc)
        .to_owned();
    let update = Query::update()
        .table(job_run::Entity)
        .value(C::Readiness, "ready")
        .value(C::ActiveKey, key)
        .to_owned();
    let released = update_picked_in::<job_run::Entity>(tx, &next, 1, update, [C::Id]).await?;
    Ok(!released.is_empty())
}

/// Releases keys that nobody holds though runs wait for them: what a crash between two decisions leaves behind.
pub(crate) async fn release_orphaned_keys(db: &DatabaseConnection) -> Result<bool, DbErr> {
    // Steps from key to key through the index, however many runs wait for each.
    const ORPHANED_KEYS: &str = "\
        WITH RECURSIVE waiting (concurrency_key) AS ( \
            SELECT MIN(concurrency_key) FROM job_run \
            WHERE status = 'pending' AND readiness = 'blocked' \
            UNION ALL \
            SELECT (SELECT MIN(run.concurrency_key) FROM job_run AS run \
                    WHERE run.status = 'pending' AND run.readiness = 'blocked' \
                      AND run.concurrency_key > waiting.concurrency_key) \
            FROM waiting WHERE waiting.concurrency_key IS NOT NULL) \
        SELECT concurrency_key FROM waiting \
        WHERE concurrency_key IS NOT NULL \
          AND NOT EXISTS (SELECT 1 FROM job_run WHERE active_key = waiting.concurrency_key)";
    let rows = db
        .query_all_raw(Statement::from_string(
            db.get_database_backend(),
            ORPHANED_KEYS,
        ))
        .await?;
    let mut any = false;
    for row in rows {
        let key: String = row.try_get("", "concurrency_key")?;
        let tx = begin_short(db).await?;
        any |= release(&tx, &key).await?;
        tx.commit().await?;
    }
    Ok(any)
}
