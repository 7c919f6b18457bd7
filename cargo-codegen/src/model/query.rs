//! Declared finders.

use super::draft::Draft;
use super::join::Join;
use super::named_query::check_name;
use super::{Field, FieldType, Name, Query, SortOrder, TENANT, via};
use crate::definition::{Problem, QueryDefinition, Span, Spanned, shorten};

/// Resolves the queries of every entity.
pub(crate) fn resolve(drafts: &mut [Draft<'_>], joins: &[Join], problems: &mut Vec<Problem>) {
    let found: Vec<Vec<Query>> = drafts
        .iter()
        .map(|it| queries(it, drafts, joins, problems))
        .collect();
    for (draft, queries) in drafts.iter_mut().zip(found) {
        draft.entity.queries = queries;
    }
}

fn queries(
    draft: &Draft<'_>,
    drafts: &[Draft<'_>],
    joins: &[Join],
    problems: &mut Vec<Problem>,
) -> Vec<Query> {
    let mut found: Vec<(Query, &Span)> = Vec::new();
    for definition in &draft.definition.queries {
        let Some(query) = query(draft, drafts, joins, definition, problems) else {
            continue;
        };
        match found.iter().find(|it| it.0.name == query.name) {
            Some((first, place)) => {
                let message = if first.by == query.by && definition.name.is_none() {
                    format!("the query by {} is declared twice", by(&query))
                } else {
                    format!("two queries are both called `{}`", query.name.snake)
                };
                problems.push(
                    Problem::error("collision", message, definition.span.clone())
                        .also((*place).clone(), "the other one")
                        .help("remove one of the two, or give it a `name`"),
                );
            }
            None => found.push((query, &definition.span)),
        }
    }
    let external = draft
        .entity
        .behaviors
        .external_id_tracking
        .then(by_external_id);
    if let Some(external) = &external
        && let Some((_, place)) = found.iter().find(|it| it.0.name == external.name)
    {
        problems.push(
            Problem::error(
                "collision",
                format!(
                    "`external_id_tracking` has a query `{}` already",
                    external.name.snake
                ),
                (*place).clone(),
            )
            .help(
                "an external id is unique within its provider: remove this query, or the behavior",
            ),
        );
    }
    let declared = found.into_iter().map(|it| it.0);
    declared.chain(external).collect()
}

/// What comes with `external_id_tracking`.
pub(super) fn by_external_id() -> Query {
    Query {
        name: Name::new("find_by_external_id"),
        by: vec!["provider".to_owned(), "external_id".to_owned()],
        via: None,
        select: Vec::new(),
        limit: None,
        unique: true,
        order: Vec::new(),
    }
}

fn by(query: &Query) -> String {
    query
        .by
        .iter()
        .map(|it| format!("`{it}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn query(
    draft: &Draft<'_>,
    drafts: &[Draft<'_>],
    joins: &[Join],
    definition: &QueryDefinition,
    problems: &mut Vec<Problem>,
) -> Option<Query> {
    // All are looked at before one ends it, so that every problem is reported.
    let found = match &definition.via {
        Some(via) => via::resolve(draft, drafts, joins, definition, via, problems)
            .map(|it| (Some(it.via), it.columns, it.label)),
        None => compared(draft, &definition.by, problems).map(|columns| {
            let label = columns.join("_and_");
            let columns = columns.into_iter().map(str::to_owned).collect();
            (None, columns, label)
        }),
    };
    let order = order(draft, &definition.order, problems);
    let select = selected(draft, &definition.select, problems);
    let name = definition.name.as_ref();
    let is_named = name.is_none_or(|it| check_name(draft, it, problems));
    let ((via, columns, label), order, select) = (found?, order?, select?);
    if via.is_none() && columns == ["id"] {
        problems.push(
            Problem::error(
                "wrong-query",
                "every entity can be found by its `id` already",
                definition.span.clone(),
            )
            .help("remove this query"),
        );
        return None;
    }
    if definition.unique && columns == ["ids"] {
        problems.push(
            Problem::error(
                "reserved-name",
                "`find_by_ids` is what a generated method is called",
                definition.span.clone(),
            )
            .help("rename the field, or give the query a `name`"),
        );
        return None;
    }
    if definition.unique {
        problems.extend(not_unique(definition));
    }
    let name = match name {
        Some(name) if is_named => Name::new(name.value.clone()),
        Some(_) => return None,
        None => Name::new(method(definition.unique, &select, &label)),
    };
    Some(Query {
        name,
        by: columns,
        via,
        unique: definition.unique,
        order,
        select,
        limit: definition.limit.as_ref().map(|it| it.value),
    })
}

/// `find_by_email`, `list_by_account_id`, `list_emails_by_account_id`.
fn method(unique: bool, select: &[String], label: &str) -> String {
    let verb = if unique { "find" } else { "list" };
    let count = if unique { 1 } else { 2 };
    match select {
        [] => format!("{verb}_by_{label}"),
        columns => {
            let columns = pluralizer::pluralize(&columns.join("_and_"), count, false);
            format!("{verb}_{columns}_by_{label}")
        }
    }
}

/// What a query that finds at most one row cannot have.
fn not_unique(definition: &QueryDefinition) -> Vec<Problem> {
    let problem = |message: &str, span: &Span, key: &str| {
        Problem::error("wrong-query", message, span.clone()).help(format!("remove `{key}`"))
    };
    let order = definition.order.first().map(|(first, _)| {
        problem(
            "a unique query has one result, so there is nothing to sort",
            &first.span,
            "order",
        )
    });
    let limit = definition.limit.as_ref().map(|it| {
        problem(
            "a unique query has one result, so there is nothing to limit",
            &it.span,
            "limit",
        )
    });
    let via = definition.via.as_ref().map(|it| {
        problem(
            "many rows may be related to the same ones, so a query `via` a relationship is not unique",
            &it.span,
            "unique",
        )
    });
    [order, limit, via].into_iter().flatten().collect()
}

/// The columns that a query gives.
fn selected(
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
        }
        columns.push(field.name.snake.clone());
    }
    // A tuple has no more.
    const MOST: usize = 12;
    if let Some(name) = names.get(MOST) {
        let message = format!("a query selects at most {MOST} columns");
        problems.push(
            Problem::error("wrong-query", message, name.span.clone())
                .help("leave `select` out for whole rows"),
        );
    }
    complete.then_some(columns)
}

/// The columns that values are compared with; `None` if one of them cannot be, which was reported.
pub(super) fn compared<'a>(
    draft: &'a Draft<'_>,
    names: &[Spanned<String>],
    problems: &mut Vec<Problem>,
) -> Option<Vec<&'a str>> {
    let mut columns: Vec<&str> = Vec::new();
    let mut complete = true;
    for name in names {
        let Some(field) = draft.column(name, problems) else {
            complete = false;
            continue;
        };
        if columns.contains(&field.name.snake.as_str()) {
            problems.push(twice(name));
            complete = false;
        } else if field.name.snake == TENANT && draft.entity.behaviors.tenant {
            problems.push(
                Problem::error(
                    "wrong-query",
                    "every query is of one tenant already",
                    name.span.clone(),
                )
                .help(format!("leave `{TENANT}` out")),
            );
            complete = false;
        } else if let Err(problem) = comparable(field, name) {
            problems.push(problem);
            complete = false;
        }
        columns.push(&field.name.snake);
    }
    complete.then_some(columns)
}

/// Whether values of the column can be compared.
pub(super) fn comparable(field: &Field, name: &Spanned<String>) -> Result<(), Problem> {
    if matches!(
        field.ty,
        FieldType::Json | FieldType::Bytes | FieldType::Float | FieldType::Vector { .. }
    ) {
        let message = format!("`{}` cannot be searched by equality", name.value);
        return Err(
            Problem::error("wrong-query", message, name.span.clone()).help(
                "columns of type `json`, `bytes`, `float` and `vector` have no useful equality",
            ),
        );
    }
    Ok(())
}

/// The sort columns; `None` if one of them is not known, which was reported.
pub(super) fn order(
    draft: &Draft<'_>,
    columns: &[(Spanned<String>, bool)],
    problems: &mut Vec<Problem>,
) -> Option<Vec<(String, SortOrder)>> {
    let mut order: Vec<(String, SortOrder)> = Vec::new();
    let mut complete = true;
    for (name, descending) in columns {
        let Some(field) = draft.column(name, problems) else {
            complete = false;
            continue;
        };
        if order.iter().any(|it| it.0 == field.name.snake) {
            problems.push(twice(name));
        } else if matches!(
            field.ty,
            FieldType::Json | FieldType::Bytes | FieldType::Vector { .. }
        ) {
            problems.push(Problem::error(
                "wrong-query",
                format!("`{}` cannot be sorted by", name.value),
                name.span.clone(),
            ));
        }
        let direction = if *descending {
            SortOrder::Descending
        } else {
            SortOrder::Ascending
        };
        order.push((field.name.snake.clone(), direction));
    }
    complete.then_some(order)
}

pub(super) fn twice(name: &Spanned<String>) -> Problem {
    Problem::error(
        "duplicate",
        format!("`{}` is listed twice", shorten(&name.value)),
        name.span.clone(),
    )
    .help("remove one of the two")
}
