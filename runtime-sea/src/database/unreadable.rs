//! Rows that do not fit their types, because somebody has edited them by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sea_orm::sqlx::Error;
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, PrimaryKeyToColumn,
    QueryResult, QuerySelect, QueryTrait, RuntimeErr, Select,
};
use uuid::Uuid;

/// Reads a row by itself, so that one that cannot be read spares the others.
pub(crate) fn read_row<T: FromQueryResult>(row: &QueryResult) -> Result<T, DbErr> {
    // The driver panics at a moment that `chrono` cannot hold, such as PostgreSQL's `infinity`.
    catch_unwind(AssertUnwindSafe(|| T::from_query_result(row, ""))).unwrap_or_else(|_| {
        Err(DbErr::Type(
            "a moment of the row is out of range".to_owned(),
        ))
    })
}

/// The rows that a query finds. The error names the one that cannot be read, and is not [`is_unreadable`]: nobody is to
/// end because of a row that is not its own.
pub(crate) async fn read_all<E: EntityTrait>(
    db: &impl ConnectionTrait,
    select: &Select<E>,
) -> Result<Vec<E::Model>, DbErr> {
    let rows = db.query_all(QueryTrait::as_query(select)).await?;
    rows.iter()
        .map(|row| read_row(row).map_err(|error| name::<E>(row, &error)))
        .collect()
}

/// As [`read_all`], the first one.
pub(crate) async fn read_one<E: EntityTrait>(
    db: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<Option<E::Model>, DbErr> {
    let rows = read_all(db, &select.limit(1)).await?;
    Ok(rows.into_iter().next())
}

fn name<E: EntityTrait>(row: &QueryResult, error: &DbErr) -> DbErr {
    let key: Vec<_> = E::PrimaryKey::iter()
        .map(|key| {
            let column = key.into_column();
            let column = column.as_str();
            let value = row
                .try_get::<i64>("", column)
                .map(|it| it.to_string())
                .or_else(|_| row.try_get::<Uuid>("", column).map(|it| it.to_string()))
                .or_else(|_| row.try_get::<String>("", column))
                .unwrap_or_else(|_| "?".to_owned());
            format!("{column} {value}")
        })
        .collect();
    DbErr::Custom(format!(
        "the row of `{}` with {} cannot be read: {error}; mend it",
        E::default().table_name(),
        key.join(", ")
    ))
}

/// Whether a row has been found that does not fit its types: the same statement will find it again.
pub(crate) fn is_unreadable(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(**error, Error::ColumnDecode { .. } | Error::Decode(_))
        }
        _ => false,
    }
}
