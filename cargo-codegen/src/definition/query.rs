//! `queries`, as written.

use super::keys::{LATER_IN_QUERY, NAMED_QUERY, QUERY};
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader, not_yet};
use super::source::{Span, Spanned};

/// A query by columns.
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

/// A query with a name: clients choose what it filters by, searches for and sorts by.
#[derive(Debug, Clone)]
pub struct NamedQueryDefinition {
    /// `name`.
    pub name: Spanned<String>,
    /// `filters`: columns.
    pub filters: Vec<Spanned<String>>,
    /// `search`: columns.
    pub search: Vec<Spanned<String>>,
    /// `sort`: columns.
    pub sort: Vec<Spanned<String>>,
    /// `order`, where the client chooses none: columns, and whether the largest comes first.
    pub order: Vec<(Spanned<String>, bool)>,
    /// `paginate`.
    pub paginate: bool,
}

/// Reads `queries`: those by columns, and those with a name.
pub(crate) fn decode(
    reader: &mut Reader,
    file: &Block<'_>,
) -> (Vec<QueryDefinition>, Vec<NamedQueryDefinition>) {
    let items = file
        .get("queries")
        .and_then(|it| reader.list(it, "`queries`"))
        .unwrap_or_default();
    let (mut queries, mut named) = (Vec::new(), Vec::new());
    for node in items {
        let Some(block) = reader.block(node, &QUERY, "a query") else {
            continue;
        };
        let has_name = NAMED_QUERY.iter().find_map(|it| block.entry(it));
        let later = LATER_IN_QUERY.iter().find_map(|it| block.entry(it));
        if let Some((key, _)) = later {
            let what = format!("a query with `{}`", key.value);
            reader.report(not_yet(&what, key.span.clone()));
        } else if let (Some((key, _)), Some(_)) = (has_name, block.get("by")) {
            let what = format!("a query with `by` and `{}`", key.value);
            reader.report(not_yet(&what, key.span.clone()));
        } else if let (Some((key, _)), Some((unique, _))) = (has_name, block.entry("unique")) {
            let message = format!("a query cannot have both `unique` and `{}`", key.value);
            reader.report(
                Problem::error("contradiction", message, key.span.clone())
                    .also(unique.span.clone(), "")
                    .help("`unique` goes with `by`; a query with a `name` is a list"),
            );
        } else if has_name.is_some() {
            named.extend(named_query(reader, &block, node));
        } else {
            queries.extend(query(reader, &block, node));
        }
    }
    (queries, named)
}

fn query(reader: &mut Reader, block: &Block<'_>, node: &Node) -> Option<QueryDefinition> {
    let unique = reader
        .boolean_of(block, "unique")
        .is_some_and(|it| it.value);
    let order = block.get("order").map(|it| order(reader, it));
    let by = block.get("by").and_then(|it| reader.texts(it, "`by`"));
    reader.required(block, "by", "this query", &node.span, "by: [email]")?;
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

fn named_query(
    reader: &mut Reader,
    block: &Block<'_>,
    node: &Node,
) -> Option<NamedQueryDefinition> {
    let mut columns = |key: &str| columns(reader, block.get(key)?, &format!("`{key}`"));
    let (filters, search, sort) = (columns("filters"), columns("search"), columns("sort"));
    let order = block.get("order").map(|it| order(reader, it));
    let paginate = reader.boolean_of(block, "paginate");
    let name = reader.required(block, "name", "this query", &node.span, "name: search")?;
    Some(NamedQueryDefinition {
        name: reader.text(name, "`name`")?,
        filters: filters.unwrap_or_default(),
        search: search.unwrap_or_default(),
        sort: sort.unwrap_or_default(),
        order: order.unwrap_or_default(),
        paginate: paginate.is_some_and(|it| it.value),
    })
}

/// A list of columns, or a single one.
fn columns(reader: &mut Reader, node: &Node, what: &str) -> Option<Vec<Spanned<String>>> {
    match node.kind {
        Kind::Text(_) => reader.text(node, what).map(|it| vec![it]),
        _ => reader.texts(node, what),
    }
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
