//! Events as tables.

use crate::cli::table::table;
use crate::cli::{brief, moment};
use crate::events::{EventDetails, EventRecord, LaneRecord, ParkedType, SubscriptionRecord};

pub(super) fn list(events: &[EventRecord]) -> String {
    if events.is_empty() {
        return "no events".to_owned();
    }
    let rows: Vec<_> = events
        .iter()
        .map(|event| {
            vec![
                event.id.to_string(),
                event.event_type.clone(),
                about(event),
                event.status.to_string(),
                moment(event.occurred_at),
                event.error.as_deref().map(brief).unwrap_or_default(),
            ]
        })
        .collect();
    table(
        &[
            "EVENT",
            "TYPE",
            "ABOUT",
            "STATUS",
            "OCCURRED (UTC)",
            "ERROR",
        ],
        &rows,
    )
}

fn about(event: &EventRecord) -> String {
    match (&event.aggregate_type, &event.aggregate_id) {
        (Some(kind), Some(id)) => format!("{kind} {id}"),
        (Some(kind), None) => kind.clone(),
        _ => String::new(),
    }
}

pub(super) fn show(details: &EventDetails) -> String {
    let event = &details.event;
    let mut text = format!(
        "event {} `{}`: {}\n",
        event.id, event.event_type, event.status
    );
    let mut fact = |name: &str, value: String| text.push_str(&format!("  {name:<11}{value}\n"));
    fact("about", about(event));
    fact(
        "lane",
        event
            .pool
            .clone()
            .unwrap_or_else(|| "none: an audit event".to_owned()),
    );
    fact("payload", brief(&event.payload.to_string()));
    fact("occurred", moment(event.occurred_at));
    fact("stored", moment(event.created_at));
    if let Some(at) = event.dispatched_at {
        fact("dispatched", moment(at));
    }
    if let Some(at) = event.processed_at {
        fact("processed", moment(at));
    }
    if let Some(error) = &event.error {
        fact("error", brief(error));
    }
    if !details.bridge.is_empty() {
        let rows: Vec<_> = details
            .bridge
            .iter()
            .map(|it| {
                let outcome = it
                    .run_id
                    .map(|id| format!("run {id}"))
                    .or_else(|| it.reason.clone());
                vec![
                    it.trigger_id.clone(),
                    it.status.to_string(),
                    outcome.unwrap_or_default(),
                ]
            })
            .collect();
        text.push_str(&format!(
            "\n{}\n",
            table(&["TRIGGER", "STATUS", "OUTCOME"], &rows)
        ));
    }
    if !details.deliveries.is_empty() {
        let rows: Vec<_> = details
            .deliveries
            .iter()
            .map(|it| {
                vec![
                    it.consumer.clone(),
                    it.status.to_string(),
                    it.attempts.to_string(),
                    it.error.as_deref().map(brief).unwrap_or_default(),
                ]
            })
            .collect();
        text.push_str(&format!(
            "\n{}\n",
            table(&["DELIVERY", "STATUS", "ATTEMPTS", "ERROR"], &rows)
        ));
    }
    text.trim_end().to_owned()
}

pub(super) fn subscriptions(records: &[SubscriptionRecord]) -> String {
    if records.is_empty() {
        return "no subscriptions".to_owned();
    }
    let rows: Vec<_> = records
        .iter()
        .map(|it| {
            vec![
                it.name.clone(),
                it.kind.as_str().to_owned(),
                it.event_type.clone(),
                it.waiting.to_string(),
                it.failed.to_string(),
                moment(it.seen_at),
                it.retired_at.map(moment).unwrap_or_default(),
            ]
        })
        .collect();
    table(
        &[
            "NAME",
            "KIND",
            "EVENT",
            "WAITING",
            "FAILED",
            "SEEN (UTC)",
            "RETIRED (UTC)",
        ],
        &rows,
    )
}

pub(super) fn lanes(lanes: &[LaneRecord], parked: &[ParkedType]) -> String {
    let rows: Vec<_> = lanes
        .iter()
        .map(|it| {
            vec![
                it.name.clone(),
                if it.paused { "paused" } else { "open" }.to_owned(),
                it.waiting.to_string(),
                it.deliveries.to_string(),
                it.oldest.map(moment).unwrap_or_default(),
            ]
        })
        .collect();
    let mut text = table(
        &["LANE", "STATE", "WAITING", "DELIVERIES", "OLDEST (UTC)"],
        &rows,
    );
    if !parked.is_empty() {
        let rows: Vec<_> = parked
            .iter()
            .map(|it| {
                vec![
                    it.event_type.clone(),
                    it.events.to_string(),
                    it.oldest.map(moment).unwrap_or_default(),
                ]
            })
            .collect();
        let parked = table(&["PARKED TYPE", "EVENTS", "OLDEST (UTC)"], &rows);
        text.push_str(&format!("\n\n{parked}"));
    }
    text
}
