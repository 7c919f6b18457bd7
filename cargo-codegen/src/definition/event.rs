//! `events/<type>.yaml` and the `events` of an entity, as written.

use super::keys::{EVENT_FILE, INLINE_EVENT, RETRY};
use super::node::Node;
use super::payload::{self, PayloadDefinition};
use super::problem::Problem;
use super::reader::{Block, Reader};
use super::schedule::{self, ScheduleDefinition};
use super::source::{SourceId, Span, Spanned};

/// One event definition.
#[derive(Debug, Clone)]
pub struct EventDefinition {
    /// Its file: its own, or its entity's.
    pub source: SourceId,
    /// `type`.
    pub name: Spanned<String>,
    /// It stands in the `events` of this entity.
    pub inline_of: Option<String>,
    /// `direction`.
    pub direction: Option<Spanned<DirectionWord>>,
    /// A direction was given, if a wrong one.
    pub direction_given: bool,
    /// `tier: audit`, and where.
    pub audit: Option<Span>,
    /// `aggregate`.
    pub aggregate: Option<Spanned<String>>,
    /// `source`.
    pub source_system: Option<Spanned<String>>,
    /// `destination`.
    pub destination: Option<Spanned<String>>,
    /// `version`.
    pub version: u32,
    /// `description`, on one line.
    pub description: Option<String>,
    /// `payload` or `body`, in the order of the file.
    pub payload: Vec<PayloadDefinition>,
    /// `pool`.
    pub pool: Option<Spanned<String>>,
    /// `retry`.
    pub retry: Option<Spanned<RetryDefinition>>,
    /// `ordering`.
    pub ordering: Option<Spanned<OrderingWord>>,
    /// `schedule`.
    pub schedule: Option<Spanned<ScheduleDefinition>>,
}

/// `direction` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that a definition uses")]
pub enum DirectionWord {
    Inbound,
    Change,
    Outbound,
}

impl DirectionWord {
    /// As written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Change => "change",
            Self::Outbound => "outbound",
        }
    }
}

/// `ordering` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that a definition uses")]
pub enum OrderingWord {
    None,
    Aggregate,
}

/// `retry.backoff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that a definition uses")]
pub enum BackoffWord {
    Fixed,
    Exponential,
}

/// `retry` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryDefinition {
    /// `attempts`.
    pub attempts: u32,
    /// `backoff`; default exponential.
    pub backoff: BackoffWord,
}

pub(super) const DIRECTIONS: [(&str, DirectionWord); 3] = [
    ("inbound", DirectionWord::Inbound),
    ("change", DirectionWord::Change),
    ("outbound", DirectionWord::Outbound),
];

pub(super) const BACKOFFS: [(&str, BackoffWord); 2] = [
    ("fixed", BackoffWord::Fixed),
    ("exponential", BackoffWord::Exponential),
];

pub(super) const ORDERINGS: [(&str, OrderingWord); 2] = [
    ("none", OrderingWord::None),
    ("aggregate", OrderingWord::Aggregate),
];

/// Whether it is only observed.
pub(super) const TIERS: [(&str, bool); 2] = [("domain", false), ("audit", true)];

/// Reads `events/<type>.yaml`.
pub(crate) fn decode(
    reader: &mut Reader,
    source: SourceId,
    node: &Node,
) -> Option<EventDefinition> {
    if reader.is_empty_file(node, "type: contact_created") {
        return None;
    }
    let block = reader.block(node, &EVENT_FILE, "an event definition")?;
    let name = reader.required(
        &block,
        "type",
        "this event",
        &block.span,
        "type: contact_created",
    );
    let name = name.and_then(|it| reader.text(it, "`type`"));
    let payload = block
        .get("payload")
        .map(|it| payload::decode(reader, it, "`payload`"));
    if payload.is_none() {
        reader.report(
            Problem::error(
                "missing-key",
                "this event has no `payload`",
                block.span.clone(),
            )
            .help("write `payload: {}` if it carries nothing"),
        );
    }
    rest(
        reader,
        source,
        &block,
        name?,
        None,
        payload.unwrap_or_default(),
    )
}

