//! The `jobs` and `events` subcommands of an app: what happened, for people (`--json` for tools).
//!
//! ```
//! #[derive(clap::Parser)]
//! enum Command {
//!     /// Runs of jobs
//!     Jobs(runtime_sea::cli::JobsCommand),
//!     /// Events of the outbox
//!     Events(runtime_sea::cli::EventsCommand),
//! }
//!
//! # use clap::Parser;
//! # Command::parse_from(["app", "jobs", "list", "--status", "failed", "--json"]);
//! ```

mod events;
mod jobs;
mod table;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use serde::Serialize;

pub use events::EventsCommand;
pub use jobs::JobsCommand;

/// Why a command has nothing to show.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// There is nothing under this id.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// It cannot be done to what is there.
    #[error("{0}")]
    Refused(String),
    /// The database refused.
    #[error("the database refused: {0}")]
    Database(#[from] DbErr),
    /// The result is not representable as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

fn json(value: &impl Serialize) -> Result<String, CliError> {
    Ok(serde_json::to_string_pretty(value)?)
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn clock(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S%.3f").to_string()
}

/// A time such as `90s`, `15m`, `12h` or `14d`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("expected a time such as `90s`, `15m`, `12h` or `14d`".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{number}` is not a number of such units"))
}

/// The first line of a text, bounded.
fn brief(text: &str) -> String {
    const LENGTH: usize = 100;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= LENGTH {
        return line.to_owned();
    }
    line.chars().take(LENGTH).chain(['…']).collect()
}
