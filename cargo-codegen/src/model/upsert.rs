//! `generate.upsert`: which unique key `upsert_many` goes by.

use super::draft::Draft;
use crate::definition::Problem;

/// Finds the unique key that is named.
pub(crate) fn resolve(draft: &mut Draft<'_>, problems: &mut Vec<Problem>) {
    let Some(written) = &draft.definition.upsert else {
        return;
    };
    if draft.entity.behaviors.optimistic_lock {
        problems.push(
            Problem::error(
                "not-supported",
                "an upsert changes rows without a look at their `version`",
                written.span.clone(),
            )
            .help("remove `upsert`, or `optimistic_lock` from `behaviors`"),
        );
        return;
    }
    let mut columns = Vec::new();
    for name in &written.value {
        let Some(field) = draft.column(name, problems) else {
            return;
        };
        columns.push(field.name.snake.clone());
    }
    let entity = &draft.entity;
    let is_unique = match columns.as_slice() {
        [] => false,
        [column] if entity.field(column).is_some_and(|it| it.unique) => true,
        columns => entity
            .queries
            .iter()
            .any(|it| it.unique && it.by == columns),
    };
    if is_unique {
        draft.entity.upsert = Some(columns);
        return;
    }
    let message = format!("no unique key of `{}` has these columns", entity.name.snake);
    problems.push(
        Problem::error("missing-key", message, written.span.clone())
            .label("the database could not tell which row is meant")
            .help(format!(
                "add the query `{{ by: [{}], unique: true }}`, in this order",
                if columns.is_empty() {
                    "email".to_owned()
                } else {
                    columns.join(", ")
                }
            )),
    );
}
