//! The story that requests, events, runs and steps tell together.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::story::{Outcome, Request, event, items};

struct Line {
    at: DateTime<Utc>,
    who: &'static str,
    what: String,
}

/// Prints the timeline, in milliseconds since the first request.
pub(crate) fn print(requests: &[Request], outcome: &Outcome) -> Result<()> {
    let mut lines = Vec::new();
    for request in requests {
        lines.push(Line {
            at: request.at,
            who: "http",
            what: format!(
                "{} answered {}: {}",
                shorten(&request.what),
                request.status,
                request.about
            ),
        });
    }
    for shown in &outcome.events {
        of_event(shown, &mut lines)?;
    }
    for shown in &outcome.runs {
        of_run(shown, &mut lines)?;
    }
    lines.sort_by_key(|it| it.at);
    let start = lines.first().context("nothing happened")?.at;
    for Line { at, who, what } in &lines {
        println!(
            "      {:>6} ms  {who:<7} {what}",
            (*at - start).num_milliseconds()
        );
    }
    Ok(())
}

fn of_event(shown: &Value, lines: &mut Vec<Line>) -> Result<()> {
    let event = event(shown);
    let name = text(event, "event_type")?;
    lines.push(Line {
        at: time(event, "created_at")?,
        who: "outbox",
        what: format!(
            "{name} written in the transaction of its {}",
            text(event, "aggregate_type")?
        ),
    });
    lines.push(Line {
        at: time(event, "processed_at")?,
        who: "drain",
        what: format!("{name} delivered to its subscribers and triggers"),
    });
    Ok(())
}

fn of_run(shown: &Value, lines: &mut Vec<Line>) -> Result<()> {
    let run = &shown["run"];
    let name = text(run, "job_type")?;
    let why = match (
        shown["caused_by_event"]["event_type"].as_str(),
        run["child_name"].as_str(),
    ) {
        (Some(event), _) => format!("{name} started by the event {event}, exactly once"),
        (None, Some(child)) => format!("{name} spawned as the child `{child}`"),
        (None, None) => format!("{name} started"),
    };
    let who = if run["trigger_id"].is_null() {
        "job"
    } else {
        "bridge"
    };
    lines.push(Line {
        at: time(run, "created_at")?,
        who,
        what: why,
    });
    lines.push(Line {
        at: time(run, "started_at")?,
        who: "worker",
        what: format!("{name} runs"),
    });
    // Children tell their own part.
    let steps = items(&shown["steps"])?;
    for step in steps.iter().filter(|it| it["kind"] == "step") {
        lines.push(Line {
            at: time(step, "finished_at")?,
            who: "step",
            what: format!("{name} / {} done and remembered", text(step, "name")?),
        });
    }
    lines.push(Line {
        at: time(run, "finished_at")?,
        who: "worker",
        what: format!("{name} {}", text(run, "status")?),
    });
    Ok(())
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("no `{key}` in {value}"))
}

fn time(value: &Value, key: &str) -> Result<DateTime<Utc>> {
    Ok(text(value, key)?.parse()?)
}

/// Ids are of no use in a story.
fn shorten(request: &str) -> String {
    match request.rsplit_once('/') {
        Some((path, id)) if id.len() == 36 => format!("{path}/{}..", &id[..8]),
        _ => request.to_owned(),
    }
}
