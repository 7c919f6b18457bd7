//! A run's timeline.

use chrono::{DateTime, Utc};

use super::list::state;
use crate::bridge::direct_id;
use crate::cli::{brief, clock, moment};
use crate::jobs::{RunDetails, RunStatus, StepRecord};

pub(super) fn timeline(details: &RunDetails) -> String {
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
    if let Some((schedule, slot)) = run.schedule.as_ref().zip(run.slot) {
        fact("schedule", format!("{schedule}, slot {}", moment(slot)));
    }
    fact("input", brief(&run.input.to_string()));
    if let Some(output) = &run.output {
        fact("output", brief(&output.to_string()));
    }
    text.push_str("\n  timeline (UTC)\n");
    let mut moments = moments(details);
    moments.sort_by_key(|(at, _)| *at);
    // A day has its date only where there are several.
    let days = moments.first().zip(moments.last());
    let on_one_day = days.is_some_and(|(first, last)| first.0.date_naive() == last.0.date_naive());
    let when = if on_one_day { clock } else { moment };
    for (at, what) in moments {
        text.push_str(&format!("  {}  {what}\n", when(at)));
    }
    text.trim_end().to_owned()
}

fn moments(details: &RunDetails) -> Vec<(DateTime<Utc>, String)> {
    let run = &details.run;
    let mut moments = Vec::new();
    if let Some(event) = &details.caused_by_event {
        moments.push((
            event.occurred_at,
            format!("event {} happened", event.event_type),
        ));
        let trigger = event.trigger_id.as_deref().unwrap_or_default();
        let text = if trigger == direct_id(&run.job_type) {
            "started with its event".to_owned()
        } else {
            format!("started by the trigger {trigger}")
        };
        moments.push((run.created_at, text));
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
        moments.extend(of_step(step));
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

fn of_step(step: &StepRecord) -> Vec<(DateTime<Utc>, String)> {
    let name = &step.name;
    let Some(what) = awaited(step) else {
        let Some(finished_at) = step.finished_at else {
            return Vec::new();
        };
        let took = (finished_at - step.started_at).num_milliseconds().max(0);
        let text = match &step.error {
            Some(error) => format!("step `{name}` failed: {}", brief(error)),
            None => format!("step `{name}` completed in {took} ms"),
        };
        return vec![(finished_at, text)];
    };
    let mut moments = vec![(step.started_at, format!("waits for {what}"))];
    if let Some(at) = step.finished_at {
        let end = if step.status == "completed" {
            "is over"
        } else {
            "was given up"
        };
        moments.push((at, format!("the wait for {what} {end}")));
    }
    moments
}

/// What a wait is for; nothing where the step is none.
fn awaited(step: &StepRecord) -> Option<String> {
    let what = match step.kind.as_str() {
        "sleep" => step
            .wake_at
            .map_or_else(|| "its time".to_owned(), |at| format!("{} UTC", moment(at))),
        "children" => step.event_key.as_ref().map_or_else(
            || "its children".to_owned(),
            |child| format!("its child `{}`", child.trim_start_matches("child:")),
        ),
        "event" => format!(
            "the event {} {}",
            step.event_type.as_deref().unwrap_or_default(),
            step.event_key.as_deref().unwrap_or_default()
        ),
        _ => return None,
    };
    Some(what)
}
