//! PostgreSQL.

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqlxPostgresConnector,
};

use super::{Dialect, WakeUp};

const CHANNEL: &str = "runtime_sea";

/// The advisory lock of the event claims.
const EVENT_CLAIMS: i64 = 0x7275_6e73_6561_0001;

pub(super) struct Postgres;

#[async_trait::async_trait]
impl Dialect for Postgres {
    // `statement_timestamp()` is stable, so that it may bound an index scan; `clock_timestamp()` may not.
    fn now(&self) -> Expr {
        Expr::cust("statement_timestamp()")
    }

    fn now_plus_seconds(&self, seconds: f64) -> Expr {
        Expr::cust_with_values(
            "(statement_timestamp() + make_interval(secs => $1))",
            [seconds],
        )
    }

    fn max_parameters(&self) -> usize {
        usize::from(u16::MAX)
    }

    fn dedicated(&self, db: &DatabaseConnection, connections: u32) -> DatabaseConnection {
        let pool = db.get_postgres_connection_pool();
        let options = pool
            .options()
            .clone()
            .min_connections(0)
            .max_connections(connections);
        SqlxPostgresConnector::from_sqlx_postgres_pool(
            options.connect_lazy_with(pool.connect_options().as_ref().clone()),
        )
    }

    // A process that is stopped while it claims must not stop the others: the server ends its session.
    async fn serialize_event_claims(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let sql = format!(
            "SET LOCAL idle_in_transaction_session_timeout = '5s'; SELECT pg_advisory_xact_lock({EVENT_CLAIMS})"
        );
        tx.execute_unprepared(&sql).await.map(drop)
    }

    fn is_transient(&self, error: &DbErr) -> bool {
        let code = super::error_code(error);
        // Serialization failures, deadlocks and time-outs; broken connections; a server that starts or stops.
        let transient = ["40", "55P03", "57P0", "08", "25P03", "53"];
        code.map_or_else(
            || super::is_unreachable(error),
            |code| transient.iter().any(|it| code.starts_with(it)),
        )
    }

    async fn notify(&self, db: &DatabaseConnection) -> Result<(), DbErr> {
        db.execute_unprepared("NOTIFY runtime_sea").await.map(drop)
    }

    async fn forward_notifications(
        &self,
        db: &DatabaseConnection,
        wake_up: &WakeUp,
    ) -> Result<bool, DbErr> {
        let listener_error = |error| DbErr::Conn(RuntimeErr::SqlxError(std::sync::Arc::new(error)));
        let mut listener = PgListener::connect_with(db.get_postgres_connection_pool())
            .await
            .map_err(listener_error)?;
        listener.listen(CHANNEL).await.map_err(listener_error)?;
        // What was committed before the subscription stood was announced to nobody.
        wake_up.wake_here();
        // `None` means that the connection broke: the caller comes back, and the wake-up above covers the gap.
        while listener.try_recv().await.map_err(listener_error)?.is_some() {
            wake_up.wake_here();
        }
        Ok(true)
    }

    fn max_poll_interval(&self) -> Duration {
        Duration::from_secs(1)
    }
}
