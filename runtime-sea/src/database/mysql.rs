//! MySQL 8 and MariaDB 10.6 or later: what both understand.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    CaseStatement, ColumnType, Expr, ExprTrait, LockType, Order, Query, SelectStatement,
    TableCreateStatement,
};
use sea_orm::sqlx::Executor;
use sea_orm::sqlx::mysql::{MySqlDatabaseError, MySqlPoolOptions};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction,
    DbBackend, DbErr, IsolationLevel, SqlxMySqlConnector, Statement,
};
use serde_json::Value;
use uuid::Uuid;

use super::{CompletedRun, Completion, Dialect, LockName, MAX_ELEMENTS, News, WakeUp, literal};
use crate::jobs::entities::job_run;

const EVENT_CLAIMS: &str = "event_claims";

/// How much output one statement completes runs with; by default the servers take packets of 16 MB at least.
const MAX_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// Run once on every connection of [`connect`](super::connect). The variable says that [`RENEW`] will be run too.
const PREPARE: &str =
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET @runtime_sea_renews = TRUE";

/// Run whenever a connection is taken from the pool: ends what [`LIMIT_IDLE_TIME`] and [`LIMIT_LOCK_TIME`] have set. It
/// takes the place of the ping that shows whether the connection still stands.
const RENEW: &str = "SET /*M! SESSION idle_transaction_timeout = DEFAULT */ /*!80000 SESSION wait_timeout = DEFAULT */, \
     SESSION innodb_lock_wait_timeout = DEFAULT";

/// The server ends the session of a process that falls silent in a transaction. MySQL knows no such limit for
/// transactions alone, so that it ends a session that is idle in the pool as well. A connection that nobody renews is
/// left as it is: the limit would hold for the app's transactions too. MySQL refuses a decimal, which is what its `IF`
/// makes of a number and a variable.
const LIMIT_IDLE_TIME: &str = "SET /*M! SESSION idle_transaction_timeout = IF(@runtime_sea_renews, 5, @@idle_transaction_timeout) */ \
     /*!80000 SESSION wait_timeout = CAST(IF(@runtime_sea_renews, 5, @@wait_timeout) AS SIGNED) */";

/// And it ends a statement that waits for a lock. What is said of [`LIMIT_IDLE_TIME`] goes for it too.
const LIMIT_LOCK_TIME: &str = "SESSION innodb_lock_wait_timeout = CAST(IF(@runtime_sea_renews, 2, @@innodb_lock_wait_timeout) AS SIGNED)";

pub(super) struct MySql;

/// What the pool does with its connections.
pub(super) fn pool_options(options: MySqlPoolOptions) -> MySqlPoolOptions {
    options
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(PREPARE).await.map(drop) })
        })
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move { Ok(connection.execute(RENEW).await.is_ok()) })
        })
}

#[async_trait::async_trait]
impl Dialect for MySql {
    fn real_now(&self) -> Expr {
        Expr::cust("UTC_TIMESTAMP(6)")
    }

    fn real_now_plus_seconds(&self, seconds: f64) -> Expr {
        Expr::cust_with_values(
            "TIMESTAMPADD(MICROSECOND, ?, UTC_TIMESTAMP(6))",
            [microseconds(seconds)],
        )
    }

    fn real_now_plus_milliseconds(&self, milliseconds: Expr) -> Expr {
        Expr::cust_with_expr(
            "TIMESTAMPADD(MICROSECOND, (?) * 1000, UTC_TIMESTAMP(6))",
            milliseconds,
        )
    }

    // With a time zone it would go as a `TIMESTAMP`, which ends in 2038.
    fn moment(&self, at: DateTime<Utc>) -> Expr {
        at.naive_utc().into()
    }

