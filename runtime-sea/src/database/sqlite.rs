//! SQLite.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, SqlxSqliteConnector};

use super::{Dialect, WakeUp};

pub(super) struct Sqlite;

// The text form that sqlx writes for a `DateTime<Utc>`: moments compare as text.
const FORMAT: &str = "%Y-%m-%dT%H:%M:%f+00:00";

#[async_trait::async_trait]
impl Dialect for Sqlite {
    fn now(&self) -> Expr {
        Expr::cust(format!("strftime('{FORMAT}', 'now')"))
    }

    fn now_plus_seconds(&self, seconds: f64) -> Expr {
        Expr::cust_with_values(
            format!("strftime('{FORMAT}', 'now', ?)"),
            [format!("{seconds:+.3} seconds")],
        )
    }

    fn max_parameters(&self) -> usize {
        32_766
    }

    fn dedicated(&self, db: &DatabaseConnection, connections: u32) -> DatabaseConnection {
        let pool = db.get_sqlite_connection_pool();
        let options = pool.connect_options();
        if super::connect::is_in_memory(&options) {
            return db.clone();
        }
        let pool_options = pool
            .options()
            .clone()
            .min_connections(0)
            .max_connections(connections);
        SqlxSqliteConnector::from_sqlx_sqlite_pool(
            pool_options.connect_lazy_with(options.as_ref().clone()),
        )
    }

    // The transaction holds the database's write lock already.
    async fn serialize_event_claims(&self, _tx: &DatabaseTransaction) -> Result<(), DbErr> {
        Ok(())
    }

    fn is_transient(&self, error: &DbErr) -> bool {
        // SQLITE_BUSY and SQLITE_LOCKED, with or without the reason in the higher byte.
        super::error_code(error)
            .and_then(|code| code.parse::<u32>().ok())
            .map_or_else(
                || super::is_unreachable(error),
                |code| matches!(code & 0xff, 5 | 6),
            )
    }

    async fn notify(&self, _db: &DatabaseConnection) -> Result<(), DbErr> {
        Ok(())
    }

    async fn forward_notifications(
        &self,
        _db: &DatabaseConnection,
        _wake_up: &WakeUp,
    ) -> Result<bool, DbErr> {
        Ok(false)
    }

    // Another process on the same file cannot call; looking is cheap where the database is in the process.
    fn max_poll_interval(&self) -> Duration {
        Duration::from_millis(250)
    }
}
