//! `jobs list`, `jobs show`, `jobs cancel`.

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::table::table;
use super::{CliError, brief, clock, json, moment};
use crate::Runtime;
use crate::jobs::{Cancelled, RunDetails, RunFilter, RunId, RunRecord, RunStatus};

/// Runs of jobs.
#[derive(Debug, Clone, clap::Args)]
pub struct JobsCommand {
    #[command(subcommand)]
    action: Action,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// The newest runs
    List {
        /// Only runs of this status
        #[arg(long, value_parser = status_parser())]
        status: Option<RunStatus>,
        /// Only runs of this job
        #[arg(long = "type", value_name = "JOB")]
        job_type: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
    /// A run's timeline: its cause, attempts, steps and children
    Show {
        /// The run
        id: RunId,
    },
    /// Stop a run, or keep it from running
    Cancel {
        /// The run
        id: RunId,
    },
}

fn status_parser() -> impl TypedValueParser<Value = RunStatus> {
    PossibleValuesParser::new(RunStatus::ALL.map(RunStatus::as_str))
        .try_map(|name| RunStatus::from_name(&name).ok_or("unknown status"))
}

impl JobsCommand {
    /// What to print.
    ///
    /// # Errors
    /// [`CliError::NotFound`] for an unknown id, and what the database refuses.
    pub async fn run(self, runtime: &Runtime) -> Result<String, CliError> {
        let jobs = runtime.jobs().all_tenants();
        match self.action {
            Action::List {
                status,
                job_type,
                limit,
            } => {
                let mut filter = RunFilter::new().limit(limit);
                if let Some(status) = status {
                    filter = filter.status(status);
                }
                if let Some(job_type) = job_type {
                    filter = filter.job_type(job_type);
                }
                let runs = jobs.list(filter).await?;
                if self.json {
                    json(&runs)
                } else {
                    Ok(list(&runs))
                }
            }
            Action::Show { id } => {
                let details = jobs.show(id).await?.ok_or_else(|| not_found(id))?;
                if self.json {
                    json(&details)
                } else {
                    Ok(timeline(&details))
                }
            }
            Action::Cancel { id } => {
                let text = match jobs.cancel(id).await? {
                    Cancelled::AtOnce => format!("run {id} is cancelled"),
                    Cancelled::Requested => {
                        format!("run {id} is running; its worker has been asked to stop it")
                    }
                    Cancelled::AlreadyOver(status) => {
                        format!("run {id} was over already: {status}")
                    }
                    Cancelled::NotFound => return Err(not_found(id)),
                };
                if self.json {
                    return json(&serde_json::json!({ "id": id, "result": text }));
                }
                Ok(text)
            }
        }
    }
}

fn not_found(id: RunId) -> CliError {
    CliError::NotFound {
        what: "run",
        id: id.to_string(),
    }
}

fn list(runs: &[RunRecord]) -> String {
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
fn state(run: &RunRecord) -> String {
    match (run.status, run.readiness.as_str()) {
        (RunStatus::Pending, "blocked") => "pending (key taken)".to_owned(),
        (RunStatus::Pending, "scheduled") => "pending (scheduled)".to_owned(),
        (status, _) => status.to_string(),
    }
}

fn timeline(details: &RunDetails) -> String {
    let run = &details.run;
    let mut text = format!("run {} of `{}`: {}\n", run.id, run.job_type, state(run));
    let mut fact = |name: &str, value: String| text.push_str(&format!("  {name:<10}{value}\n"));
    fact("pool", run.pool.clone());
    if let Some((kind, id)) = run.scope_type.as_ref().zip(run.scope_id.as_ref()) {
        fact("about", format!("{kind} {id}"));
    }
    if let Some(key) = &run.concurrency_key {
        fact("key", key.clone());
    }
    if let Some(parent) = run.parent_run_id {
        fact(
            "parent",
            format!(
                "{parent}, as `{}`",
                run.child_name.as_deref().unwrap_or_default()
            ),
        );
    }
    if let Some(event) = &details.caused_by_event {
        fact("event", format!("{} {}", event.event_type, event.id));
    }
    fact("input", brief(&run.input.to_string()));
    if let Some(output) = &run.output {
        fact("output", brief(&output.to_string()));
    }
    text.push_str("\n  timeline (UTC)\n");
    let mut moments = moments(details);
    moments.sort_by_key(|(at, _)| *at);
    for (at, what) in moments {
        text.push_str(&format!("  {}  {what}\n", clock(at)));
    }
    text.trim_end().to_owned()
}

fn moments(details: &RunDetails) -> Vec<(DateTime<Utc>, String)> {
    let run = &details.run;
    let mut moments = Vec::new();
    if let Some(event) = &details.caused_by_event {
        let trigger = event.trigger_id.as_deref().unwrap_or_default();
        moments.push((
            event.occurred_at,
            format!("event {} happened", event.event_type),
        ));
        moments.push((run.created_at, format!("started by the trigger {trigger}")));
    } else {
        moments.push((run.created_at, "started".to_owned()));
    }
    if run.status == RunStatus::Pending && run.run_at > run.created_at {
        moments.push((run.run_at, format!("attempt {} may begin", run.attempt + 1)));
    }
    for error in &run.errors {
        if let Some(at) = error.started_at {
            moments.push((at, format!("attempt {} begins", error.attempt)));
        }
        if let Some(at) = error.ended_at {
            let text = brief(&error.error);
            moments.push((
                at,
                format!("attempt {} {}: {text}", error.attempt, error.outcome),
            ));
        }
    }
    // After a replay the attempts count from 1 again.
    let told = run
        .errors
        .iter()
        .any(|error| error.started_at == run.claimed_at);
    if let Some(at) = run.claimed_at.filter(|_| !told && run.attempt > 0) {
        moments.push((at, format!("attempt {} begins", run.attempt)));
    }
    for step in details.steps.iter().filter(|step| step.kind != "child") {
        let Some(finished_at) = step.finished_at else {
            continue;
        };
        let took = (finished_at - step.started_at).num_milliseconds().max(0);
        let text = match &step.error {
            Some(error) => format!("step `{}` failed: {}", step.name, brief(error)),
            None => format!("step `{}` completed in {took} ms", step.name),
        };
        moments.push((finished_at, text));
    }
    for child in &details.children {
        let name = child.child_name.as_deref().unwrap_or_default();
        moments.push((
            child.created_at,
            format!(
                "child `{name}` spawned: run {} of `{}`, {}",
                child.id,
                child.job_type,
                state(child)
            ),
        ));
    }
    if let Some(at) = run.cancel_requested_at {
        moments.push((at, "cancellation requested".to_owned()));
    }
    if let Some(at) = run.finished_at {
        moments.push((at, run.status.to_string()));
    }
    moments
}
