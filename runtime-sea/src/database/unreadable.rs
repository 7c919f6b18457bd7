//! Rows that do not fit their types, because somebody has edited them by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sea_orm::sqlx::Error;
use sea_orm::{DbErr, FromQueryResult, QueryResult, RuntimeErr};

/// Reads a row by itself, so that one that cannot be read spares the others.
pub(crate) fn read_row<T: FromQueryResult>(row: &QueryResult) -> Result<T, DbErr> {
    // The driver panics at a moment that `chrono` cannot hold, such as PostgreSQL's `infinity`.
    catch_unwind(AssertUnwindSafe(|| T::from_query_result(row, ""))).unwrap_or_else(|_| {
        Err(DbErr::Type(
            "a moment of the row is out of range".to_owned(),
        ))
    })
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
