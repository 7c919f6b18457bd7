//! PostgreSQL.

use std::time::Duration;

use sea_orm::sea_query::{ArrayType, Expr, LockType, SelectStatement};
use sea_orm::sqlx::Executor;
use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    RuntimeErr, SqlxPostgresConnector, Statement,
};
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    CompletedRun, Completion, Dialect, LockName, MAX_ELEMENTS, News, OpenTransaction, WakeUp,
};

const CHANNEL: &str = "runtime_sea";

/// The advisory lock of the event claims.
const EVENT_CLAIMS: i64 = 0x7275_6e73_6561_0001;

/// The server ends the session of a process that falls silent in a transaction.
const LIMIT_IDLE_TIME: &str = "SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// And it ends a statement that waits for a lock.
const LIMIT_LOCK_TIME: &str = "SET LOCAL lock_timeout = '2s'";

/// Only what has an id or a snapshot holds anything back. An autovacuum does not: a vacuum ignores others.
const OLDEST_TRANSACTION: &str = "\
    SELECT pid, COALESCE(application_name, '') AS application, COALESCE(state, '') AS state, xact_start, \
           EXTRACT(EPOCH FROM clock_timestamp() - xact_start)::double precision AS seconds \
    FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL \
      AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL) \
      AND backend_type <> 'autovacuum worker' \
    ORDER BY xact_start LIMIT 1";

/// After how long without a notification a subscription is asked whether it still stands, and how long it may take to
/// answer. A new one may take as long as the first.
const SILENCE: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(3);

pub(super) struct Postgres;

#[async_trait::async_trait]
impl Dialect for Postgres {
    // `statement_timestamp()` is stable, so that it may bound an index scan; `clock_timestamp()` may not.
    fn real_now(&self) -> Expr {
        Expr::cust("statement_timestamp()")
    }

    fn real_now_plus_seconds(&self, seconds: f64) -> Expr {
        Expr::cust_with_values(
            "(statement_timestamp() + make_interval(secs => $1))",
            [seconds],
        )
    }

    fn real_now_plus_milliseconds(&self, milliseconds: Expr) -> Expr {
        Expr::cust_with_expr(
            "(statement_timestamp() + ($1) * interval '1 millisecond')",
            milliseconds,
        )
    }

    fn append_json(&self, column: Expr, element: Value) -> Expr {
        let sql = format!(
            "(CASE WHEN jsonb_typeof($1) <> 'array' THEN '[]' WHEN jsonb_array_length($1) >= {MAX_ELEMENTS} THEN $1 - 0 \
             ELSE $1 END || jsonb_build_array($2::jsonb))"
        );
        Expr::cust_with_exprs(sql, [column, element.into()])
    }

