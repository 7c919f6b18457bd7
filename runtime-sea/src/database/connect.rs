//! Connection pools with the settings that the runtime's promises need.

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

/// Why [`connect`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL names no database that the runtime supports.
    #[error(
        "`{scheme}` is not a database that this runtime supports; use a `sqlite:`, `postgres://` or `mysql://` URL"
    )]
    UnsupportedDatabase {
        /// What stood before the colon.
        scheme: String,
    },
    /// The database could not be reached or refused the connection.
    #[error("cannot connect to the database: {0}")]
    Database(#[from] DbErr),
}

/// Opens a pool with the settings that suit the database: on SQLite WAL, a busy timeout, `synchronous = NORMAL` and
/// foreign keys; on MySQL and MariaDB the isolation level `READ COMMITTED`; everywhere without statements in tracing
/// spans, where they would leak data.
///
/// # Errors
/// [`ConnectError::UnsupportedDatabase`] for another kind of URL, [`ConnectError::Database`] if the connection fails.
pub async fn connect(url: &str) -> Result<DatabaseConnection, ConnectError> {
    // libpq takes both spellings, SeaORM only the shorter; MariaDB's own clients write its name.
    let url = match url.split_once("://") {
        Some(("postgresql", rest)) => format!("postgres://{rest}"),
        Some(("mariadb", rest)) => format!("mysql://{rest}"),
        _ => url.to_owned(),
    };
    let mut options = ConnectOptions::new(url.clone());
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .acquire_timeout(Duration::from_secs(30));
    match url.split(':').next().unwrap_or_default() {
        "sqlite" => {
            options.map_sqlx_sqlite_opts(|sqlite| {
                sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .busy_timeout(Duration::from_secs(30))
                    .foreign_keys(true)
            });
            let in_memory = url
                .parse::<SqliteConnectOptions>()
                .is_ok_and(|parsed| is_in_memory(&parsed));
            if in_memory {
                // The database is gone with its one connection, which a wait for it that is given up in the middle of
                // its test would take along.
                options
                    .min_connections(1)
                    .max_connections(1)
                    .test_before_acquire(false)
                    .idle_timeout(None)
                    .max_lifetime(None);
            } else {
                options.max_connections(8);
            }
        }
        "postgres" => {
            options.max_connections(16);
        }
        "mysql" => {
            options
                .max_connections(16)
                .map_sqlx_mysql_pool_opts(super::mysql::pool_options);
        }
        scheme => {
            return Err(ConnectError::UnsupportedDatabase {
                scheme: scheme.to_owned(),
            });
        }
    }
    Ok(Database::connect(options).await?)
}

/// Whether SQLite is asked through one connection, as a database in memory always is.
pub(super) fn has_one_connection(db: &DatabaseConnection) -> bool {
    let pool = db.get_sqlite_connection_pool();
    pool.options().get_max_connections() == 1 || is_in_memory(&pool.connect_options())
}

pub(super) fn is_in_memory(options: &SqliteConnectOptions) -> bool {
    let name = options.get_filename().to_string_lossy();
    name.starts_with("file:sqlx-in-memory")
        || name.contains(":memory:")
        || name.contains("mode=memory")
}
