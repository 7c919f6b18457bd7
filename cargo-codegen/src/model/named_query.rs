//! Declared lists that clients filter, search and sort.

use super::draft::Draft;
use super::query::{compared, order, twice};
use super::{FieldType, Name, NamedQuery, Pages, name};
use crate::definition::{NamedQueryDefinition, Pagination, Problem, Span, Spanned, shorten};

/// Query parameters that come with the keys of a query rather than with a column.
const PARAMETERS: [&str; 4] = ["limit", "offset", "q", "sort"];

/// How many rows come where neither a definition nor a client says.
const DEFAULT_LIMIT: u32 = 50;
/// How many rows a client may ask for where a definition does not say.
const MAX_LIMIT: u32 = 200;

/// Methods and route handlers that every slice has, and what its files import.
const TAKEN: [&str; 18] = [
    "count",
    "create",
    "delete",
    "exists",
    "find",
    "find_by_ids",
    "find_for_share",
    "find_for_update",
    "get",
    "insert",
    "list",
    "lock",
    "router",
    "select",
    "show",
    "tenant_events",
    "update",
    "upsert_many",
];

/// The same, of slices whose rows are deleted softly.
const TAKEN_BY_SOFT_DELETE: [&str; 5] = [
    "find_deleted_for_update",
    "lock_deleted",
    "purge",
    "restore",
    "select_deleted",
];

/// The same, of slices whose rows belong to tenants.
const TAKEN_BY_TENANT: [&str; 2] = ["of", "tenant"];

/// Resolves the queries of an entity that have a name, after those by columns.
pub(crate) fn resolve(draft: &mut Draft<'_>, problems: &mut Vec<Problem>) {
    let mut found: Vec<(NamedQuery, &Span)> = Vec::new();
    for definition in &draft.definition.named_queries {
        // Both are looked at before either ends it, so that every problem is reported.
        let is_named = check_name(draft, &definition.name, problems);
        let query = query(draft, definition, problems);
        let Some(query) = query.filter(|_| is_named) else {
            continue;
        };
        let place = &definition.name.span;
        let same = found
            .iter()
            .find(|it| it.0.name.pascal == query.name.pascal);
        let of_columns = draft.entity.queries.iter().any(|it| it.name == query.name);
        if let Some((_, first)) = same {
            let message = format!("two queries are both called `{}`", query.name.snake);
            problems.push(
                Problem::error("collision", message, place.clone())
                    .also((*first).clone(), "the other one")
                    .help("rename one of the two"),
            );
        } else if of_columns {
            let message = format!(
                "a query by columns is called `{}` already",
                query.name.snake
            );
            problems.push(
                Problem::error("collision", message, place.clone())
                    .help("give this query another name"),
            );
        } else {
            found.push((query, place));
        }
    }
    draft.entity.named_queries = found.into_iter().map(|it| it.0).collect();
}

/// Reports routes of different entities that the API document could not tell apart.
pub(crate) fn check(drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    for draft in drafts {
        let entity = &draft.entity;
        let definitions = &draft.definition.named_queries;
        // Otherwise some of them are wrong, and reported already.
        let queries = Some(&entity.named_queries).filter(|it| it.len() == definitions.len());
        for (query, definition) in queries.into_iter().flatten().zip(definitions) {
            let operation = query.operation(&entity.plural);
            let listed = |it: &&Draft<'_>| {
                let queries = it.entity.named_queries.iter();
                let mut others = queries.map(|query| query.operation(&it.entity.plural));
                it.entity.name != entity.name
                    && (operation == format!("list_{}", it.entity.plural.snake)
                        || others.any(|other| other == operation))
            };
            if let Some(other) = drafts.iter().find(listed) {
                let message = format!(
                    "`{}` has an operation `{operation}` too",
                    other.entity.name.snake
                );
                problems.push(
                    Problem::error("collision", message, definition.name.span.clone())
                        .also(other.place(), "the other entity")
                        .help("give this query another name"),
                );
            }
        }
    }
}

impl NamedQuery {
    /// What the API document calls it.
    pub fn operation(&self, plural: &Name) -> String {
        format!("{}_{}", self.name.snake, plural.snake)
    }
}