/// Reads an entry of an entity's `events`, in its long or its short form.
pub(crate) fn decode_inline(
    reader: &mut Reader,
    source: SourceId,
    node: &Node,
    owner: &str,
) -> Option<EventDefinition> {
    let block = reader.block(node, &INLINE_EVENT, "an event")?;
    let name = match (block.entry("type"), block.entry("name")) {
        (Some((first, _)), Some((second, _))) => {
            reader.report(both(first, second));
            None
        }
        (Some((_, node)), None) => reader.text(node, "`type`"),
        (None, Some((_, node))) => reader.text(node, "`name`"),
        (None, None) => {
            reader.required(
                &block,
                "type",
                "this event",
                &block.span,
                "type: contact_created",
            );
            None
        }
    };
    let payload = match (block.entry("payload"), block.entry("body")) {
        (Some((first, _)), Some((second, _))) => {
            reader.report(both(first, second));
            Vec::new()
        }
        (Some((_, node)), None) => payload::decode(reader, node, "`payload`"),
        (None, Some((_, node))) => payload::decode(reader, node, "`body`"),
        (None, None) => {
            reader.report(
                Problem::error(
                    "missing-key",
                    "this event has no `payload`",
                    block.span.clone(),
                )
                .help("write `payload: {}` if it carries nothing"),
            );
            Vec::new()
        }
    };
    rest(
        reader,
        source,
        &block,
        name?,
        Some(owner.to_owned()),
        payload,
    )
}

fn both(first: &Spanned<String>, second: &Spanned<String>) -> Problem {
    let message = format!(
        "`{}` and `{}` say the same thing",
        first.value, second.value
    );
    Problem::error("contradiction", message, second.span.clone())
        .also(first.span.clone(), "")
        .help(format!("keep `{}`", first.value))
}

fn rest(
    reader: &mut Reader,
    source: SourceId,
    block: &Block<'_>,
    name: Spanned<String>,
    inline_of: Option<String>,
    payload: Vec<PayloadDefinition>,
) -> Option<EventDefinition> {
    let tier = reader.word_of(block, "tier", &TIERS);
    let schedule = block
        .get("schedule")
        .and_then(|it| schedule::decode(reader, it));
    Some(EventDefinition {
        source,
        name,
        inline_of,
        direction: reader.word_of(block, "direction", &DIRECTIONS),
        direction_given: block.get("direction").is_some(),
        audit: tier.filter(|it| it.value).map(|it| it.span),
        aggregate: reader.text_of(block, "aggregate"),
        source_system: reader.text_of(block, "source"),
        destination: reader.text_of(block, "destination"),
        version: reader
            .number_of(block, "version", 1..=u32::from(u16::MAX))
            .map_or(1, |it| it.value),
        description: reader.description_of(block),
        payload,
        pool: reader.text_of(block, "pool"),
        retry: block.get("retry").and_then(|it| retry(reader, it)),
        ordering: reader.word_of(block, "ordering", &ORDERINGS),
        schedule,
    })
}

fn retry(reader: &mut Reader, node: &Node) -> Option<Spanned<RetryDefinition>> {
    let block = reader.block(node, &RETRY, "`retry`")?;
    let backoff = reader.word_of(&block, "backoff", &BACKOFFS);
    let attempts = reader.required(&block, "attempts", "`retry`", &block.span, "attempts: 5")?;
    let attempts = reader.number(attempts, "`attempts`", 1..=100)?;
    Some(Spanned::new(
        RetryDefinition {
            attempts: attempts.value,
            backoff: backoff.map_or(BackoffWord::Exponential, |it| it.value),
        },
        node.span.clone(),
    ))
}
