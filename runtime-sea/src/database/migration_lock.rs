//! Keeps two processes from migrating one database at a time.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use sea_orm::sqlx::{self, ConnectOptions, Connection, MySqlConnection, PgConnection};
use sea_orm::{DatabaseConnection, DbBackend, DbErr, RuntimeErr};

/// How often to try while another process has the lock. Waiting in the database would hold a snapshot, for which the
/// other one's `CREATE INDEX CONCURRENTLY` waits in turn.
const PAUSE: Duration = Duration::from_millis(100);

/// "rtsea" and the lock's own number, like the other advisory locks of the runtime.
const POSTGRES_KEY: i64 = 0x0072_7473_6561_0003;

/// Names of locks are the server's, and at most 64 characters long. MySQL 9 has no `MD5` any more.
const MYSQL: &str =
    "SELECT GET_LOCK(CONCAT('runtime_sea_migration:', LEFT(SHA2(DATABASE(), 256), 40)), 0)";

/// The lock while it is held. It ends with its connection, or its file, whatever becomes of the process.
pub(crate) enum MigrationLock {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    Sqlite(File),
    /// Nobody else can see the database.
    InMemory,
}

impl MigrationLock {
    /// Waits for the lock of this database.
    pub(crate) async fn take(db: &DatabaseConnection) -> Result<Self, DbErr> {
        match db.get_database_backend() {
            DbBackend::Postgres => postgres(db).await.map_err(connection_error),
            DbBackend::MySql => mysql(db).await.map_err(connection_error),
            _ => sqlite(db).await,
        }
    }

    /// Gives the lock back at once; dropped, it goes back when the server notices.
    pub(crate) async fn release(self) {
        let released = match self {
            Self::Postgres(connection) => connection.close().await,
            Self::MySql(connection) => connection.close().await,
            Self::Sqlite(file) => file.unlock().map_err(sqlx::Error::Io),
            Self::InMemory => Ok(()),
        };
        if let Err(error) = released {
            tracing::debug!(%error, "the migration lock was lost before its end");
        }
    }
}

// A transaction's lock, because a transaction pooler gives a session's lock to whoever comes next.
async fn postgres(db: &DatabaseConnection) -> Result<MigrationLock, sqlx::Error> {
    let options = db.get_postgres_connection_pool().connect_options();
    let mut connection = options.connect().await?;
    let begin = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0";
    sqlx::raw_sql(begin).execute(&mut connection).await?;
    let mut waits = Waits::default();
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_xact_lock($1)")
        .bind(POSTGRES_KEY)
        .fetch_one(&mut connection)
        .await?
    {
        waits.pause().await;
    }
    Ok(MigrationLock::Postgres(connection))
}

async fn mysql(db: &DatabaseConnection) -> Result<MigrationLock, sqlx::Error> {
    let options = db.get_mysql_connection_pool().connect_options();
    let mut connection = options.connect().await?;
    let day = "SET SESSION wait_timeout = 86400";
    sqlx::raw_sql(day).execute(&mut connection).await?;
    let mut waits = Waits::default();
    // NULL where it cannot be said, which is as good as no.
    while sqlx::query_scalar::<_, Option<i64>>(MYSQL)
        .fetch_one(&mut connection)
        .await?
        != Some(1)
    {
        waits.pause().await;
    }
    Ok(MigrationLock::MySql(connection))
}

// The database's own locks are for one connection, and the migrations have many: a file beside it stands for it.
async fn sqlite(db: &DatabaseConnection) -> Result<MigrationLock, DbErr> {
    let options = db.get_sqlite_connection_pool().connect_options();
    if super::connect::is_in_memory(&options) {
        return Ok(MigrationLock::InMemory);
    }
    let mut path = options.get_filename().as_os_str().to_owned();
    path.push("-migrate.lock");
    let path = PathBuf::from(path);
    let error =
        |error: std::io::Error| DbErr::Custom(format!("cannot lock `{}`: {error}", path.display()));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(error)?;
    let mut waits = Waits::default();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(MigrationLock::Sqlite(file)),
            Err(TryLockError::WouldBlock) => waits.pause().await,
            Err(TryLockError::Error(reason)) => return Err(error(reason)),
        }
    }
}

#[derive(Default)]
struct Waits {
    said: bool,
}

impl Waits {
    async fn pause(&mut self) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::info!("another process is migrating the database; waiting for it");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(std::sync::Arc::new(error)))
}