/// Whether a query can be called that.
pub(super) fn check_name(
    draft: &Draft<'_>,
    written: &Spanned<String>,
    problems: &mut Vec<Problem>,
) -> bool {
    let name = match name::check(written, "a query") {
        Ok(name) => name,
        Err(problem) => {
            problems.push(problem);
            return false;
        }
    };
    let is_keyword = name.ident != name.snake;
    let behaviors = draft.entity.behaviors;
    let is_taken = [
        (true, TAKEN.as_slice()),
        (behaviors.soft_delete, &TAKEN_BY_SOFT_DELETE),
        (behaviors.tenant, &TAKEN_BY_TENANT),
    ]
    .iter()
    .any(|(has, taken)| *has && taken.contains(&name.snake.as_str()));
    if is_keyword || is_taken {
        let why = if is_keyword {
            "is a word of Rust"
        } else {
            "is what a generated function is called"
        };
        let message = format!("a query cannot be called `{}`", shorten(&written.value));
        problems.push(
            Problem::error("reserved-name", message, written.span.clone())
                .label(why)
                .help("choose another name, such as `search`"),
        );
        return false;
    }
    let entity = &draft.entity;
    let ty = format!("{}{}", name.pascal, entity.plural.pascal);
    let pascal = &entity.name.pascal;
    let types = [
        format!("Create{pascal}"),
        format!("Update{pascal}"),
        format!("{pascal}Repository"),
        format!("{pascal}Response"),
        format!("{pascal}Service"),
    ];
    if types.contains(&ty) || types.contains(&format!("{ty}Sort")) {
        let message = format!(
            "this query's type would be `{ty}`, which `{}` has",
            entity.name.snake
        );
        problems.push(
            Problem::error("collision", message, written.span.clone())
                .help("give this query another name"),
        );
        return false;
    }
    true
}

fn query(
    draft: &Draft<'_>,
    definition: &NamedQueryDefinition,
    problems: &mut Vec<Problem>,
) -> Option<NamedQuery> {
    let has_parameter = |name: &str| match name {
        "cursor" => definition.paginate == Pagination::Keyset,
        "include" => !draft.entity.relations.is_empty(),
        name => PARAMETERS.contains(&name),
    };
    for name in &definition.filters {
        if has_parameter(&name.value) && draft.entity.field(&name.value).is_some() {
            let message = format!("a query has a parameter `{}` of its own", name.value);
            problems.push(
                Problem::error("collision", message, name.span.clone())
                    .help("rename the field, or leave it out of `filters`"),
            );
        }
    }
    let filters = compared(draft, &definition.filters, problems);
    let search = searched(draft, &definition.search, problems);
    let ascending: Vec<_> = definition
        .sort
        .iter()
        .map(|it| (it.clone(), false))
        .collect();
    let sort = order(draft, &ascending, problems);
    let order = order(draft, &definition.order, problems);
    check_keyset(draft, definition, problems);
    let (default, max) = definition.limit;
    let max = max.unwrap_or(MAX_LIMIT.max(default.unwrap_or_default()));
    Some(NamedQuery {
        name: Name::new(definition.name.value.clone()),
        filters: filters?.into_iter().map(str::to_owned).collect(),
        search: search?,
        sort: sort?.into_iter().map(|it| it.0).collect(),
        order: order?,
        pages: match (definition.paginate, &definition.total) {
            (Pagination::None, _) => Pages::None,
            (Pagination::Offset, Some(total)) if !total.value => Pages::Uncounted,
            (Pagination::Offset, _) => Pages::Counted,
            (Pagination::Keyset, _) => Pages::Keyset,
        },
        default_limit: default.unwrap_or(DEFAULT_LIMIT).min(max),
        max_limit: max,
    })
}

/// Positions between numbers that are rounded, or among what cannot be compared, are not certain.
fn check_keyset(draft: &Draft<'_>, definition: &NamedQueryDefinition, problems: &mut Vec<Problem>) {
    if definition.paginate != Pagination::Keyset {
        return;
    }
    let ordered = definition.order.iter().map(|it| &it.0);
    for name in ordered.chain(&definition.sort) {
        let field = draft.entity.field(&name.value);
        if field.is_some_and(|it| it.ty == FieldType::Float) {
            let message = format!("`{}` is no place to go on from", name.value);
            problems.push(
                Problem::error("wrong-query", message, name.span.clone())
                    .help("numbers of type `float` are rounded; declare a `decimal`, or write `paginate: true`"),
            );
        }
    }
}

/// Columns that hold text.
fn searched(
    draft: &Draft<'_>,
    names: &[Spanned<String>],
    problems: &mut Vec<Problem>,
) -> Option<Vec<String>> {
    let mut columns: Vec<String> = Vec::new();
    let mut complete = true;
    for name in names {
        let Some(field) = draft.column(name, problems) else {
            complete = false;
            continue;
        };
        if columns.contains(&field.name.snake) {
            problems.push(twice(name));
        } else if !matches!(field.ty, FieldType::String | FieldType::Text) {
            problems.push(
                Problem::error(
                    "wrong-query",
                    format!("`{}` holds no text to search in", name.value),
                    name.span.clone(),
                )
                .help(
                    "columns of type `string` and `text` can be searched; list others in `filters`",
                ),
            );
        }
        columns.push(field.name.snake.clone());
    }
    complete.then_some(columns)
}
