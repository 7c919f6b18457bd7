//! Declared finders.

use super::draft::Draft;
use super::{FieldType, Name, Query, SortOrder};
use crate::definition::{Problem, QueryDefinition, Span, Spanned, shorten};

/// Resolves the queries of an entity.
pub(crate) fn resolve(draft: &mut Draft<'_>, problems: &mut Vec<Problem>) {
    let mut found: Vec<(Query, &Span)> = Vec::new();
    for definition in &draft.definition.queries {
        let Some(query) = query(draft, definition, problems) else {
            continue;
        };
        match found.iter().find(|it| it.0.name == query.name) {
            Some((first, place)) => {
                let message = if first.by == query.by {
                    format!("the query by {} is declared twice", by(&query))
                } else {
                    format!("two queries are both called `{}`", query.name.snake)
                };
                problems.push(
                    Problem::error("collision", message, definition.span.clone())
                        .also((*place).clone(), "the other one")
                        .help("remove one of the two"),
                );
            }
            None => found.push((query, &definition.span)),
        }
    }
    draft.entity.queries = found.into_iter().map(|it| it.0).collect();
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
    definition: &QueryDefinition,
    problems: &mut Vec<Problem>,
) -> Option<Query> {
    // Both are looked at before either ends it, so that every problem is reported.
    let columns = compared(draft, &definition.by, problems);
    let order = order(draft, &definition.order, problems);
    let (columns, order) = (columns?, order?);
    if columns == ["id"] {
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
    if definition.unique
        && let Some((first, _)) = definition.order.first()
    {
        problems.push(
            Problem::error(
                "wrong-query",
                "a unique query has one result, so there is nothing to sort",
                first.span.clone(),
            )
            .help("remove `order`"),
        );
    }
    let verb = if definition.unique {
        "find_by"
    } else {
        "list_by"
    };
    Some(Query {
        name: Name::new(format!("{verb}_{}", columns.join("_and_"))),
        by: columns.into_iter().map(str::to_owned).collect(),
        unique: definition.unique,
        order,
    })
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
        } else if matches!(
            field.ty,
            FieldType::Json | FieldType::Bytes | FieldType::Float
        ) {
            problems.push(
                Problem::error(
                    "wrong-query",
                    format!("`{}` cannot be searched by equality", name.value),
                    name.span.clone(),
                )
                .help("columns of type `json`, `bytes` and `float` have no useful equality"),
            );
            complete = false;
        }
        columns.push(&field.name.snake);
    }
    complete.then_some(columns)
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
        } else if matches!(field.ty, FieldType::Json | FieldType::Bytes) {
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
