//! Pools and lanes.

use crate::cli::table::table;
use crate::cli::{CliError, json};
use crate::events::EventPool;
use crate::jobs::{Jobs, PoolRecord, is_reserved, no_limit};

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

/// Refuses the name of a pool that no worker has registered a job in: a setting of it would hold nobody back.
pub(super) async fn known(jobs: &Jobs, name: &str) -> Result<(), CliError> {
    if name == EventPool::AUDIT_LANE {
        return Ok(());
    }
    find(jobs, name).await.map(drop)
}

/// As [`known`], and refuses a lane of the event drain.
pub(super) async fn limitable(jobs: &Jobs, name: &str) -> Result<(), CliError> {
    if is_reserved(name) {
        return Err(CliError::Refused(no_limit(name)));
    }
    known(jobs, name).await
}

async fn find(jobs: &Jobs, name: &str) -> Result<PoolRecord, CliError> {
    let pools = jobs.pools().await?;
    pools
        .into_iter()
        .find(|pool| pool.name == name)
        .ok_or_else(|| CliError::NotFound {
            what: "pool",
            id: name.to_owned(),
        })
}

/// How a pool is set now.
pub(super) async fn show(jobs: &Jobs, as_json: bool, name: &str) -> Result<String, CliError> {
    let pool = find(jobs, name).await?;
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
