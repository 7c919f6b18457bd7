//! `events/<type>.yaml` and the `events` of an entity, as written.

use super::keys::{EVENT_FILE, INLINE_EVENT, PAYLOAD_FIELD, RETRY};
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader, nearest, not_yet, one_of};
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
    pub schedule: Option<Spanned<String>>,
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

/// Type of a payload field that is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that a definition uses")]
pub enum PayloadWord {
    Uuid,
    String,
    Number,
    Integer,
    Decimal,
    Boolean,
    DateTime,
    Day,
    Json,
}

/// Type of a payload field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// One value.
    One(PayloadWord),
    /// `array` with its `items`.
    Array(PayloadWord),
}

/// One field of a payload.
#[derive(Debug, Clone)]
pub struct PayloadDefinition {
    /// Its key.
    pub name: Spanned<String>,
    /// Its type; `None` was reported.
    pub kind: Option<Spanned<PayloadKind>>,
    /// `nullable`.
    pub nullable: bool,
    /// `description`, on one line.
    pub description: Option<String>,
}

const DIRECTIONS: [(&str, DirectionWord); 3] = [
    ("inbound", DirectionWord::Inbound),
    ("change", DirectionWord::Change),
    ("outbound", DirectionWord::Outbound),
];

const BACKOFFS: [(&str, BackoffWord); 2] = [
    ("fixed", BackoffWord::Fixed),
    ("exponential", BackoffWord::Exponential),
];

const ORDERINGS: [(&str, OrderingWord); 2] = [
    ("none", OrderingWord::None),
    ("aggregate", OrderingWord::Aggregate),
];

impl PayloadWord {
    /// Every scalar type and its word. `date` is a point in time, as events have always had it; `day` is a calendar day.
    pub const WORDS: [(&'static str, Self); 10] = [
        ("uuid", Self::Uuid),
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("decimal", Self::Decimal),
        ("boolean", Self::Boolean),
        ("date", Self::DateTime),
        ("datetime", Self::DateTime),
        ("day", Self::Day),
        ("json", Self::Json),
    ];
}

/// Reads `events/<type>.yaml`.
pub(crate) fn decode(
    reader: &mut Reader,
    source: SourceId,
    node: &Node,
) -> Option<EventDefinition> {
    let block = reader.block(node, &EVENT_FILE, "an event definition")?;
    let name = reader.required(&block, "type", "this event", "type: contact_created");
    let name = name.and_then(|it| reader.text(it, "`type`"));
    let payload = block
        .get("payload")
        .map(|it| payload(reader, it, "`payload`"));
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
            reader.required(&block, "type", "this event", "type: contact_created");
            None
        }
    };
    let payload = match (block.entry("payload"), block.entry("body")) {
        (Some((first, _)), Some((second, _))) => {
            reader.report(both(first, second));
            Vec::new()
        }
        (Some((_, node)), None) => payload(reader, node, "`payload`"),
        (None, Some((_, node))) => payload(reader, node, "`body`"),
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
    let tier = reader.word_of(block, "tier", &[("domain", false), ("audit", true)]);
    let schedule = reader.text_of(block, "schedule");
    if let Some(schedule) = &schedule {
        reader.report(not_yet("`schedule`", schedule.span.clone()));
    }
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
    let attempts = reader.required(&block, "attempts", "`retry`", "attempts: 5")?;
    let attempts = reader.number(attempts, "`attempts`", 1..=100)?;
    Some(Spanned::new(
        RetryDefinition {
            attempts: attempts.value,
            backoff: backoff.map_or(BackoffWord::Exponential, |it| it.value),
        },
        node.span.clone(),
    ))
}

fn payload(reader: &mut Reader, node: &Node, what: &str) -> Vec<PayloadDefinition> {
    let Some(block) = reader.entries(node, what) else {
        return Vec::new();
    };
    block
        .iter()
        .filter_map(|(name, node)| payload_field(reader, name, node))
        .collect()
}

fn payload_field(
    reader: &mut Reader,
    name: &Spanned<String>,
    node: &Node,
) -> Option<PayloadDefinition> {
    if let Kind::Text(text) = &node.kind {
        let text = Spanned::new(text.clone(), node.span.clone());
        return Some(PayloadDefinition {
            name: name.clone(),
            kind: payload_kind(reader, &text, None),
            nullable: false,
            description: None,
        });
    }
    let what = format!("payload field `{}`", shorten(&name.value));
    let block = reader.block(node, &PAYLOAD_FIELD, &what)?;
    let items = block.entry("items").and_then(|(key, node)| {
        let text = reader.text(node, "`items`")?;
        Some((key.span.clone(), text))
    });
    let kind = match block.get("type") {
        Some(node) => reader
            .text(node, "`type`")
            .and_then(|it| payload_kind(reader, &it, items)),
        None => {
            reader.report(
                Problem::error(
                    "missing-key",
                    format!("{what} has no `type`"),
                    name.span.clone(),
                )
                .help("add `type: string`, or another type"),
            );
            None
        }
    };
    Some(PayloadDefinition {
        name: name.clone(),
        kind,
        nullable: reader
            .boolean_of(&block, "nullable")
            .is_some_and(|it| it.value),
        description: reader.description_of(&block),
    })
}

fn payload_kind(
    reader: &mut Reader,
    text: &Spanned<String>,
    items: Option<(Span, Spanned<String>)>,
) -> Option<Spanned<PayloadKind>> {
    let short_items = text
        .value
        .strip_prefix("array(")
        .and_then(|it| it.strip_suffix(')'));
    let kind = match (text.value.as_str(), short_items, items) {
        ("array", _, Some((_, items))) => {
            PayloadKind::Array(payload_word(reader, &items, "`items`")?)
        }
        ("array", _, None) => {
            reader.report(
                Problem::error(
                    "missing-key",
                    "an `array` has no `items`",
                    text.span.clone(),
                )
                .help("say what it is a list of: `{ type: array, items: string }`"),
            );
            return None;
        }
        (_, Some(items), None) => {
            let items = Spanned::new(items.to_owned(), text.span.clone());
            PayloadKind::Array(payload_word(reader, &items, "an array's items")?)
        }
        (_, _, Some((span, _))) => {
            reader.report(
                Problem::error("contradiction", "only an `array` has `items`", span)
                    .help("write `type: array`, or remove `items`"),
            );
            return None;
        }
        _ => PayloadKind::One(payload_word(reader, text, "a payload field")?),
    };
    Some(Spanned::new(kind, text.span.clone()))
}

fn payload_word(reader: &mut Reader, text: &Spanned<String>, what: &str) -> Option<PayloadWord> {
    if let Some((_, word)) = PayloadWord::WORDS.iter().find(|it| it.0 == text.value) {
        return Some(*word);
    }
    let near = match text.value.as_str() {
        "text" | "enum" | "str" | "email" => Some("string"),
        "float" | "double" => Some("number"),
        "int" | "bigint" => Some("integer"),
        "money" | "numeric" => Some("decimal"),
        "bool" => Some("boolean"),
        "timestamp" | "time" => Some("datetime"),
        "object" | "map" | "jsonb" => Some("json"),
        other => nearest(other, &PayloadWord::WORDS.map(|it| it.0)),
    };
    let mut words: Vec<&str> = PayloadWord::WORDS.iter().map(|it| it.0).collect();
    if what == "a payload field" {
        words.push("array");
    }
    let message = format!("{what} cannot be of type `{}`", shorten(&text.value));
    let problem = Problem::error("unknown-type", message, text.span.clone()).help(one_of(&words));
    reader.report(match near {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem,
    });
    None
}
