//! What differs per database. Nothing outside of this folder names a dialect.

mod begin;
mod chunks;
mod connect;
mod migration_lock;
mod mysql;
mod news;
mod one_connection;
mod outage;
mod postgres;
mod rebuild;
mod retry;
#[cfg(test)]
mod short_tests;
mod sqlite;
mod unreadable;
mod wake_up;
mod without_returning;
mod write;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ColumnType, Expr, ExprTrait, SelectStatement, TableCreateStatement};
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, DbErr,
    IsolationLevel, QueryResult, RuntimeErr,
};
use serde_json::Value;
use uuid::Uuid;

use crate::clock;

pub use begin::{Connection, begin};
pub(crate) use chunks::in_statements;
pub use connect::{ConnectError, connect};
pub(crate) use migration_lock::MigrationLock;
pub(crate) use news::{News, Tally};
pub use one_connection::OneConnection;
pub(crate) use outage::{Outage, answered};
pub(crate) use rebuild::rebuild_table;
pub(crate) use retry::{repeating, retrying};
pub(crate) use unreadable::{is_unreadable, read_all, read_one, read_row};
pub(crate) use wake_up::WakeUp;
pub(crate) use write::{
    insert_if_new, insert_new, insert_or_replace, update_chosen, update_picked, update_picked_in,
    update_returning,
};

/// What a lock is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockName {
    /// Deciding which run gets a concurrency key.
    Admission,
}

/// A run that succeeded.
#[derive(Debug, Clone)]
pub(crate) struct Completion {
    pub(crate) run_id: Uuid,
    pub(crate) fence: i64,
    pub(crate) output: Value,
}

/// A run that is completed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompletedRun {
    pub(crate) run_id: Uuid,
    pub(crate) concurrency_key: Option<String>,
}

/// A transaction that somebody has open.
#[derive(Debug, Clone)]
pub(crate) struct OpenTransaction {
    /// The session's process on the server.
    pub(crate) pid: i32,
    pub(crate) application: String,
    pub(crate) state: String,
    pub(crate) since: DateTime<Utc>,
    pub(crate) age: Duration,
    /// The statement that ends its session.
    pub(crate) ended_by: String,
}

impl OpenTransaction {
    pub(crate) fn is_the_same(&self, other: &Self) -> bool {
        (self.pid, self.since) == (other.pid, other.since)
    }
}

/// The seam between the runtime and one database.
#[async_trait::async_trait]
pub(crate) trait Dialect: Send + Sync {
    /// The database's own clock as an expression, constant within a statement. Only for what is about live processes:
    /// leases, heartbeats, registrations. Everything else goes by [`now`](Self::now).
    fn real_now(&self) -> Expr;

    /// The database's own clock, moved by so many seconds.
    fn real_now_plus_seconds(&self, seconds: f64) -> Expr;

    /// The database's own clock, moved by so many milliseconds; NULL for NULL.
    fn real_now_plus_milliseconds(&self, milliseconds: Expr) -> Expr;

    /// The time that decisions go by, as an expression: the database's clock, which a test may move.
    fn now(&self) -> Expr {
        match clock::ahead_ms() {
            0 => self.real_now(),
            _ => self.now_plus_seconds(0.0),
        }
    }

    /// The time that decisions go by, moved by so many seconds.
    fn now_plus_seconds(&self, seconds: f64) -> Expr {
        self.real_now_plus_seconds(seconds + ahead_seconds())
    }

    /// The time that decisions go by, moved by so many milliseconds; NULL for NULL.
    fn now_plus_milliseconds(&self, milliseconds: Expr) -> Expr {
        match clock::ahead_ms() {
            0 => self.real_now_plus_milliseconds(milliseconds),
            ahead => self.real_now_plus_milliseconds(milliseconds.add(ahead)),
        }
    }

    /// A moment that the process has been told.
    fn moment(&self, at: DateTime<Utc>) -> Expr {
        at.into()
    }

    /// A JSON array column with one element more; of more than [`MAX_ELEMENTS`] the first is dropped. What is no array
    /// any more must not keep a run from ending.
    fn append_json(&self, column: Expr, element: Value) -> Expr;

    /// The type of a column that holds a moment in UTC, to the microsecond.
    fn moment_type(&self) -> ColumnType {
        ColumnType::TimestampWithTimeZone
    }

