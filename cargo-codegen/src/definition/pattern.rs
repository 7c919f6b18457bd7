//! `patterns/<name>.yaml`, as written: what entities take over by naming it.

use super::entity::{self, Behavior};
use super::field::FieldDefinition;
use super::keys::{PATTERN, PATTERN_FILE};
use super::node::Node;
use super::query::{self, NamedQueryDefinition, QueryDefinition};
use super::reader::Reader;
use super::source::Spanned;

/// One app-defined pattern.
#[derive(Debug, Clone)]
pub struct PatternDefinition {
    /// `pattern.name`.
    pub name: Spanned<String>,
    /// `pattern.extends`: patterns that come with it.
    pub extends: Vec<Spanned<String>>,
    /// `fields`, in the order of the file.
    pub fields: Vec<FieldDefinition>,
    /// `behaviors`.
    pub behaviors: Vec<Spanned<Behavior>>,
    /// `queries` by columns.
    pub queries: Vec<QueryDefinition>,
    /// `queries` with a name.
    pub named_queries: Vec<NamedQueryDefinition>,
}

/// Reads a pattern; `None` if it does not even have a name.
pub(crate) fn decode(reader: &mut Reader, node: &Node) -> Option<PatternDefinition> {
    const EXAMPLE: &str = "pattern: { name: Tracked }";
    if reader.is_empty_file(node, EXAMPLE) {
        return None;
    }
    let file = reader.block(node, &PATTERN_FILE, "a pattern")?;
    let pattern = reader.required(&file, "pattern", "this definition", &file.span, EXAMPLE);
    let pattern = pattern.and_then(|it| reader.block(it, &PATTERN, "`pattern`"));
    let name = pattern.as_ref().and_then(|it| {
        let node = reader.required(it, "name", "`pattern`", &it.span, "name: Tracked")?;
        reader.text(node, "`name`")
    });
    let extends = pattern
        .as_ref()
        .and_then(|it| query::columns(reader, it.get("extends")?, "`extends`"));
    let fields = entity::fields(reader, &file);
    let behaviors = entity::behaviors(reader, &file);
    let (queries, named_queries) = query::decode(reader, &file);
    Some(PatternDefinition {
        name: name?,
        extends: extends.unwrap_or_default(),
        fields,
        behaviors,
        queries,
        named_queries,
    })
}
