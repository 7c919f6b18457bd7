//! The payload of an event, as written.

use super::keys::PAYLOAD_FIELD;
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::reader::Reader;
use super::source::{Span, Spanned};
use super::words::{nearest, one_of};

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

/// Reads `payload` or `body`.
pub(crate) fn decode(reader: &mut Reader, node: &Node, what: &str) -> Vec<PayloadDefinition> {
    let Some(block) = reader.entries(node, what) else {
        return Vec::new();
    };
    block
        .iter()
        .filter_map(|(name, node)| field(reader, name, node))
        .collect()
}

fn field(reader: &mut Reader, name: &Spanned<String>, node: &Node) -> Option<PayloadDefinition> {
    if let Kind::Text(text) = &node.kind {
        let text = Spanned::new(text.clone(), node.span.clone());
        return Some(PayloadDefinition {
            name: name.clone(),
            kind: kind(reader, &text, None),
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
            .and_then(|it| kind(reader, &it, items)),
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

fn kind(
    reader: &mut Reader,
    text: &Spanned<String>,
    items: Option<(Span, Spanned<String>)>,
) -> Option<Spanned<PayloadKind>> {
    let short_items = text
        .value
        .strip_prefix("array(")
        .and_then(|it| it.strip_suffix(')'));
    let kind = match (text.value.as_str(), short_items, items) {
        ("array", _, Some((_, items))) => PayloadKind::Array(word(reader, &items, Place::Items)?),
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
            PayloadKind::Array(word(reader, &items, Place::Items)?)
        }
        (_, _, Some((span, _))) => {
            reader.report(
                Problem::error("contradiction", "only an `array` has `items`", span)
                    .help("write `type: array`, or remove `items`"),
            );
            return None;
        }
        _ => PayloadKind::One(word(reader, text, Place::Field)?),
    };
    Some(Spanned::new(kind, text.span.clone()))
}

/// Where a payload type stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Field,
    Items,
}

fn word(reader: &mut Reader, text: &Spanned<String>, place: Place) -> Option<PayloadWord> {
    let word = PayloadWord::WORDS.iter().find(|it| it.0 == text.value);
    if let Some((_, word)) = word
        && (place == Place::Field || *word != PayloadWord::Json)
    {
        return Some(*word);
    }
    let what = match place {
        Place::Field => "a payload field",
        Place::Items => "the items of an array",
    };
    let mut words: Vec<&str> = PayloadWord::WORDS.iter().map(|it| it.0).collect();
    match place {
        Place::Field => words.push("array"),
        Place::Items => words.retain(|it| *it != "json"),
    }
    let near = match text.value.as_str() {
        "text" | "enum" | "str" | "email" => Some("string"),
        "float" | "double" => Some("number"),
        "int" | "bigint" => Some("integer"),
        "money" | "numeric" => Some("decimal"),
        "bool" => Some("boolean"),
        "timestamp" | "time" => Some("datetime"),
        "object" | "map" | "jsonb" => Some("json"),
        other => nearest(other, &words),
    };
    let message = format!("{what} cannot be of type `{}`", shorten(&text.value));
    let problem = Problem::error("unknown-type", message, text.span.clone()).help(one_of(&words));
    reader.report(match near {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem,
    });
    None
}
