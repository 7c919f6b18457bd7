//! SQLite.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqlxSqliteConnector, Statement,
};
use serde_json::Value;
use uuid::Uuid;

use super::{CompletedRun, Completion, Dialect, LockName, MAX_ELEMENTS, News, WakeUp};

pub(super) struct Sqlite;

// The text form that sqlx writes for a `DateTime<Utc>`: moments compare as text.
const FORMAT: &str = "%Y-%m-%dT%H:%M:%f+00:00";

/// `SQLITE_BUSY` and `SQLITE_LOCKED`, with or without the reason in the higher byte.
pub(super) fn is_busy(error: &DbErr) -> bool {
    super::database_error(error)
        .and_then(|it| it.try_downcast_ref::<SqliteError>()?.code())
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// What moves a moment by so many seconds.
fn modifier(seconds: f64) -> String {
    format!("{seconds:+.3} seconds")
}

#[async_trait::async_trait]
impl Dialect for Sqlite {
    fn real_now(&self) -> Expr {
        Expr::cust(format!("strftime('{FORMAT}', 'now')"))
    }

    // As the database writes it, to the millisecond at least: sqlx leaves a fraction out that is zero.
    fn moment(&self, at: DateTime<Utc>) -> Expr {
        let precision = if at.timestamp_subsec_nanos().is_multiple_of(1_000_000) {
            SecondsFormat::Millis
        } else {
            SecondsFormat::AutoSi
        };
        at.to_rfc3339_opts(precision, false).into()
    }

    fn real_now_plus_seconds(&self, seconds: f64) -> Expr {
        Expr::cust_with_values(
            format!("strftime('{FORMAT}', 'now', ?)"),
            [modifier(seconds)],
        )
    }

    fn real_now_plus_milliseconds(&self, milliseconds: Expr) -> Expr {
        Expr::cust_with_expr(
            format!("strftime('{FORMAT}', 'now', ((?) / 1000.0) || ' seconds')"),
            milliseconds,
        )
    }

    fn append_json(&self, column: Expr, element: Value) -> Expr {
        let sql = format!(
            "json_insert(CASE WHEN NOT json_valid(?) THEN '[]' WHEN json_type(?) <> 'array' THEN '[]' \
             WHEN json_array_length(?) >= {MAX_ELEMENTS} THEN json_remove(?, '$[0]') ELSE ? END, '$[#]', json(?))"
        );
        Expr::cust_with_exprs(
            sql,
            [
                column.clone(),
                column.clone(),
                column.clone(),
                column.clone(),
                column,
                element.into(),
            ],
        )
    }

    // The transaction has the write lock, which is all locks in one.
    async fn try_lock(&self, _tx: &DatabaseTransaction, _name: LockName) -> Result<bool, DbErr> {
        Ok(true)
    }

    fn has_returning(&self) -> bool {
        true
    }

    fn updates_in_one_statement(&self) -> bool {
        false
    }

    fn has_partial_indexes(&self) -> bool {
        true
    }

    fn see_committed(&self, _select: &mut SelectStatement) {}

    // Who writes is alone.
    fn hold(&self, _select: &mut SelectStatement) {}

    // There is no wire in between, so that a statement per run costs little.
    async fn complete_runs(
        &self,
        tx: &DatabaseTransaction,
        worker_id: Uuid,
        completions: &[Completion],
    ) -> Result<Vec<CompletedRun>, DbErr> {
        let mut completed = Vec::with_capacity(completions.len());
        for completion in completions {
            let statement = Statement::from_sql_and_values(
                DbBackend::Sqlite,
                format!(
                    "UPDATE job_run \
                     SET status = 'completed', output = ?, error = NULL, active_key = NULL, \
                         finished_at = strftime('{FORMAT}', 'now', ?) \
                     WHERE id = ? AND fence = ? AND worker_id = ? AND status = 'running' \
                     RETURNING id, concurrency_key"
                ),
                [
                    completion.output.clone().into(),
                    modifier(super::ahead_seconds()).into(),
                    completion.run_id.into(),
                    completion.fence.into(),
                    worker_id.into(),
                ],
            );
            if let Some(row) = tx.query_one_raw(statement).await? {
                completed.push(super::completed_run(&row)?);
            }
        }
        Ok(completed)
    }

    fn max_parameters(&self) -> usize {
        32_766
    }

    fn lives_in_its_connection(&self, db: &DatabaseConnection) -> bool {
        super::connect::is_in_memory(&db.get_sqlite_connection_pool().connect_options())
    }

    fn dedicated(&self, db: &DatabaseConnection, connections: u32) -> DatabaseConnection {
        let pool = db.get_sqlite_connection_pool();
        let options = pool.connect_options();
        let pool_options = pool
            .options()
            .clone()
            .min_connections(0)
            .max_connections(connections);
        SqlxSqliteConnector::from_sqlx_sqlite_pool(
            pool_options.connect_lazy_with(options.as_ref().clone()),
        )
    }

    // The write lock is the operating system's, which gives it back only with the process.
    async fn limit_idle_time(&self, _tx: &DatabaseTransaction) -> Result<(), DbErr> {
        Ok(())
    }

    // Who has the write lock waits for nobody.
    async fn limit_times(&self, _tx: &DatabaseTransaction) -> Result<(), DbErr> {
        Ok(())
    }

    // The transaction holds the database's write lock already.
    async fn serialize_event_claims(&self, _tx: &DatabaseTransaction) -> Result<(), DbErr> {
        Ok(())
    }

    fn is_transient(&self, error: &DbErr) -> bool {
        is_busy(error) || (super::error_code(error).is_none() && super::is_unreachable(error))
    }

    // It has waited its turn, and would only wait again.
    fn is_beaten(&self, _error: &DbErr) -> bool {
        false
    }

    // There is one lock, which is waited for at the begin: nothing else would get on either.
    fn is_locked_out(&self, _error: &DbErr) -> bool {
        false
    }

    async fn notify(&self, _db: &DatabaseConnection, _news: News) -> Result<(), DbErr> {
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