    /// The type of a column that holds a long text.
    fn text_type(&self) -> ColumnType {
        ColumnType::Text
    }

    /// Says of a table what the database does not do of its own.
    async fn prepare_table(
        &self,
        _conn: &DatabaseExecutor<'_>,
        _table: &mut TableCreateStatement,
    ) -> Result<(), DbErr> {
        Ok(())
    }

    /// How the runtime's own transactions see what others commit, where the database would not do it that way itself:
    /// each statement sees everything that was committed before it, and locks no gaps between rows.
    fn isolation_level(&self) -> Option<IsolationLevel> {
        None
    }

    /// The rows of `runtime_lock` that the locks are taken on, where the database has no locks without rows.
    fn lock_rows(&self) -> &'static [&'static str] {
        &[]
    }

    /// Takes the lock of that name until the transaction ends, or says at once that another one has it.
    async fn try_lock(&self, tx: &DatabaseTransaction, name: LockName) -> Result<bool, DbErr>;

    /// Whether a write can return the rows that it changed.
    fn has_returning(&self) -> bool;

    /// Whether rows are best picked and changed by one statement without a transaction around it.
    fn updates_in_one_statement(&self) -> bool;

    /// Whether an index can be over some of a table's rows.
    fn has_partial_indexes(&self) -> bool;

    /// Makes a look at a row that was in the way of a write see that row, where the snapshot of the caller's
    /// transaction may be older than it.
    fn see_committed(&self, select: &mut SelectStatement);

    /// Makes a look at rows keep others from locking them for writing until the transaction ends. Where the database can
    /// tell the two apart, others may still change what is not a key in them.
    fn hold(&self, select: &mut SelectStatement);

    /// Completes the runs that are still under their claim's fence, in as few statements as the database allows, and
    /// returns which they were.
    async fn complete_runs(
        &self,
        tx: &DatabaseTransaction,
        worker_id: Uuid,
        completions: &[Completion],
    ) -> Result<Vec<CompletedRun>, DbErr>;

    /// The most bind parameters that one statement takes.
    fn max_parameters(&self) -> usize;

    /// Whether the database lives in the pool's one connection, so that no other connection could see it and it is gone
    /// with that one: SQLite in memory.
    fn lives_in_its_connection(&self, db: &DatabaseConnection) -> bool;

    /// A pool of at most `connections` connections of its own, so that what uses it never waits for a handler.
    /// Must be called on the Tokio runtime that will use it.
    fn dedicated(&self, db: &DatabaseConnection, connections: u32) -> DatabaseConnection;

    /// Ends the transaction when its process falls silent in it for some seconds, where the database can.
    async fn limit_idle_time(&self, tx: &DatabaseTransaction) -> Result<(), DbErr>;

    /// As [`limit_idle_time`](Self::limit_idle_time), and gives up what waits for another transaction's lock for more
    /// than some seconds: see [`is_locked_out`](Self::is_locked_out).
    async fn limit_times(&self, tx: &DatabaseTransaction) -> Result<(), DbErr>;

    /// Keeps every other claim of events out until the transaction ends, so that each claim sees what the ones before
    /// it took.
    async fn serialize_event_claims(&self, tx: &DatabaseTransaction) -> Result<(), DbErr>;

    /// Whether the same statements may succeed when they are tried again: the connection is gone, or another
    /// transaction was in the way.
    fn is_transient(&self, error: &DbErr) -> bool;

    /// Whether another transaction was in the way, and this one has been or has to be undone: tried again at once it may
    /// succeed.
    fn is_beaten(&self, error: &DbErr) -> bool;

    /// Whether another transaction has kept a lock for longer than this one waits. It may keep it for long: tried again at
    /// once, this one would only wait again.
    fn is_locked_out(&self, error: &DbErr) -> bool;

    /// Whether other statements would fail as well for now; the one that was locked out may be passed over.
    fn is_outage(&self, error: &DbErr) -> bool {
        self.is_transient(error) && !self.is_locked_out(error)
    }

    /// Tells the workers of other processes that there is work.
    async fn notify(&self, db: &DatabaseConnection, news: News) -> Result<(), DbErr>;

    /// Forwards the other processes' notifications into `wake_up` until the connection breaks.
    /// Returns at once with `false` where the database has no notifications.
    async fn forward_notifications(
        &self,
        db: &DatabaseConnection,
        wake_up: &WakeUp,
    ) -> Result<bool, DbErr>;

    /// Of the transactions that keep the database from clearing away dead rows, the one that has been open for longest;
    /// none where the database does not say, or needs no clearing away.
    async fn oldest_transaction(
        &self,
        _db: &DatabaseConnection,
    ) -> Result<Option<OpenTransaction>, DbErr> {
        Ok(None)
    }

    /// The longest pause between two looks at the tables where nothing else wakes a worker.
    fn max_poll_interval(&self) -> Duration;
}