    // The element goes in as text: MariaDB has no cast to JSON.
    fn append_json(&self, column: Expr, element: Value) -> Expr {
        let sql = format!(
            "JSON_MERGE_PRESERVE(IF(JSON_LENGTH(?) >= {MAX_ELEMENTS}, JSON_REMOVE(?, '$[0]'), ?), ?)"
        );
        let elements = Value::Array(vec![element]).to_string();
        Expr::cust_with_exprs(
            sql,
            [column.clone(), column.clone(), column, elements.into()],
        )
    }

    // A `TIMESTAMP` ends in 2038.
    fn moment_type(&self) -> ColumnType {
        ColumnType::custom("datetime(6)")
    }

    // A `TEXT` holds 64 KB.
    fn text_type(&self) -> ColumnType {
        ColumnType::custom("mediumtext")
    }

    // Names are told apart by every character, a space at the end included.
    async fn prepare_table(
        &self,
        conn: &DatabaseExecutor<'_>,
        table: &mut TableCreateStatement,
    ) -> Result<(), DbErr> {
        let version = Statement::from_string(DbBackend::MySql, "SELECT VERSION() AS version");
        let version: String = match conn.query_one_raw(version).await? {
            Some(row) => row.try_get("", "version")?,
            None => String::new(),
        };
        let collation = if version.contains("MariaDB") {
            "utf8mb4_nopad_bin"
        } else {
            "utf8mb4_0900_bin"
        };
        table
            .engine("InnoDB")
            .character_set("utf8mb4")
            .collate(collation);
        Ok(())
    }

    fn isolation_level(&self) -> Option<IsolationLevel> {
        Some(IsolationLevel::ReadCommitted)
    }

    // `GET_LOCK` belongs to the session and would outlive the transaction.
    fn lock_rows(&self) -> &'static [&'static str] {
        const { &[LockName::Admission.as_str(), EVENT_CLAIMS] }
    }

    async fn try_lock(&self, tx: &DatabaseTransaction, name: LockName) -> Result<bool, DbErr> {
        let statement = Statement::from_sql_and_values(
            DbBackend::MySql,
            "SELECT name FROM runtime_lock WHERE name = ? FOR UPDATE SKIP LOCKED",
            [name.as_str().into()],
        );
        Ok(tx.query_one_raw(statement).await?.is_some())
    }

    // MariaDB has it for inserts and deletes only, MySQL not at all.
    fn has_returning(&self) -> bool {
        false
    }

    fn updates_in_one_statement(&self) -> bool {
        false
    }

    fn has_partial_indexes(&self) -> bool {
        false
    }

    fn see_committed(&self, select: &mut SelectStatement) {
        select.lock(LockType::Share);
    }

    fn hold(&self, select: &mut SelectStatement) {
        select.lock(LockType::Share);
    }

    async fn complete_runs(
        &self,
        tx: &DatabaseTransaction,
        worker_id: Uuid,
        completions: &[Completion],
    ) -> Result<Vec<CompletedRun>, DbErr> {
        let mut completed = Vec::with_capacity(completions.len());
        let mut batch = Vec::new();
        let mut bytes = 0;
        for completion in completions {
            let output = completion.output.to_string();
            if !batch.is_empty() && bytes + output.len() > MAX_OUTPUT_BYTES {
                completed.extend(complete(tx, worker_id, std::mem::take(&mut batch)).await?);
                bytes = 0;
            }
            bytes += output.len();
            batch.push((completion, output));
        }
        completed.extend(complete(tx, worker_id, batch).await?);
        Ok(completed)
    }

    fn max_parameters(&self) -> usize {
        usize::from(u16::MAX)
    }

    fn lives_in_its_connection(&self, _db: &DatabaseConnection) -> bool {
        false
    }

    fn dedicated(&self, db: &DatabaseConnection, connections: u32) -> DatabaseConnection {
        let pool = db.get_mysql_connection_pool();
        let options = pool
            .options()
            .clone()
            .min_connections(0)
            .max_connections(connections);
        SqlxMySqlConnector::from_sqlx_mysql_pool(
            options.connect_lazy_with(pool.connect_options().as_ref().clone()),
        )
    }

    async fn limit_idle_time(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        tx.execute_unprepared(LIMIT_IDLE_TIME).await.map(drop)
    }

    async fn limit_times(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        let sql = format!("{LIMIT_IDLE_TIME}, {LIMIT_LOCK_TIME}");
        tx.execute_unprepared(&sql).await.map(drop)
    }

    async fn serialize_event_claims(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        self.limit_idle_time(tx).await?;
        let statement = Statement::from_sql_and_values(
            DbBackend::MySql,
            "SELECT name FROM runtime_lock WHERE name = ? FOR UPDATE",
            [EVENT_CLAIMS.into()],
        );
        match tx.query_one_raw(statement).await? {
            Some(_) => Ok(()),
            None => Err(DbErr::RecordNotFound(format!(
                "the row `{EVENT_CLAIMS}` of `runtime_lock`, which the migration of the events has made"
            ))),
        }
    }

    fn is_transient(&self, error: &DbErr) -> bool {
        let Some(number) = error_number(error) else {
            return super::is_unreachable(error);
        };
        matches!(
            number,
            // Time-outs and deadlocks, and a row that has changed since the snapshot.
            1205 | 1213 | 3572 | 1020
            // A server that has too much to do, starts or stops, or has ended the statement or the session.
            | 1040 | 1203 | 1226 | 1053 | 1317 | 1927 | 3024 | 4031
            // Broken connections.
            | 1152 | 1158
                ..=1161 | 1184 | 2006 | 2013
            // A server that may not write, which after a failover it may.
            | 1290 | 1792 | 1836
        )
    }

    fn is_beaten(&self, error: &DbErr) -> bool {
        matches!(error_number(error), Some(1213 | 1020))
    }

    fn is_locked_out(&self, error: &DbErr) -> bool {
        error_number(error) == Some(1205)
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

    // Nothing else wakes the workers of other processes.
    fn max_poll_interval(&self) -> Duration {
        Duration::from_millis(500)
    }
}

