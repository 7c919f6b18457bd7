//! `queries`, as written.

use super::keys::{COLUMN_QUERY, LIMIT, NAMED_QUERY, QUERY};
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader};
use super::source::{Span, Spanned};

/// A query by columns.
#[derive(Debug, Clone)]
pub struct QueryDefinition {
    /// Where it stands.
    pub span: Span,
    /// `name`; otherwise the columns give it one.
    pub name: Option<Spanned<String>>,
    /// `by`.
    pub by: Vec<Spanned<String>>,
    /// `unique`.
    pub unique: bool,
    /// `order`: columns, and whether the largest comes first.
    pub order: Vec<(Spanned<String>, bool)>,
    /// `via`: a relation, or the entity that it leads to or goes through.
    pub via: Option<Spanned<String>>,
    /// `select`: columns.
    pub select: Vec<Spanned<String>>,
    /// `limit`.
    pub limit: Option<Spanned<FinderLimit>>,
}

/// `limit` of a query by columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinderLimit {
    /// `true`: there is a method for parts of the list too.
    Parts,
    /// A number: the list has no more rows.
    AtMost(u32),
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
    pub paginate: Pagination,
    /// `total`.
    pub total: Option<Spanned<bool>>,
    /// `limit`: how many rows come where a client does not say, and how many it may ask for.
    pub limit: (Option<u32>, Option<u32>),
}

/// `paginate` of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pagination {
    /// Only the first rows.
    None,
    /// Parts by limit and offset.
    Offset,
    /// Parts that begin where another one ended.
    Keyset,
}

/// More rows than this are not for one answer.
pub(super) const MAX_LIMIT: u32 = 1000;

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
        let of_clients = NAMED_QUERY.iter().find_map(|it| block.entry(it));
        let of_columns = COLUMN_QUERY.iter().find_map(|it| block.entry(it));
        if let (Some((key, _)), Some((other, _))) = (of_clients, of_columns) {
            let message = format!(
                "a query cannot have both `{}` and `{}`",
                other.value, key.value
            );
            reader.report(
                Problem::error("contradiction", message, key.span.clone())
                    .also(other.span.clone(), "")
                    .help("a query `by` columns is a method for your code, one with `filters`, `search`, `sort` or `paginate` a route for clients; write two"),
            );
        } else if of_clients.is_some() || (of_columns.is_none() && block.get("name").is_some()) {
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
    let select = block
        .get("select")
        .and_then(|it| columns(reader, it, "`select`"));
    let limit = finder_limit(reader, block);
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
        name: reader.text_of(block, "name"),
        by,
        unique,
        order: order.unwrap_or_default(),
        via: reader.text_of(block, "via"),
        select: select.unwrap_or_default(),
        limit,
    })
}

/// `true` or a number.
fn finder_limit(reader: &mut Reader, block: &Block<'_>) -> Option<Spanned<FinderLimit>> {
    let node = block.get("limit")?;
    match &node.kind {
        Kind::Literal(text) if text.bytes().all(|it| it.is_ascii_digit()) => {
            let number = reader.number(node, "`limit`", 1..=MAX_LIMIT)?;
            Some(number.map(FinderLimit::AtMost))
        }
        Kind::Map(_) => {
            reader.report(
                Problem::error("wrong-type", "`limit` of a query by columns is `true` or a number", node.span.clone())
                    .help("`limit: 20` for at most 20 rows, `limit: true` for a method that gives parts of the list"),
            );
            None
        }
        _ => {
            let parts = reader.boolean_of(block, "limit")?;
            parts.value.then(|| parts.map(|_| FinderLimit::Parts))
        }
    }
}

fn named_query(
    reader: &mut Reader,
    block: &Block<'_>,
    node: &Node,
) -> Option<NamedQueryDefinition> {
    let mut columns = |key: &str| columns(reader, block.get(key)?, &format!("`{key}`"));
    let (filters, search, sort) = (columns("filters"), columns("search"), columns("sort"));
    let order = block.get("order").map(|it| order(reader, it));
    let paginate = pagination(reader, block);
    let total = reader.boolean_of(block, "total");
    if let (Some(total), false) = (&total, paginate == Some(Pagination::Offset)) {
        reader.report(
            Problem::error(
                "wrong-query",
                "only pages by offset have a total",
                total.span.clone(),
            )
            .help("remove `total`, or write `paginate: true`"),
        );
    }
    let limit = limit(reader, block);
    let name = reader.required(block, "name", "this query", &node.span, "name: search")?;
    Some(NamedQueryDefinition {
        name: reader.text(name, "`name`")?,
        filters: filters.unwrap_or_default(),
        search: search.unwrap_or_default(),
        sort: sort.unwrap_or_default(),
        order: order.unwrap_or_default(),
        paginate: paginate.unwrap_or(Pagination::None),
        total,
        limit,
    })
}

pub(super) const PAGINATION: [(&str, Pagination); 3] = [
    ("offset", Pagination::Offset),
    ("keyset", Pagination::Keyset),
    ("cursor", Pagination::Keyset),
];

/// `true`, which is `offset`, or a word.
fn pagination(reader: &mut Reader, block: &Block<'_>) -> Option<Pagination> {
    let node = block.get("paginate")?;
    if let Kind::Text(_) = node.kind {
        return reader
            .word(node, "`paginate`", &PAGINATION)
            .map(|it| it.value);
    }
    let pages = reader.boolean_of(block, "paginate")?.value;
    Some(if pages {
        Pagination::Offset
    } else {
        Pagination::None
    })
}

/// A number, which is the largest limit, or `default` and `max`.
fn limit(reader: &mut Reader, block: &Block<'_>) -> (Option<u32>, Option<u32>) {
    let Some(node) = block.get("limit") else {
        return (None, None);
    };
    if !matches!(node.kind, Kind::Map(_)) {
        let max = reader.number(node, "`limit`", 1..=MAX_LIMIT);
        return (None, max.map(|it| it.value));
    }
    let Some(block) = reader.block(node, &LIMIT, "`limit`") else {
        return (None, None);
    };
    let max = reader.number_of(&block, "max", 1..=MAX_LIMIT);
    let bound = max.as_ref().map_or(MAX_LIMIT, |it| it.value);
    let default = reader.number_of(&block, "default", 1..=bound);
    (default.map(|it| it.value), max.map(|it| it.value))
}

/// A list of columns, or a single one.
pub(super) fn columns(
    reader: &mut Reader,
    node: &Node,
    what: &str,
) -> Option<Vec<Spanned<String>>> {
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
