//! What can be seen of a database, without ids and moments.

use std::collections::BTreeMap;
use std::fmt::Debug;

use runtime_sea::bridge::BridgeStatus;
use runtime_sea::{DeliveryStatus, EventDetails, EventStatus, RunDetails, RunStatus};
use serde_json::Value;

use super::world::Calls;

/// Everything, by label.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct View {
    pub(super) runs: BTreeMap<String, RunView>,
    pub(super) events: BTreeMap<String, EventView>,
    pub(super) calls: Calls,
}

impl View {
    /// Whether nothing is left to happen.
    pub(super) fn is_over(&self) -> bool {
        self.runs.values().all(|it| it.status.is_final())
            && self.events.values().all(EventView::is_over)
    }

    /// The first thing that is not the same.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        first_difference(&self.runs, &other.runs)
            .or_else(|| first_difference(&self.events, &other.events))
            .or_else(|| first_difference(&self.calls, &other.calls))
    }
}

fn first_difference<K: Ord + Debug, V: PartialEq + Debug>(
    left: &BTreeMap<K, V>,
    right: &BTreeMap<K, V>,
) -> Option<String> {
    let mut keys = left.keys().chain(right.keys());
    let key = keys.find(|key| left.get(key) != right.get(key))?;
    let (left, right) = (left.get(key), right.get(key));
    Some(format!("{key:?}: {left:#?} / {right:#?}"))
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunView {
    pub(super) job_type: String,
    pub(super) status: RunStatus,
    pub(super) readiness: Option<String>,
    pub(super) attempt: i32,
    pub(super) recoveries: i32,
    pub(super) output: Option<Value>,
    pub(super) error: Option<String>,
    /// Attempt and outcome of what did not succeed.
    pub(super) errors: Vec<(i32, String)>,
    /// Name, status, executions, attempt and output.
    pub(super) steps: Vec<(String, String, i32, i32, Option<Value>)>,
    pub(super) children: Vec<String>,
}

/// A trigger, what it did, why, and the run.
pub(super) type Answer = (String, BridgeStatus, Option<String>, Option<String>);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct EventView {
    pub(super) status: EventStatus,
    pub(super) attempts: u32,
    pub(super) recoveries: u32,
    pub(super) error: Option<String>,
    /// Consumer, status, attempts and error of what did not succeed on the spot.
    pub(super) deliveries: Vec<(String, DeliveryStatus, u32, Option<String>)>,
    pub(super) bridge: Vec<Answer>,
}

impl EventView {
    // It has failed for good once one subscription has given up, while others may still be tried.
    fn is_over(&self) -> bool {
        let is_left = |it: &(_, DeliveryStatus, _, _)| it.1 == DeliveryStatus::Pending;
        self.status != EventStatus::Pending && !self.deliveries.iter().any(is_left)
    }
}

pub(super) fn label(value: &Value) -> String {
    value["label"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn run(details: RunDetails) -> RunView {
    let RunDetails {
        run,
        steps,
        children,
        ..
    } = details;
    let mut children: Vec<_> = children.iter().map(|it| label(&it.input)).collect();
    children.sort();
    RunView {
        job_type: run.job_type,
        status: run.status,
        readiness: (run.status == RunStatus::Pending).then_some(run.readiness),
        attempt: run.attempt,
        recoveries: run.recoveries,
        output: run.output,
        // Which run has replaced it is said by an id.
        error: run
            .error
            .map(|it| it.split(" by run ").next().unwrap_or_default().to_owned()),
        errors: run
            .errors
            .into_iter()
            .map(|it| (it.attempt, it.outcome))
            .collect(),
        steps: steps
            .into_iter()
            // What others give has ids and moments in it.
            .map(|it| {
                let output = it.output.filter(|_| it.kind == "step");
                (it.name, it.status, it.executions, it.attempt, output)
            })
            .collect(),
        children,
    }
}

pub(super) fn event(details: &EventDetails, bridge: Vec<Answer>) -> EventView {
    let event = &details.event;
    let mut deliveries: Vec<_> = details
        .deliveries
        .iter()
        .map(|it| {
            (
                it.consumer.clone(),
                it.status,
                it.attempts,
                it.error.clone(),
            )
        })
        .collect();
    deliveries.sort_by(|a, b| a.0.cmp(&b.0));
    EventView {
        status: event.status,
        attempts: event.attempts,
        recoveries: event.recoveries,
        error: event.error.clone(),
        deliveries,
        bridge,
    }
}
