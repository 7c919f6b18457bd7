//! Jobs as a whole: how many runs, which types, and clearing away.

use std::time::Duration;

use crate::Retention;
use crate::cli::table::table;
use crate::cli::{CliError, duration, json, moment};
use crate::jobs::Jobs;

/// How long what is over is kept; what is not given is what workers keep by default.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Prune {
    /// Completed runs, such as `14d`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    completed: Option<Duration>,
    /// Failed, timed-out and cancelled runs
    #[arg(long, value_name = "TIME", value_parser = duration)]
    failed: Option<Duration>,
    /// Processed events
    #[arg(long, value_name = "TIME", value_parser = duration)]
    events: Option<Duration>,
    /// Failed events
    #[arg(long, value_name = "TIME", value_parser = duration)]
    failed_events: Option<Duration>,
}

impl Prune {
    pub(super) async fn run(self, jobs: &Jobs, as_json: bool) -> Result<String, CliError> {
        let mut retention = Retention::new();
        if let Some(time) = self.completed {
            retention = retention.completed(time);
        }
        if let Some(time) = self.failed {
            retention = retention.failed(time);
        }
        if let Some(time) = self.events {
            retention = retention.events(time);
        }
        if let Some(time) = self.failed_events {
            retention = retention.failed_events(time);
        }
        let pruned = jobs.prune(retention).await?;
        if as_json {
            return json(&pruned);
        }
        Ok(format!(
            "cleared away: {} runs, {} events",
            pruned.runs, pruned.events
        ))
    }
}

pub(super) async fn types(jobs: &Jobs, as_json: bool) -> Result<String, CliError> {
    let types = jobs.types().await?;
    if as_json {
        return json(&types);
    }
    if types.is_empty() {
        return Ok("no worker has registered a job".to_owned());
    }
    let rows: Vec<_> = types
        .iter()
        .map(|it| {
            vec![
                it.job_type.clone(),
                it.pool.clone(),
                it.version.to_string(),
                hosted(it.gone_at.is_none()),
                moment(it.seen_at),
            ]
        })
        .collect();
    Ok(table(
        &["JOB", "POOL", "VERSION", "HOSTED", "LAST SEEN (UTC)"],
        &rows,
    ))
}

pub(super) async fn stats(jobs: &Jobs, as_json: bool) -> Result<String, CliError> {
    let stats = jobs.stats().await?;
    if as_json {
        return json(&stats);
    }
    if stats.jobs.is_empty() {
        return Ok("no jobs".to_owned());
    }
    let rows: Vec<_> = stats
        .jobs
        .iter()
        .map(|it| {
            let age = it
                .oldest_ready_seconds
                .map(|seconds| format!("{seconds} s"));
            let mut row = vec![
                it.pool.clone(),
                it.job_type.clone(),
                hosted(it.is_hosted),
                it.ready.to_string(),
                age.unwrap_or_default(),
            ];
            row.extend(
                [
                    it.scheduled,
                    it.blocked,
                    it.waiting,
                    it.running,
                    it.completed,
                    it.failed,
                    it.timed_out,
                    it.canceled,
                ]
                .map(|number| number.to_string()),
            );
            row
        })
        .collect();
    let mut text = table(
        &[
            "POOL",
            "JOB",
            "HOSTED",
            "READY",
            "OLDEST",
            "SCHEDULED",
            "BLOCKED",
            "WAITING",
            "RUNNING",
            "COMPLETED",
            "FAILED",
            "TIMED OUT",
            "CANCELED",
        ],
        &rows,
    );
    text.push_str("\n\nwhat has ended: in the last hour");
    if stats.is_partial {
        text.push_str("\nthere is more than was counted");
    }
    if stats.jobs.iter().any(|it| !it.is_hosted) {
        text.push_str("\nnot hosted: no live worker executes this job; its runs wait for one");
    }
    Ok(text)
}

fn hosted(is_hosted: bool) -> String {
    if is_hosted { "yes" } else { "no" }.to_owned()
}
