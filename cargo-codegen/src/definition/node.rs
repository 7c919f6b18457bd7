//! YAML text as a tree in which every key and value remembers where it stands.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::budget::BudgetBreach;
use serde_yaml::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy};

use super::problem::Problem;
use super::source::{SourceId, Span, Spanned};

/// Longest definition file, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting; the deepest legal definition needs six levels.
const MAX_DEPTH: usize = 24;
/// Most values in one file, aliases expanded.
const MAX_NODES: usize = 20_000;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands; for a block, its first character.
    pub span: Span,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// Text, quoted or not.
    Text(String),
    /// A number or `true` or `false` without quotes, as written: `007`, `1e3`.
    Literal(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, duplicate keys included.
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    /// The value in the user's words, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Text(text) => format!("the text \"{}\"", shorten(text)),
            Kind::Literal(text) => format!("`{}`", shorten(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a block of keys".to_owned(),
        }
    }
}

/// At most some 40 characters of the first line, so that a message stays one line.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 40 {
        let start: String = line.chars().take(39).collect();
        format!("{start}…")
    } else {
        line.to_owned()
    }
}

/// Reads one YAML document. On a syntax error there is one problem and no tree.
///
/// # Errors
/// If the text is no YAML, or larger or deeper than a definition can be.
pub fn parse(source: SourceId, text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::error(
            "too-large",
            format!(
                "this file has {} bytes, more than a definition may have",
                text.len()
            ),
            Span {
                source,
                range: 0..0,
            },
        )
        .help(format!(
            "one entity or event per file, at most {MAX_BYTES} bytes each"
        )));
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: MAX_NODES,
            max_recorded_anchor_bytes: 4 * MAX_BYTES,
            max_total_scalar_bytes: 4 * MAX_BYTES,
        },
        // Reported here, with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `no` and `on` are text; whoever asks for a boolean says what to write.
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    match serde_yaml::from_str_with_options::<serde_yaml::Spanned<Raw>>(text, options) {
        Ok(raw) => Tree { source, text }.node(raw),
        Err(error) => Err(syntax_problem(source, text, &error)),
    }
}

fn syntax_problem(source: SourceId, text: &str, error: &serde_yaml::Error) -> Problem {
    let range = error
        .location()
        .map_or(0..0, |it| byte_range(text, it, Width::OneCharacter));
    let span = Span { source, range };
    let message = error.render_with_formatter(&serde_yaml::UserMessageFormatter);
    match innermost(error) {
        serde_yaml::Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => {
            return Problem::error("too-large", "a second document begins here", span)
                .help("write one entity or event per file");
        }
        serde_yaml::Error::Budget { .. }
        | serde_yaml::Error::AliasReplayCounterOverflow { .. }
        | serde_yaml::Error::AliasReplayLimitExceeded { .. }
        | serde_yaml::Error::AliasExpansionLimitExceeded { .. }
        | serde_yaml::Error::AliasReplayStackDepthExceeded { .. } => return too_large(span),
        // The parser's own limit, which comes before the budget's in flow style.
        _ if message.contains("recursion limit") => return too_large(span),
        _ => {}
    }
    // The place is said by the label.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(start, _)| start);
    let help = syntax_help(message, text, span.range.start);
    Problem::error(
        "yaml-syntax",
        format!("this is not valid YAML: {message}"),
        span,
    )
    .help(help)
}

fn innermost(error: &serde_yaml::Error) -> &serde_yaml::Error {
    match error.without_snippet() {
        serde_yaml::Error::AliasError { error, .. } => innermost(error),
        error => error,
    }
}

fn too_large(span: Span) -> Problem {
    let message = "this is larger or more deeply nested than a definition can be";
    Problem::error("too-large", message, span)
        .help("write one entity or event per file, without aliases of aliases")
}

