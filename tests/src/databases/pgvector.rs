//! PostgreSQL with vectors, which not every server has.

use std::io::Write;

use anyhow::Result;

use super::{TestDatabase, not_run, postgres, postgres_client};

/// Says that pgvector could not be installed where everything else is required.
const WITHOUT: &str = "CODEGEN_TEST_WITHOUT_PGVECTOR";

/// Like [`postgres()`]; `None` (and a line that says so) also where the server has no pgvector.
///
/// # Errors
/// If the server refuses, or if there is no server, or none with pgvector, and `CI=true`.
pub fn postgres_with_pgvector() -> Result<Option<TestDatabase>> {
    let Some(database) = postgres()? else {
        return Ok(None);
    };
    let sql = "SELECT FROM pg_available_extensions WHERE name = 'vector'";
    if !postgres_client(&database.url)?.query(sql, &[])?.is_empty() {
        return Ok(Some(database));
    }
    if std::env::var_os(WITHOUT).is_some() {
        // Not by a macro: the test harness would keep what a passing test prints to itself.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: semantic search, PostgreSQL has no pgvector"
        );
    } else {
        not_run("semantic search: PostgreSQL has no pgvector (install postgresql-<version>-pgvector, or its source)")
            .map_err(anyhow::Error::msg)?;
    }
    Ok(None)
}
