//! What is done to one run.

use chrono::{DateTime, Utc};

use super::not_found;
use crate::cli::{CliError, moment};
use crate::jobs::{Cancelled, Jobs, Replay, Replayed, Rescheduled, RunId};

/// What became of it: for programs, and in words.
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) text: String,
}

impl Answer {
    fn pending(text: String) -> Self {
        Self {
            status: "pending",
            text,
        }
    }
}

pub(super) async fn cancel(jobs: &Jobs, id: RunId) -> Result<Answer, CliError> {
    let (status, text) = match jobs.cancel(id).await? {
        Cancelled::AtOnce => ("at_once", format!("run {id} is cancelled")),
        Cancelled::Requested => (
            "requested",
            format!("run {id} is running; its worker has been asked to stop it"),
        ),
        Cancelled::AlreadyOver(status) => (
            "already_over",
            format!("run {id} was over already: {status}"),
        ),
        Cancelled::NotFound => return Err(not_found(id)),
    };
    Ok(Answer { status, text })
}

pub(super) async fn retry(jobs: &Jobs, id: RunId) -> Result<Answer, CliError> {
    told(id, jobs.retry(id).await?)
}

pub(super) async fn replay(jobs: &Jobs, id: RunId, from: Replay) -> Result<Answer, CliError> {
    told(id, jobs.replay(id, from).await?)
}

fn told(id: RunId, replayed: Replayed) -> Result<Answer, CliError> {
    Err(CliError::Refused(match replayed {
        Replayed::Pending => {
            let text = format!("run {id} waits for a worker again");
            return Ok(Answer::pending(text));
        }
        Replayed::Refused(status) if status.is_final() => format!("run {id} is {status}"),
        Replayed::Refused(status) => format!("run {id} is not over: it is {status}"),
        Replayed::KeyTaken(other) => {
            format!("run {id} stays as it is: run {other} holds its concurrency key")
        }
        Replayed::Deduplicated(other) => {
            format!("run {id} stays as it is: its deduplication key stands for run {other}")
        }
        Replayed::NotFound => return Err(not_found(id)),
    }))
}

pub(super) async fn reschedule(
    jobs: &Jobs,
    id: RunId,
    at: DateTime<Utc>,
) -> Result<Answer, CliError> {
    match jobs.reschedule(id, at).await? {
        Rescheduled::Pending => {
            let text = format!("run {id} may begin at {} UTC", moment(at));
            Ok(Answer::pending(text))
        }
        Rescheduled::Refused(status) => Err(CliError::Refused(format!(
            "run {id} does not wait for a worker: it is {status}"
        ))),
        Rescheduled::NotFound => Err(not_found(id)),
    }
}
