//! Runs as a table.

use crate::cli::table::table;
use crate::cli::{brief, moment};
use crate::jobs::{RunRecord, RunStatus};

pub(super) fn list(runs: &[RunRecord]) -> String {
    if runs.is_empty() {
        return "no runs".to_owned();
    }
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            vec![
                run.id.to_string(),
                run.job_type.clone(),
                state(run),
                format!("{}/{}", run.attempt, run.max_attempts + run.recoveries),
                moment(run.created_at),
                run.error
                    .as_deref()
                    .filter(|_| run.status != RunStatus::Completed)
                    .map(brief)
                    .unwrap_or_default(),
            ]
        })
        .collect();
    table(
        &["RUN", "JOB", "STATUS", "ATTEMPT", "STARTED (UTC)", "ERROR"],
        &rows,
    )
}

/// The status, with the reason why a pending run waits.
pub(super) fn state(run: &RunRecord) -> String {
    match (run.status, run.readiness.as_str()) {
        (RunStatus::Pending, "blocked") => "pending (key taken)".to_owned(),
        (RunStatus::Pending, "scheduled") => "pending (scheduled)".to_owned(),
        (status, _) => status.to_string(),
    }
}
