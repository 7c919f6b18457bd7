//! `jobs`: what runs do, and what operators do to them.

mod list;
mod pools;
mod runs;
mod schedules;
mod stats;
mod timeline;

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{CliError, json};
use crate::Runtime;
use crate::jobs::{Jobs, Replay, RunFilter, RunId, RunStatus};

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
    List(List),
    /// A run's timeline: its cause, attempts, steps and children
    Show {
        /// The run
        id: RunId,
    },
    /// Stop a run, or keep it from running, with what is below it
    Cancel {
        /// The run
        id: RunId,
    },
    /// Give a run that failed, timed out or was cancelled its attempts anew; completed steps stay
    Retry {
        /// The run
        id: RunId,
    },
    /// Execute a run again that is over
    Replay {
        /// The run
        id: RunId,
        /// What is executed again: everything, the last completed step and what follows, or what follows it
        #[arg(long, value_parser = replay_parser())]
        from: Replay,
    },
    /// Move a run that waits: not before this time
    Reschedule {
        /// The run
        id: RunId,
        /// The time, such as 2030-01-31T18:00:00Z
        at: DateTime<Utc>,
    },
    /// The pools and lanes, and what is set for them
    Pools,
    /// Claim nothing more from a pool or lane
    Pause {
        /// The pool
        pool: String,
    },
    /// Claim from a pool or lane again
    Resume {
        /// The pool
        pool: String,
    },
    /// Execute at most so many runs of a pool at a time, over all workers
    Limit {
        /// The pool
        pool: String,
        /// The number, or `none`
        #[arg(value_parser = pools::limit)]
        runs: pools::Limit,
    },
    /// What is started or published at regular times, and when next
    Schedules {
        #[command(subcommand)]
        action: Option<schedules::Action>,
    },
    /// The registered jobs, and whether a live worker hosts them
    Types,
    /// What waits, what runs and what has ended in the last hour
    Stats,
    /// Clear away what is over for long
    Prune(stats::Prune),
}

#[derive(Debug, Clone, clap::Args)]
struct List {
    /// Only runs of this status
    #[arg(long, value_parser = status_parser())]
    status: Option<RunStatus>,
    /// Only runs of this job
    #[arg(long = "type", value_name = "JOB")]
    job_type: Option<String>,
    /// Only runs of this pool
    #[arg(long)]
    pool: Option<String>,
    /// Only runs about this, such as `account:17`
    #[arg(long, value_name = "KIND:ID", value_parser = scope)]
    about: Option<(String, String)>,
    /// Only runs of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u64,
}

fn status_parser() -> impl TypedValueParser<Value = RunStatus> {
    PossibleValuesParser::new(RunStatus::ALL.map(RunStatus::as_str))
        .try_map(|name| RunStatus::from_name(&name).ok_or("unknown status"))
}

fn replay_parser() -> impl TypedValueParser<Value = Replay> {
    PossibleValuesParser::new(["scratch", "last-step", "last-checkpoint"]).map(|name| {
        match name.as_str() {
            "scratch" => Replay::Scratch,
            "last-step" => Replay::LastStep,
            _ => Replay::LastCheckpoint,
        }
    })
}

fn scope(text: &str) -> Result<(String, String), String> {
    text.split_once(':')
        .map(|(kind, id)| (kind.to_owned(), id.to_owned()))
        .ok_or_else(|| "expected a kind and an id, such as `account:17`".to_owned())
}

impl JobsCommand {
    /// What to print.
    ///
    /// # Errors
    /// [`CliError::NotFound`] for an unknown id, [`CliError::Refused`] for what cannot be done to a run, and what the
    /// database refuses.
    pub async fn run(self, runtime: &Runtime) -> Result<String, CliError> {
        let jobs = runtime.jobs().all_tenants();
        let as_json = self.json;
        match self.action {
            Action::List(list) => list.run(&jobs, as_json).await,
            Action::Show { id } => {
                let details = jobs.show(id).await?.ok_or_else(|| not_found(id))?;
                if as_json {
                    return json(&details);
                }
                Ok(timeline::timeline(&details))
            }
            Action::Cancel { id } => answer(as_json, id, runs::cancel(&jobs, id).await?),
            Action::Retry { id } => answer(as_json, id, runs::retry(&jobs, id).await?),
            Action::Replay { id, from } => {
                answer(as_json, id, runs::replay(&jobs, id, from).await?)
            }
            Action::Reschedule { id, at } => {
                answer(as_json, id, runs::reschedule(&jobs, id, at).await?)
            }
            Action::Pools => pools::list(&jobs, as_json).await,
            Action::Pause { pool } => {
                pools::known(&jobs, &pool).await?;
                jobs.pause_pool(&pool).await?;
                pools::show(&jobs, as_json, &pool).await
            }
            Action::Resume { pool } => {
                pools::known(&jobs, &pool).await?;
                jobs.resume_pool(&pool).await?;
                pools::show(&jobs, as_json, &pool).await
            }
            Action::Limit { pool, runs } => {
                pools::limitable(&jobs, &pool).await?;
                jobs.limit_pool(&pool, runs.0).await?;
                pools::show(&jobs, as_json, &pool).await
            }
            Action::Schedules { action } => schedules::run(action, &jobs, as_json).await,
            Action::Types => stats::types(&jobs, as_json).await,
            Action::Stats => stats::stats(&jobs, as_json).await,
            Action::Prune(prune) => prune.run(&jobs, as_json).await,
        }
    }
}

impl List {
    async fn run(self, jobs: &Jobs, as_json: bool) -> Result<String, CliError> {
        let mut filter = RunFilter::new().limit(self.limit);
        if let Some(status) = self.status {
            filter = filter.status(status);
        }
        if let Some(job_type) = self.job_type {
            filter = filter.job_type(job_type);
        }
        if let Some(pool) = self.pool {
            filter = filter.pool(pool);
        }
        if let Some((kind, id)) = self.about {
            filter = filter.scope(kind, id);
        }
        if let Some(tenant) = self.tenant {
            filter = filter.tenant(tenant);
        }
        let runs = jobs.list(filter).await?;
        if as_json {
            return json(&runs);
        }
        Ok(list::list(&runs))
    }
}

fn answer(as_json: bool, id: RunId, answer: runs::Answer) -> Result<String, CliError> {
    let runs::Answer { status, text } = answer;
    if as_json {
        return json(&serde_json::json!({ "id": id, "status": status, "result": text }));
    }
    Ok(text)
}

fn not_found(id: RunId) -> CliError {
    CliError::NotFound {
        what: "run",
        id: id.to_string(),
    }
}
