//! Handing a concurrency key on to the next run.

use sea_orm::sea_query::{
    Alias, CommonTableExpression, Expr, ExprTrait, Func, Order, Query, SelectStatement, UnionType,
    WithClause,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    IdenStatic,
};

use crate::database::{begin_short, retrying, update_picked_in};

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

const WAITING: &str = "waiting";
const STEP: &str = "step";

/// How many keys are looked at in one statement: MySQL and MariaDB recur a thousand times, unless told otherwise.
const KEYS: i32 = 500;

/// Releases keys that nobody holds though runs wait for them: what a crash between two decisions leaves behind.
pub(crate) async fn release_orphaned_keys(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let mut any = false;
    let mut after: Option<String> = None;
    loop {
        let rows = db.query_all(&next_keys(after.as_deref())).await?;
        let mut last = None;
        for row in rows {
            let key: String = row.try_get("", "concurrency_key")?;
            if row.try_get("", "is_orphaned")? {
                any |= retrying(db, || release_alone(db, &key)).await?;
            }
            if row.try_get::<i32>("", "step")? == KEYS {
                last = Some(key);
            }
        }
        if last.is_none() {
            return Ok(any);
        }
        after = last;
    }
}

async fn release_alone(db: &DatabaseConnection, key: &str) -> Result<bool, DbErr> {
    let tx = begin_short(db).await?;
    let released = release(&tx, key).await?;
    tx.commit().await?;
    Ok(released)
}

// Those that nobody holds of the next keys that runs wait for, and the last one of them all. It steps from key to key
// through the index, however many runs wait for each.
fn next_keys(after: Option<&str>) -> SelectStatement {
    use job_run::Column as C;

    let key = || Expr::col((WAITING, C::ConcurrencyKey));
    let step = || Expr::col((WAITING, STEP));
    let mut first = waiting("blocked");
    first
        .expr_as(Func::min(Expr::col(C::ConcurrencyKey)), C::ConcurrencyKey)
        .expr_as(Expr::cust("1"), STEP);
    if let Some(after) = after {
        first.and_where(C::ConcurrencyKey.gt(after));
    }
    let next = waiting("blocked")
        .expr(Func::min(Expr::col((job_run::Entity, C::ConcurrencyKey))))
        .and_where(Expr::col((job_run::Entity, C::ConcurrencyKey)).gt(key()))
        .to_owned();
    let following = Query::select()
        .expr(Expr::from(next))
        .expr(step().add(Expr::cust("1")))
        .from(WAITING)
        .and_where(key().is_not_null())
        .and_where(step().lt(KEYS))
        .to_owned();
    let keys = CommonTableExpression::new()
        .query(first.union(UnionType::All, following).to_owned())
        .columns([C::ConcurrencyKey.as_str(), STEP])
        .table_name(WAITING)
        .to_owned();
    let held = Query::select()
        .expr(Expr::val(1))
        .from(job_run::Entity)
        .and_where(Expr::col((job_run::Entity, C::ActiveKey)).equals((WAITING, C::ConcurrencyKey)))
        .to_owned();
    Query::select()
        .expr(key())
        .expr(step())
        .expr_as(Expr::exists(held.clone()).not(), "is_orphaned")
        .from(WAITING)
        .and_where(key().is_not_null())
        .cond_where(
            Condition::any()
                .add(Expr::exists(held).not())
                .add(step().eq(KEYS)),
        )
        .with_cte(WithClause::new().recursive(true).cte(keys).to_owned())
        .to_owned()
}
