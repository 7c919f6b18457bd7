//! Writes that say which rows they changed: with `RETURNING`, or by looking first under locks.

use std::collections::HashSet;
use std::hash::Hash;

use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait, InsertStatement, LockBehavior, LockType, OnConflict,
    Query, ReturningClause, SelectStatement, UpdateStatement, WithClause,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, Iterable, PrimaryKeyToColumn, QueryResult, SqlErr, TryGetableMany,
};

use super::{dialect, in_statements, without_returning};

/// Inserts a row, or nothing where a unique key of it is taken or the select that it comes from finds none. Returns
/// whether it was inserted. The statement says nothing about conflicts itself.
pub(crate) async fn insert_if_new(
    conn: &impl ConnectionTrait,
    insert: &InsertStatement,
) -> Result<bool, DbErr> {
    if dialect(conn)?.has_returning() {
        let insert = ignoring_conflicts(insert);
        return Ok(conn.execute(&insert).await?.rows_affected() > 0);
    }
    // Not by the database's own form of it, which would ignore other errors too: a duplicate fails the statement, and
    // the transaction goes on.
    match conn.execute(insert).await {
        Ok(done) => Ok(done.rows_affected() > 0),
        Err(error) if is_duplicate(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Inserts a row; where its key is taken, the row that is there gets these columns of the new one if `condition` holds
/// for it. What the condition asks about comes last among the columns. Returns whether it was written, where the database
/// tells; else a look at the row does.
pub(crate) async fn insert_or_replace<C: ColumnTrait>(
    conn: &impl ConnectionTrait,
    insert: &InsertStatement,
    key: C,
    columns: impl IntoIterator<Item = C>,
    condition: Expr,
) -> Result<Option<bool>, DbErr> {
    let mut on_conflict = OnConflict::column(key);
    if dialect(conn)?.has_returning() {
        on_conflict
            .update_columns(columns)
            .action_and_where(condition);
        let insert = insert.clone().on_conflict(on_conflict).to_owned();
        return Ok(Some(conn.execute(&insert).await?.rows_affected() > 0));
    }
    without_returning::replace_if(&mut on_conflict, columns, &condition);
    let insert = insert.clone().on_conflict(on_conflict).to_owned();
    // A row that stays as it is counts as affected too.
    conn.execute(&insert).await?;
    Ok(None)
}

/// Inserts rows of which some may be there already, and returns the keys of those that were not. `insert` has the table
/// and the columns, and `key` names the columns of the table's primary key.
pub(crate) async fn insert_new<K>(
    tx: &DatabaseTransaction,
    insert: &InsertStatement,
    key: &[&'static str],
    rows: Vec<(K, Vec<Expr>)>,
) -> Result<HashSet<K>, DbErr>
where
    K: Eq + Hash + TryGetableMany,
{
    let dialect = dialect(tx)?;
    let with = |rows: &[(K, Vec<Expr>)]| {
        let mut insert = insert.clone();
        for (_, values) in rows {
            insert.values_panic(values.iter().cloned());
        }
        insert
    };
    let names: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    let mut inserted = HashSet::new();
    for chunk in in_statements(dialect, rows, 0, |(_, values)| values) {
        if dialect.has_returning() {
            let mut insert = ignoring_conflicts(&with(&chunk));
            insert.returning(Query::returning().columns(key.iter().copied()));
            for row in tx.query_all(&insert).await? {
                inserted.insert(K::try_get_many(&row, "", &names).map_err(DbErr::from)?);
            }
        } else if insert_if_new(tx, &with(&chunk)).await? {
            inserted.extend(chunk.into_iter().map(|(key, _)| key));
        } else {
            // One of them at least is there.
            for row in chunk {
                if insert_if_new(tx, &with(std::slice::from_ref(&row))).await? {
                    inserted.insert(row.0);
                }
            }
        }
    }
    Ok(inserted)
}

/// Runs `update` on the rows of `E` for which `condition` holds, and returns these columns of them as they are
/// afterwards.
pub(crate) async fn update_returning<E: EntityTrait>(
    tx: &DatabaseTransaction,
    mut update: UpdateStatement,
    condition: Condition,
    columns: impl IntoIterator<Item = E::Column>,
) -> Result<Vec<QueryResult>, DbErr> {
    if !dialect(tx)?.has_returning() {
        let keys = without_returning::lock::<E>(tx, condition).await?;
        return without_returning::update::<E>(tx, &keys, update, columns).await;
    }
    update.cond_where(condition).returning(returning(columns));
    tx.query_all(&update).await
}

/// Runs `update` on the rows of `E` whose primary keys `chosen` selects, and returns these columns of them as they are
/// afterwards. Nobody else may be choosing among the same rows.
pub(crate) async fn update_chosen<E: EntityTrait>(
    tx: &DatabaseTransaction,
    chosen: SelectStatement,
    mut update: UpdateStatement,
    columns: impl IntoIterator<Item = E::Column>,
) -> Result<Vec<QueryResult>, DbErr> {
    if !dialect(tx)?.has_returning() {
        let keys = without_returning::keys::<E>(&tx.query_all(&chosen).await?)?;
        return without_returning::update::<E>(tx, &keys, update, columns).await;
    }
    update
        .and_where(Expr::tuple(key::<E>()).in_subquery(chosen))
        .returning(returning(columns));
    tx.query_all(&update).await
}

/// Runs `update` on the first `limit` rows of `E` whose primary keys `picked` selects, and returns these columns of them
/// as they are afterwards: atomically, in a transaction of its own, skipping rows that another worker is taking.
pub(crate) async fn update_picked<E: EntityTrait>(
    db: &DatabaseConnection,
    picked: &SelectStatement,
    limit: u64,
    update: UpdateStatement,
    columns: impl IntoIterator<Item = E::Column>,
) -> Result<Vec<QueryResult>, DbErr> {
    let dialect = dialect(db)?;
    if dialect.updates_in_one_statement() {
        return db
            .query_all(&with_picked::<E>(picked, limit, update, columns))
            .await;
    }
    // Who finds nothing to take must not stand in the way of a writer.
    if db.query_one(picked.clone().limit(1)).await?.is_none() {
        return Ok(Vec::new());
    }
    let columns: Vec<_> = columns.into_iter().collect();
    super::retrying(db, || async {
        let tx = super::begin_short(db).await?;
        let columns = columns.iter().copied();
        let rows = update_picked_in::<E>(&tx, picked, limit, update.clone(), columns).await?;
        tx.commit().await?;
        Ok(rows)
    })
    .await
}

/// As [`update_picked`], in a transaction.
pub(crate) async fn update_picked_in<E: EntityTrait>(
    tx: &DatabaseTransaction,
    picked: &SelectStatement,
    limit: u64,
    update: UpdateStatement,
    columns: impl IntoIterator<Item = E::Column>,
) -> Result<Vec<QueryResult>, DbErr> {
    if !dialect(tx)?.has_returning() {
        let keys = without_returning::lock_picked::<E>(tx, picked, limit).await?;
        return without_returning::update::<E>(tx, &keys, update, columns).await;
    }
    tx.query_all(&with_picked::<E>(picked, limit, update, columns))
        .await
}

// `WITH picked AS (..) UPDATE .. WHERE id IN (SELECT id FROM picked) RETURNING ..`: as a CTE the selection happens once,
// where a plain subquery may be evaluated anew for every row and take more than its limit.
fn with_picked<E: EntityTrait>(
    picked: &SelectStatement,
    limit: u64,
    mut update: UpdateStatement,
    columns: impl IntoIterator<Item = E::Column>,
) -> UpdateStatement {
    let table = CommonTableExpression::new()
        .query(
            picked
                .clone()
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .to_owned(),
        )
        .columns(E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column))
        .table_name("picked")
        .to_owned();
    let keys = Query::select()
        .columns(E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column))
        .from("picked")
        .to_owned();
    update
        .and_where(Expr::tuple(key::<E>()).in_subquery(keys))
        .with_cte(WithClause::new().cte(table).to_owned())
        .returning(returning(columns))
        .to_owned()
}

/// The columns of the primary key.
pub(super) fn key<E: EntityTrait>() -> Vec<Expr> {
    E::PrimaryKey::iter()
        .map(|key| Expr::col(key.into_column()))
        .collect()
}

fn returning<C: ColumnTrait>(columns: impl IntoIterator<Item = C>) -> ReturningClause {
    Query::returning().columns(columns)
}

fn ignoring_conflicts(insert: &InsertStatement) -> InsertStatement {
    insert
        .clone()
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .to_owned()
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
