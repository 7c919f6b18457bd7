//! Schedules of jobs and events.

use chrono::{DateTime, Utc};

use crate::cli::table::table;
use crate::cli::{CliError, json, moment};
use crate::jobs::Jobs;
use crate::schedule::ScheduleRecord;

#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum Action {
    /// Make nothing for a schedule's slots until it is resumed
    Pause {
        /// The schedule
        name: String,
    },
    /// Go on with the first slot from now on
    Resume {
        /// The schedule
        name: String,
    },
}

pub(super) async fn run(
    action: Option<Action>,
    jobs: &Jobs,
    as_json: bool,
) -> Result<String, CliError> {
    let (name, known) = match action {
        None => return list(jobs, as_json).await,
        Some(Action::Pause { name }) => {
            let known = jobs.pause_schedule(&name).await?;
            (name, known)
        }
        Some(Action::Resume { name }) => {
            let known = jobs.resume_schedule(&name).await?;
            (name, known)
        }
    };
    let all = jobs.schedules().await?;
    let found = all.into_iter().find(|it| known && it.name == name);
    let Some(schedule) = found else {
        return Err(CliError::NotFound {
            what: "schedule",
            id: name,
        });
    };
    if as_json {
        return json(&schedule);
    }
    Ok(format!(
        "schedule {name}: {}, next slot {}",
        state(&schedule),
        slot(schedule.next_slot_at)
    ))
}

async fn list(jobs: &Jobs, as_json: bool) -> Result<String, CliError> {
    let all = jobs.schedules().await?;
    if as_json {
        return json(&all);
    }
    if all.is_empty() {
        return Ok("no worker has registered a schedule".to_owned());
    }
    let rows: Vec<_> = all
        .iter()
        .map(|it| {
            vec![
                it.name.clone(),
                format!("{} {}", it.kind, it.target),
                it.cron.clone(),
                it.timezone.clone(),
                it.misfire.clone(),
                state(it).to_owned(),
                slot(it.next_slot_at),
                slot(it.last_slot_at),
                moment(it.seen_at),
            ]
        })
        .collect();
    Ok(table(
        &[
            "SCHEDULE",
            "MAKES",
            "CRON",
            "TIME ZONE",
            "MISSED",
            "STATE",
            "NEXT SLOT (UTC)",
            "LAST SLOT (UTC)",
            "LAST SEEN (UTC)",
        ],
        &rows,
    ))
}

fn state(schedule: &ScheduleRecord) -> &'static str {
    if schedule.paused { "paused" } else { "on" }
}

fn slot(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "none".to_owned(),
        |at| at.format("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
