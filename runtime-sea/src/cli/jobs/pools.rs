//! Pools and lanes.

use crate::cli::table::table;
use crate::cli::{CliError, json};
use crate::jobs::{Jobs, PoolRecord};

/// A limit, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) Option<u32>);

pub(super) fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    text.parse()
        .map(|runs| Limit(Some(runs)))
        .map_err(|_| "expected a number or `none`".to_owned())
}

pub(super) async fn list(jobs: &Jobs, as_json: bool) -> Result<String, CliError> {
    let pools = jobs.pools().await?;
    if as_json {
        return json(&pools);
    }
    let rows: Vec<_> = pools
        .iter()
        .map(|pool| vec![pool.name.clone(), state(pool).to_owned(), limited(pool)])
        .collect();
    Ok(table(&["POOL", "STATE", "LIMIT"], &rows))
}

/// How a pool is set now.
pub(super) async fn show(jobs: &Jobs, as_json: bool, name: &str) -> Result<String, CliError> {
    let pools = jobs.pools().await?;
    let Some(pool) = pools.into_iter().find(|pool| pool.name == name) else {
        return Err(CliError::NotFound {
            what: "pool",
            id: name.to_owned(),
        });
    };
    if as_json {
        return json(&pool);
    }
    Ok(format!(
        "pool {name}: {}, limit {}",
        state(&pool),
        limited(&pool)
    ))
}

fn state(pool: &PoolRecord) -> &'static str {
    if pool.paused { "paused" } else { "open" }
}

fn limited(pool: &PoolRecord) -> String {
    pool.run_limit
        .map_or_else(|| "none".to_owned(), |runs| runs.to_string())
}
