//! Changing rows and telling which, on a database without `RETURNING`: lock, change, read.

use sea_orm::sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt};
use sea_orm::sea_query::{
    Expr, ExprTrait, IntoValueTuple, LockBehavior, LockType, OnConflict, Query, SelectStatement,
    UpdateStatement, ValueTuple,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IdenStatic,
    Iterable, PrimaryKeyToColumn, PrimaryKeyTrait, QueryResult, TryGetableMany,
};

use super::write::key;
use super::{dialect, rows_per_statement};

/// How many rows more than wanted are looked at, because others may be taking the first ones.
const SPARE: u64 = 128;

/// Locks the rows for which a condition holds, and returns their primary keys.
pub(super) async fn lock<E: EntityTrait>(
    tx: &DatabaseTransaction,
    condition: Condition,
) -> Result<Vec<ValueTuple>, DbErr> {
    let select = Query::select()
        .exprs(key::<E>())
        .from(E::default())
        .cond_where(condition)
        .lock(LockType::Update)
        .to_owned();
    keys::<E>(&tx.query_all(&select).await?)
}

/// Locks the first `limit` rows that `picked` selects, skipping those that another transaction has locked.
///
/// What is picked is found without locks, and then locked by its key: a database that locks what it reads would
/// otherwise lock every row that it has to sort.
pub(super) async fn lock_picked<E: EntityTrait>(
    tx: &DatabaseTransaction,
    picked: &SelectStatement,
    limit: u64,
) -> Result<Vec<ValueTuple>, DbErr> {
    let candidates = tx
        .query_all(picked.clone().limit(limit.saturating_add(SPARE)))
        .await?;
    let candidates = keys::<E>(&candidates)?;
    let mut locked = Vec::new();
    let mut left = candidates.as_slice();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    while locked.len() < limit && !left.is_empty() {
        let (next, rest) = left.split_at(left.len().min(limit - locked.len()));
        left = rest;
        // They may have changed since. Through another index it would lock the index's entries too, which whoever
        // changes one of the rows has to change.
        let select = picked
            .clone()
            .reset_limit()
            .clear_order_by()
            .force_index("PRIMARY", IndexHintScope::All)
            .and_where(is_one_of::<E>(next))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        locked.extend(keys::<E>(&tx.query_all(&select).await?)?);
    }
    Ok(locked)
}

/// Makes an upsert replace columns where a condition holds, one after the other.
///
/// It locks the row that is there for writing from the start. A plain insert would lock it for reading, and two that
/// go on to change it would be in each other's way.
pub(super) fn replace_if<C: ColumnTrait>(
    on_conflict: &mut OnConflict,
    columns: impl IntoIterator<Item = C>,
    condition: &Expr,
) {
    for column in columns {
        let new = Expr::cust_with_expr("VALUES(?)", Expr::col(column));
        let value = Expr::case(condition.clone(), new).finally(Expr::col(column));
        on_conflict.value(column, value);
    }
}

/// Changes the rows of these keys, and returns columns of them as they are then.
pub(super) async fn update<E: EntityTrait>(
    tx: &DatabaseTransaction,
    keys: &[ValueTuple],
    update: UpdateStatement,
    columns: impl IntoIterator<Item = E::Column>,
) -> Result<Vec<QueryResult>, DbErr> {
    let columns: Vec<_> = columns.into_iter().collect();
    let mut rows = Vec::with_capacity(keys.len());
    // Half of the parameters are left to the update's own.
    let chunk = rows_per_statement(dialect(tx)?, E::PrimaryKey::iter().count()) / 2;
    for keys in keys.chunks(chunk.max(1)) {
        let mut update = update.clone();
        update.and_where(is_one_of::<E>(keys));
        tx.execute(&update).await?;
        let select = Query::select()
            .columns(columns.iter().copied())
            .from(E::default())
            .and_where(is_one_of::<E>(keys))
            .to_owned();
        rows.extend(tx.query_all(&select).await?);
    }
    Ok(rows)
}

/// The primary keys in a result.
pub(super) fn keys<E: EntityTrait>(rows: &[QueryResult]) -> Result<Vec<ValueTuple>, DbErr> {
    type Key<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

    let names: Vec<String> = E::PrimaryKey::iter()
        .map(|key| key.into_column().as_str().to_owned())
        .collect();
    rows.iter()
        .map(|row| {
            let key = Key::<E>::try_get_many(row, "", &names).map_err(DbErr::from)?;
            Ok(key.into_value_tuple())
        })
        .collect()
}

fn is_one_of<E: EntityTrait>(keys: &[ValueTuple]) -> Expr {
    match key::<E>().as_slice() {
        [key] => key
            .clone()
            .is_in(keys.iter().cloned().flatten().map(Expr::val)),
        several => Expr::tuple(several.to_vec()).in_tuples(keys.iter().cloned()),
    }
}
