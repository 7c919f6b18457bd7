//! Questions to a database whose answers are texts.

use anyhow::{Result, bail};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, SqliteConnection};

/// The first column of each row on PostgreSQL.
pub(crate) fn postgres(url: &str, sql: &str) -> Result<Vec<String>> {
    let rows = super::postgres_client(url)?.query(sql, &[])?;
    Ok(rows
        .iter()
        .map(|it| it.try_get(0))
        .collect::<Result<_, _>>()?)
}

/// The first column of each row on MySQL and MariaDB.
pub(crate) fn mysql(url: &str, sql: &str) -> Result<Vec<String>> {
    alone(async {
        let mut connection = MySqlConnection::connect(url).await?;
        let texts = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection);
        Ok(texts.await?)
    })
}

/// The first column of each row on SQLite.
pub(crate) fn sqlite(url: &str, sql: &str) -> Result<Vec<String>> {
    alone(async {
        let mut connection = SqliteConnection::connect(url).await?;
        let texts = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection);
        let texts = texts.await?;
        connection.close().await?;
        Ok(texts)
    })
}

// On a thread of its own, because a test may ask from within its own Tokio runtime.
fn alone(work: impl Future<Output = Result<Vec<String>>> + Send) -> Result<Vec<String>> {
    let work = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(work)
    };
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| bail!("the connection panicked"))
}