/// The dialect of a connection.
///
/// # Errors
/// [`DbErr::BackendNotSupported`] on a database that the runtime does not know.
pub(crate) fn dialect(db: &impl ConnectionTrait) -> Result<&'static dyn Dialect, DbErr> {
    match db.get_database_backend() {
        DbBackend::MySql => Ok(&mysql::MySql),
        DbBackend::Postgres => Ok(&postgres::Postgres),
        DbBackend::Sqlite => Ok(&sqlite::Sqlite),
        _ => Err(DbErr::BackendNotSupported {
            db: "this database",
            ctx: "runtime-sea",
        }),
    }
}

/// Whether a transaction failed for the sake of another one that was under way at the same time, by a deadlock, a
/// serialisation that is not possible, or a lock that was waited for too long: begun again, it may well succeed.
#[must_use]
pub fn is_contention(error: &DbErr) -> bool {
    let servers: [&dyn Dialect; 2] = [&postgres::Postgres, &mysql::MySql];
    let of_a_server = |it: &&dyn Dialect| it.is_beaten(error) || it.is_locked_out(error);
    sqlite::is_busy(error) || servers.iter().any(of_a_server)
}

/// As [`begin`], for a transaction in which nobody but the database is waited for: a process that is stopped in the
/// middle of it does not keep its locks for long, where the database can see to that. Nor does it wait for long where the
/// app keeps a transaction open that has, say, inserted the same key: others wait behind it.
pub(crate) async fn begin_short(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let tx = begin(db).await?;
    dialect(db)?.limit_times(&tx).await?;
    Ok(tx)
}

/// As [`begin_short`], for what the app's code has called and waits for: it may wait for another transaction's lock as
/// long as any statement of the app.
pub(crate) async fn begin_patient(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let tx = begin(db).await?;
    dialect(db)?.limit_idle_time(&tx).await?;
    Ok(tx)
}

/// How much a JSON array column that is appended to holds: a run that is retried for ever must not grow for ever.
pub(crate) const MAX_ELEMENTS: usize = 100;

/// The database's own error, where it is one.
fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    let (DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))
    | DbErr::Conn(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    error.as_database_error()
}

/// The code of a database's error, where it is one.
fn error_code(error: &DbErr) -> Option<String> {
    Some(database_error(error)?.code()?.into_owned())
}

/// Whether the database could not be reached, or the connection broke.
fn is_unreachable(error: &DbErr) -> bool {
    match error {
        _ if is_unreadable(error) => false,
        DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error().is_none()
        }
        _ => false,
    }
}

/// The database's clock, `duration` from now; at most a century, where every database's calendar still works.
pub(crate) fn now_plus(dialect: &dyn Dialect, duration: Duration) -> Expr {
    dialect.now_plus_seconds(duration.min(CENTURY).as_secs_f64())
}

/// How many seconds the time of decisions is ahead of the database's clock.
#[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
fn ahead_seconds() -> f64 {
    clock::ahead_ms() as f64 / 1000.0
}

/// The longest time that a clock is moved by.
pub(crate) const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A text that stands in the statement itself: a partial index serves only a statement that names its value.
pub(crate) fn literal(text: &'static str) -> Expr {
    Expr::Constant(text.into())
}

/// A zero that stands in the statement itself, as a [`literal`] does.
pub(crate) fn literal_zero() -> Expr {
    Expr::Constant(0.into())
}

/// How many rows of so many columns fit into one statement.
pub(crate) fn rows_per_statement(dialect: &dyn Dialect, columns: usize) -> usize {
    (dialect.max_parameters() / columns.max(1)).max(1)
}

fn completed_run(row: &QueryResult) -> Result<CompletedRun, DbErr> {
    Ok(CompletedRun {
        run_id: row.try_get("", "id")?,
        concurrency_key: row.try_get("", "concurrency_key")?,
    })
}
