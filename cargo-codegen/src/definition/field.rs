//! `fields.<name>`.

use super::keys::{FIELD, FIELD_JSON};
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader};
use super::source::Spanned;

/// The `type` of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that a definition uses")]
pub enum FieldKind {
    String,
    Text,
    Integer,
    BigInt,
    Decimal,
    Float,
    Boolean,
    Uuid,
    Date,
    Time,
    DateTime,
    Json,
    Enum,
    Bytes,
    Vector,
}

impl FieldKind {
    /// Every type and its word.
    pub const WORDS: [(&'static str, Self); 15] = [
        ("string", Self::String),
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("bigint", Self::BigInt),
        ("decimal", Self::Decimal),
        ("float", Self::Float),
        ("boolean", Self::Boolean),
        ("uuid", Self::Uuid),
        ("date", Self::Date),
        ("time", Self::Time),
        ("datetime", Self::DateTime),
        ("json", Self::Json),
        ("enum", Self::Enum),
        ("bytes", Self::Bytes),
        ("vector", Self::Vector),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|it| it.1 == self)
            .map_or("string", |it| it.0)
    }

    /// The word that other tools' users may have meant.
    pub fn nearest(word: &str) -> Option<&'static str> {
        match word.to_ascii_lowercase().as_str() {
            "str" | "varchar" | "char" | "email" | "url" => Some("string"),
            "longtext" | "string_long" => Some("text"),
            "int" | "i32" | "int4" | "number" => Some("integer"),
            "long" | "i64" | "int8" | "biginteger" => Some("bigint"),
            "money" | "numeric" | "currency" => Some("decimal"),
            "double" | "real" | "f64" => Some("float"),
            "bool" => Some("boolean"),
            "guid" | "id" | "reference" | "references" => Some("uuid"),
            "day" => Some("date"),
            "timestamp" | "timestamptz" | "instant" => Some("datetime"),
            "jsonb" | "object" | "array" | "map" | "string_array" => Some("json"),
            "choice" | "choices" => Some("enum"),
            "binary" | "blob" | "bytea" => Some("bytes"),
            "embedding" | "pgvector" | "halfvec" => Some("vector"),
            other => super::words::nearest(other, &Self::WORDS.map(|it| it.0)),
        }
    }
}

/// One field, as written. An absent value of a key that was there has been reported already.
#[derive(Debug, Clone)]
pub struct FieldDefinition {
    /// Its key.
    pub name: Spanned<String>,
    /// `type`.
    pub kind: Option<Spanned<FieldKind>>,
    /// `required`.
    pub required: Option<Spanned<bool>>,
    /// `nullable`.
    pub nullable: Option<Spanned<bool>>,
    /// `default`: any value.
    pub default: Option<Node>,
    /// `unique`.
    pub unique: bool,
    /// `index`.
    pub index: bool,
    /// `max_length`, in characters.
    pub max_length: Option<Spanned<u32>>,
    /// `min_length`, in characters.
    pub min_length: Option<Spanned<u32>>,
    /// `min`, as written.
    pub min: Option<Spanned<String>>,
    /// `max`, as written.
    pub max: Option<Spanned<String>>,
    /// `pattern`.
    pub pattern: Option<Spanned<String>>,
    /// `choices`, and where the list stands.
    pub choices: Option<Spanned<Vec<Spanned<String>>>>,
    /// `precision`: digits in all.
    pub precision: Option<Spanned<u32>>,
    /// `scale`: digits behind the point.
    pub scale: Option<Spanned<u32>>,
    /// `dimensions`: how many numbers a vector has.
    pub dimensions: Option<Spanned<u32>>,
    /// `json`: `type`, the Rust type of its values.
    pub json_type: Option<Spanned<String>>,
    /// `foreign_key`: `table.column`.
    pub foreign_key: Option<Spanned<String>>,
    /// `description`, on one line.
    pub description: Option<String>,
    /// `previously`: what the column was called.
    pub previously: Option<Spanned<String>>,
    /// `backfill`: any value.
    pub backfill: Option<Node>,
    /// Where `unique` or `index` stands.
    pub index_key: Option<super::source::Span>,
}

/// Longest `string`, in characters.
pub(super) const MAX_LENGTH: u32 = 16_000;
/// As many numbers as pgvector stores in a vector.
pub(super) const MAX_DIMENSIONS: u32 = 16_000;