impl LockName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
        }
    }
}

// Locks what the claims still hold, and changes that.
async fn complete(
    tx: &DatabaseTransaction,
    worker_id: Uuid,
    batch: Vec<(&Completion, String)>,
) -> Result<Vec<CompletedRun>, DbErr> {
    use job_run::Column as C;

    let select = Query::select()
        .columns([C::Id, C::Fence, C::ConcurrencyKey])
        .from(job_run::Entity)
        .and_where(C::Id.is_in(batch.iter().map(|(it, _)| it.run_id)))
        .and_where(C::WorkerId.eq(worker_id))
        .and_where(Expr::col(C::Status).eq(literal("running")))
        .order_by(C::Id, Order::Asc)
        .lock(LockType::Update)
        .to_owned();
    let mut completed = Vec::with_capacity(batch.len());
    let mut outputs = CaseStatement::new();
    for row in tx.query_all(&select).await? {
        let run = super::completed_run(&row)?;
        let fence: i64 = row.try_get("", "fence")?;
        let held = batch
            .iter()
            .find(|(it, _)| it.run_id == run.run_id && it.fence == fence);
        if let Some((_, output)) = held {
            outputs = outputs.case(C::Id.eq(run.run_id), output.as_str());
            completed.push(run);
        }
    }
    if completed.is_empty() {
        return Ok(completed);
    }
    let update = Query::update()
        .table(job_run::Entity)
        .value(C::Status, "completed")
        .value(C::Output, outputs)
        .value(C::Error, Option::<String>::None)
        .value(C::ActiveKey, Option::<String>::None)
        .value(C::FinishedAt, MySql.now())
        .and_where(C::Id.is_in(completed.iter().map(|run| run.run_id)))
        .to_owned();
    tx.execute(&update).await?;
    Ok(completed)
}

// A float would lose microseconds on the way to the server.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a century in microseconds fits"
)]
fn microseconds(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

fn error_number(error: &DbErr) -> Option<u16> {
    let error = super::database_error(error)?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(error.number())
}