fn syntax_help(message: &str, text: &str, offset: usize) -> &'static str {
    let (before, here) = text.split_at_checked(offset).unwrap_or((text, ""));
    let line = before.rsplit('\n').next().unwrap_or_default();
    if here.starts_with('\t') || line.contains('\t') {
        "indent with spaces; YAML allows no tabs there"
    } else if message.contains("unclosed") {
        "close it"
    } else if message.contains("tag") {
        "remove the tag; definitions have none"
    } else if here.starts_with(['@', '`', '%', '&', '*', '!', '|', '>']) {
        "put text that begins with a special character in quotes"
    } else if message.contains("mapping values") || here.starts_with(':') {
        "put text that contains `: ` in quotes; check the indentation and the brackets above"
    } else {
        "check the indentation, quotes and brackets here and in the line above"
    }
}

#[derive(Clone, Copy)]
enum Width {
    AsGiven,
    OneCharacter,
}

/// The library gives byte offsets for values, and lines and columns for syntax errors.
fn byte_range(text: &str, location: Location, width: Width) -> std::ops::Range<usize> {
    let span = location.span();
    let start = match span.byte_offset() {
        Some(offset) => usize::try_from(offset).unwrap_or(text.len()),
        None => offset_of(text, location.line(), location.column()),
    };
    let start = floor_boundary(text, start);
    let len = match width {
        Width::AsGiven => span.byte_len().unwrap_or(0),
        Width::OneCharacter => {
            let next = text.get(start..).and_then(|it| it.chars().next());
            next.filter(|it| !it.is_control() || *it == '\t')
                .map_or(0, |it| it.len_utf8() as u64)
        }
    };
    let end = start.saturating_add(usize::try_from(len).unwrap_or(0));
    start..floor_boundary(text, end).max(start)
}

fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match text.get(start..).and_then(|it| it.find('\n')) {
            Some(length) => start += length + 1,
            None => return text.len(),
        }
    }
    let rest = text.get(start..).unwrap_or_default();
    let skip = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    rest.char_indices()
        .nth(skip)
        .map_or(text.len(), |(offset, _)| start + offset)
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// What the library sees.
enum Raw {
    Null,
    Text(String),
    /// A number or boolean.
    Literal(String),
    List(Vec<serde_yaml::Spanned<Raw>>),
    Map(Vec<(serde_yaml::Spanned<Raw>, serde_yaml::Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Literal(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Literal(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Literal(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Literal(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

struct Tree<'a> {
    source: SourceId,
    text: &'a str,
}

impl Tree<'_> {
    fn span(&self, location: Location) -> Span {
        Span {
            source: self.source,
            range: byte_range(self.text, location, Width::AsGiven),
        }
    }

    fn node(&self, raw: serde_yaml::Spanned<Raw>) -> Result<Node, Problem> {
        let mut span = self.span(raw.referenced);
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Text(text) => Kind::Text(text),
            Raw::Literal(value) => {
                let range = self.span(raw.defined).range;
                let written = self.text.get(range).unwrap_or_default();
                // A tag may make a number of quoted text.
                if written.is_empty() || written.starts_with(['\'', '"']) {
                    Kind::Literal(value)
                } else {
                    Kind::Literal(written.to_owned())
                }
            }
            Raw::List(items) => {
                let items = items.into_iter().map(|it| self.node(it));
                Kind::List(items.collect::<Result<_, _>>()?)
            }
            Raw::Map(entries) => {
                let mut pairs = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = self.node(key)?;
                    let (Kind::Text(text) | Kind::Literal(text)) = key.kind else {
                        let message = format!("a key must be a word, not {}", key.describe());
                        let problem = Problem::error("key-not-text", message, key.span);
                        return Err(problem.help("write each key on a line of its own"));
                    };
                    pairs.push((Spanned::new(text, key.span), self.node(value)?));
                }
                // An unquoted block begins nowhere in particular; its first key is what one would point at.
                if span.range.is_empty()
                    && let Some((key, _)) = pairs.first()
                {
                    span = key.span.clone();
                }
                Kind::Map(pairs)
            }
        };
        if span.range.is_empty() && matches!(kind, Kind::List(_)) {
            let end = floor_boundary(self.text, span.range.start + 1);
            span.range.end = end.max(span.range.start);
        }
        Ok(Node { kind, span })
    }
}