/// Reads one entry of `fields`.
pub(crate) fn decode(
    reader: &mut Reader,
    name: &Spanned<String>,
    node: &Node,
) -> Option<FieldDefinition> {
    let what = format!("field `{}`", shorten(&name.value));
    if let Kind::Text(text) | Kind::Literal(text) = &node.kind {
        let text = shorten(text);
        let message = format!("{what} must be a block of keys, not {}", node.describe());
        reader.report(
            Problem::error("wrong-type", message, node.span.clone())
                .help(format!("write `{{ type: {text} }}`")),
        );
        return None;
    }
    if node.kind == Kind::Null {
        reader.report(
            Problem::error(
                "missing-key",
                format!("{what} has no `type`"),
                name.span.clone(),
            )
            .help(format!(
                "write `{}: {{ type: string }}`",
                shorten(&name.value)
            )),
        );
        return None;
    }
    let block = reader.block(node, &FIELD, &what)?;
    let kind = match block.get("type") {
        Some(node) => kind(reader, node),
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
    let choices = block.get("choices").and_then(|node| {
        let texts = reader.texts(node, "`choices`")?;
        Some(Spanned::new(texts, node.span.clone()))
    });
    let dimensions = reader.number_of(&block, "dimensions", 1..=MAX_DIMENSIONS);
    // What could not be read was reported; without it the type is not known.
    let is_there = |keys: &[&str]| keys.iter().any(|it| block.get(it).is_some());
    let kind = kind.filter(|it| match it.value {
        FieldKind::Enum => choices.is_some() || !is_there(&["choices", "choices_from"]),
        FieldKind::Vector => dimensions.is_some() || !is_there(&["dimensions"]),
        _ => true,
    });
    let unique = reader.boolean_of(&block, "unique");
    let index = reader.boolean_of(&block, "index");
    let index_key = ["unique", "index"]
        .iter()
        .find_map(|it| block.entry(it))
        .map(|it| it.0.span.clone());
    Some(FieldDefinition {
        name: name.clone(),
        kind,
        required: reader.boolean_of(&block, "required"),
        nullable: reader.boolean_of(&block, "nullable"),
        default: block.get("default").cloned(),
        unique: unique.is_some_and(|it| it.value),
        index: index.is_some_and(|it| it.value),
        max_length: reader.number_of(&block, "max_length", 1..=MAX_LENGTH),
        min_length: reader.number_of(&block, "min_length", 0..=MAX_LENGTH),
        min: reader.text_of(&block, "min"),
        max: reader.text_of(&block, "max"),
        pattern: reader.text_of(&block, "pattern"),
        choices,
        precision: reader.number_of(&block, "precision", 1..=28),
        scale: reader.number_of(&block, "scale", 0..=28),
        dimensions,
        json_type: json_type(reader, &block),
        foreign_key: reader.text_of(&block, "foreign_key"),
        description: reader.description_of(&block),
        previously: reader.text_of(&block, "previously"),
        backfill: block.get("backfill").cloned(),
        index_key,
    })
}

fn json_type(reader: &mut Reader, field: &Block<'_>) -> Option<Spanned<String>> {
    let (key, node) = field.entry("json")?;
    let block = reader.block(node, &FIELD_JSON, "`json`")?;
    let path = reader.text_of(&block, "type");
    if path.is_none() && block.get("type").is_none() {
        reader.report(
            Problem::error("missing-key", "`json` has no `type`", key.span.clone())
                .help("write `json: { type: path::To }`, or leave it out for JSON of any form"),
        );
    }
    path
}

fn kind(reader: &mut Reader, node: &Node) -> Option<Spanned<FieldKind>> {
    let text = reader.text(node, "`type`")?;
    if let Some((_, kind)) = FieldKind::WORDS.iter().find(|it| it.0 == text.value) {
        return Some(Spanned::new(*kind, text.span));
    }
    let message = format!("there is no type `{}`", shorten(&text.value));
    let problem = Problem::error("unknown-type", message, text.span);
    reader.report(
        match FieldKind::nearest(&text.value) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem,
        }
        .help(super::words::one_of(&FieldKind::WORDS.map(|it| it.0))),
    );
    None
}
