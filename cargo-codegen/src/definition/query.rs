//! `queries`, as written.

use super::keys::{LATER_IN_QUERY, QUERY};
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader, not_yet};
use super::source::{Span, Spanned};

/// One query.
#[derive(Debug, Clone)]
pub struct QueryDefinition {
    /// Where it stands.
    pub span: Span,
    /// `by`.
    pub by: Vec<Spanned<String>>,
    /// `unique`.
    pub unique: bool,
    /// `order`: columns, and whether the largest comes first.
    pub order: Vec<(Spanned<String>, bool)>,
}

/// Reads `queries`.
pub(crate) fn decode(reader: &mut Reader, file: &Block<'_>) -> Vec<QueryDefinition> {
    let items = file
        .get("queries")
        .and_then(|it| reader.list(it, "`queries`"))
        .unwrap_or_default();
    items.iter().filter_map(|it| query(reader, it)).collect()
}

fn query(reader: &mut Reader, node: &Node) -> Option<QueryDefinition> {
    let block = reader.block(node, &QUERY, "a query")?;
    let unique = reader
        .boolean_of(&block, "unique")
        .is_some_and(|it| it.value);
    let order = block.get("order").map(|it| order(reader, it));
    let by = block.get("by").and_then(|it| reader.texts(it, "`by`"));
    if let Some((key, _)) = LATER_IN_QUERY.iter().find_map(|it| block.entry(it)) {
        let what = format!("a query with `{}`", key.value);
        reader.report(not_yet(&what, key.span.clone()));
        return None;
    }
    reader.required(&block, "by", "this query", &node.span, "by: [email]")?;
    let by = by?;
    if by.is_empty() {
        reader.report(
            Problem::error("no-value", "`by` names no column", node.span.clone())
                .help("write `by: [email]`"),
        );
        return None;
    }
    Some(QueryDefinition {
        span: node.span.clone(),
        by,
        unique,
        order: order.unwrap_or_default(),
    })
}

const DIRECTIONS: [(&str, bool); 2] = [("asc", false), ("desc", true)];

/// `created_at desc`, `name, created_at desc`, or a list whose entries are that or `created_at: desc`.
fn order(reader: &mut Reader, node: &Node) -> Vec<(Spanned<String>, bool)> {
    let parts = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut columns = Vec::new();
    for part in parts {
        if let Kind::Map(_) = part.kind {
            let entries = reader.entries(part, "`order`");
            for (column, direction) in entries.iter().flat_map(Block::iter) {
                let direction = reader.word(direction, "a sort direction", &DIRECTIONS);
                columns.extend(direction.map(|it| (column.clone(), it.value)));
            }
        } else if let Some(text) = reader.text(part, "`order`") {
            for part in text.value.split(',') {
                columns.extend(sort_column(reader, part, &text.span));
            }
        }
    }
    columns
}

fn sort_column(reader: &mut Reader, text: &str, span: &Span) -> Option<(Spanned<String>, bool)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (column, descending) = match words.as_slice() {
        [column] | [column, "asc"] => (*column, false),
        [column, "desc"] => (*column, true),
        _ => {
            let message = format!("`{}` is no sort order", shorten(text.trim()));
            reader.report(
                Problem::error("wrong-value", message, span.clone())
                    .help("write a column and `asc` or `desc`, such as `created_at desc`"),
            );
            return None;
        }
    };
    Some((Spanned::new(column.to_owned(), span.clone()), descending))
}