    async fn try_lock(&self, tx: &DatabaseTransaction, name: LockName) -> Result<bool, DbErr> {
        // Any number will do that nobody else uses: "rtsea" and the lock's own.
        let key = match name {
            LockName::Admission => 0x0072_7473_6561_0001_i64,
        };
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_try_advisory_xact_lock($1) AS taken",
            [key.into()],
        );
        let row = tx.query_one_raw(statement).await?;
        row.map_or(Ok(false), |row| row.try_get("", "taken"))
    }

    fn has_returning(&self) -> bool {
        true
    }

    fn updates_in_one_statement(&self) -> bool {
        true
    }

    fn has_partial_indexes(&self) -> bool {
        true
    }

    fn see_committed(&self, _select: &mut SelectStatement) {}

    fn hold(&self, select: &mut SelectStatement) {
        select.lock(LockType::KeyShare);
    }

    async fn complete_runs(
        &self,
        tx: &DatabaseTransaction,
        worker_id: Uuid,
        completions: &[Completion],
    ) -> Result<Vec<CompletedRun>, DbErr> {
        let array =
            |kind, items: Vec<sea_orm::Value>| sea_orm::Value::Array(kind, Some(Box::new(items)));
        let ids = completions.iter().map(|it| it.run_id.into()).collect();
        let fences = completions.iter().map(|it| it.fence.into()).collect();
        let outputs = completions
            .iter()
            .map(|it| it.output.clone().into())
            .collect();
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "UPDATE job_run AS run \
             SET status = 'completed', output = done.output, error = NULL, active_key = NULL, \
                 finished_at = statement_timestamp() + make_interval(secs => $5) \
             FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[]) AS done (id, fence, output) \
             WHERE run.id = done.id AND run.fence = done.fence AND run.worker_id = $4 \
               AND run.status = 'running' \
             RETURNING run.id, run.concurrency_key",
            [
                array(ArrayType::Uuid, ids),
                array(ArrayType::BigInt, fences),
                array(ArrayType::Json, outputs),
                worker_id.into(),
                super::ahead_seconds().into(),
            ],
        );
        let rows = tx.query_all_raw(statement).await?;
        rows.iter().map(super::completed_run).collect()
    }

    fn max_parameters(&self) -> usize {
        usize::from(u16::MAX)
    }

    fn lives_in_its_connection(&self, _db: &DatabaseConnection) -> bool {
        false
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

    // Shorter than a lease, so that a stopped worker's rows are free when it counts as dead.
    async fn limit_idle_time(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        tx.execute_unprepared(LIMIT_IDLE_TIME).await.map(drop)
    }

    async fn limit_times(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let sql = format!("{LIMIT_IDLE_TIME}; {LIMIT_LOCK_TIME}");
        tx.execute_unprepared(&sql).await.map(drop)
    }

    // A process that is stopped while it claims must not stop the others.
    async fn serialize_event_claims(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let sql = format!("{LIMIT_IDLE_TIME}; SELECT pg_advisory_xact_lock({EVENT_CLAIMS})");
        tx.execute_unprepared(&sql).await.map(drop)
    }

    fn is_transient(&self, error: &DbErr) -> bool {
        let code = super::error_code(error);
        // Serialization failures, deadlocks and time-outs; broken connections; a server that starts, stops or is a
        // standby.
        let transient = ["40", "55P03", "57P0", "08", "25P03", "25006", "53"];
        code.map_or_else(
            || super::is_unreachable(error),
            |code| transient.iter().any(|it| code.starts_with(it)),
        )
    }

    fn is_beaten(&self, error: &DbErr) -> bool {
        super::error_code(error).is_some_and(|code| code.starts_with("40"))
    }

    fn is_locked_out(&self, error: &DbErr) -> bool {
        super::error_code(error).is_some_and(|code| code == "55P03")
    }

    async fn notify(&self, db: &DatabaseConnection, news: News) -> Result<(), DbErr> {
        let notify = format!("NOTIFY {CHANNEL}, '{}'", news.payload());
        db.execute_unprepared(&notify).await.map(drop)
    }

    async fn forward_notifications(
        &self,
        db: &DatabaseConnection,
        wake_up: &WakeUp,
    ) -> Result<bool, DbErr> {
        let broken = |error| DbErr::Conn(RuntimeErr::SqlxError(std::sync::Arc::new(error)));
        // A connection of its own: one that has died silently would keep its place in a pool.
        let options = db.get_postgres_connection_pool().connect_options();
        let alone = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.as_ref().clone());
        let subscribing = async {
            let mut listener = PgListener::connect_with(&alone).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        let mut listener = match timeout(SILENCE, subscribing).await {
            Ok(listener) => listener.map_err(broken)?,
            Err(_) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        };
        // What was committed before the subscription stood was announced to nobody.
        wake_up.wake_here(News::ALL);
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    wake_up.wake_here(News::from_payload(notification.payload()));
                }
                // The connection broke: the caller comes back, and the wake-up above covers the gap.
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(broken(error)),
                Err(_) => match timeout(ANSWER, listener.execute("SELECT 1")).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return Err(broken(error)),
                    Err(_) => {
                        tracing::debug!("the subscription has died silently and is renewed");
                        break;
                    }
                },
            }
        }
        Ok(true)
    }

    async fn oldest_transaction(
        &self,
        db: &DatabaseConnection,
    ) -> Result<Option<OpenTransaction>, DbErr> {
        let statement = Statement::from_string(DbBackend::Postgres, OLDEST_TRANSACTION);
        let Some(row) = db.query_one_raw(statement).await? else {
            return Ok(None);
        };
        let pid: i32 = row.try_get("", "pid")?;
        let seconds: f64 = row.try_get("", "seconds")?;
        Ok(Some(OpenTransaction {
            pid,
            application: row.try_get("", "application")?,
            state: row.try_get("", "state")?,
            since: row.try_get("", "xact_start")?,
            age: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            ended_by: format!("SELECT pg_terminate_backend({pid})"),
        }))
    }

    fn max_poll_interval(&self) -> Duration {
        Duration::from_secs(1)
    }
}
