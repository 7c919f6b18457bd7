//! `events/<type>.yaml`, and `events` of an entity.

use serde_json::{Value, json};

use super::{Property, block, boolean, entries, number, text, words};
use crate::definition::event::{BACKOFFS, DIRECTIONS, ORDERINGS, TIERS};
use crate::definition::keys::{EVENT_FILE, INLINE_EVENT, PAYLOAD_FIELD, RETRY, SCHEDULE};
use crate::definition::payload::PayloadWord;
use crate::definition::schedule::MISFIRES;

const TYPE: &str = "Its type, in snake_case; it is stored with every event.";
const PAYLOAD: &str = "What it carries; `{}` if nothing.";

pub(super) fn event() -> Value {
    let mut properties = vec![("type", TYPE, text()), ("payload", PAYLOAD, payload())];
    properties.extend(rest());
    block(&EVENT_FILE, &["type", "payload"], properties)
}

pub(super) fn inline() -> Value {
    let mut properties = vec![
        ("type", TYPE, text()),
        ("name", "The same as `type`.", text()),
        ("payload", PAYLOAD, payload()),
        ("body", "The same as `payload`.", payload()),
    ];
    properties.extend(rest());
    let mut event = block(&INLINE_EVENT, &[], properties);
    event["type"] = json!("object");
    event["allOf"] = json!([
        { "oneOf": [{ "required": ["type"] }, { "required": ["name"] }] },
        { "oneOf": [{ "required": ["payload"] }, { "required": ["body"] }] },
    ]);
    event
}

fn rest() -> Vec<Property> {
    let retry = block(
        &RETRY,
        &["attempts"],
        vec![
            ("attempts", "Deliveries in all.", number(1, 100)),
            (
                "backoff",
                "How the pause between two of them grows.",
                words(&BACKOFFS),
            ),
        ],
    );
    let schedule = block(
        &SCHEDULE,
        &["cron"],
        vec![
            (
                "cron",
                "Minute, hour, day of month, month, day of week.",
                text(),
            ),
            (
                "timezone",
                "Such as `Europe/Berlin`; UTC unless it is said.",
                text(),
            ),
            (
                "misfire",
                "What becomes of slots in which no worker ran.",
                words(&MISFIRES),
            ),
        ],
    );
    vec![
        ("direction", "Its lane.", words(&DIRECTIONS)),
        (
            "tier",
            "`audit` for what is only observed and starts no job.",
            words(&TIERS),
        ),
        ("aggregate", "The entity that it is about.", text()),
        (
            "source",
            "The system that an inbound event comes from.",
            text(),
        ),
        (
            "destination",
            "The system that an outbound event goes to.",
            text(),
        ),
        ("version", "Of the payload.", number(1, u32::from(u16::MAX))),
        (
            "description",
            "Goes to the documentation of the code.",
            text(),
        ),
        ("pool", "The pool of runs that it starts.", text()),
        ("retry", "How often a delivery is tried.", retry),
        (
            "ordering",
            "Whether events of one aggregate are delivered in order.",
            words(&ORDERINGS),
        ),
        (
            "schedule",
            "When it is published by itself: a cron expression.",
            json!({ "anyOf": [text(), schedule] }),
        ),
    ]
}

fn payload() -> Value {
    let names = PayloadWord::WORDS.iter().map(|it| it.0);
    let scalars: Vec<&str> = names.clone().collect();
    let items: Vec<&str> = names.filter(|it| *it != "json").collect();
    let lists: Vec<String> = items.iter().map(|it| format!("array({it})")).collect();
    let short = json!({ "enum": scalars.iter().map(|it| json!(it)).chain(lists.iter().map(|it| json!(it))).collect::<Vec<_>>() });
    let any = json!({ "anyOf": [short.clone(), { "const": "array" }] });
    let long = block(
        &PAYLOAD_FIELD,
        &["type"],
        vec![
            ("type", "What its values are.", any),
            (
                "items",
                "What an `array` is a list of.",
                json!({ "enum": items }),
            ),
            ("nullable", "May be null.", boolean()),
            (
                "description",
                "Goes to the documentation of the code.",
                text(),
            ),
        ],
    );
    entries(&json!({ "anyOf": [short, long] }))
}
