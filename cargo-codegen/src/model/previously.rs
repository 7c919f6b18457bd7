//! Former names: of tables and columns that a migration renames.

use super::draft::Draft;
use crate::definition::Problem;

/// A name that is still in use is nobody's former one: the migration could not tell the two apart.
pub(super) fn check(drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    for draft in drafts {
        let definition = draft.definition;
        if let Some(previously) = &definition.previously
            && let Some(other) = drafts.iter().find(|it| it.entity.table == previously.value)
        {
            let message = format!(
                "`{}` cannot be a former name: it is the table of `{}`",
                previously.value, other.entity.name.snake
            );
            problems.push(
                Problem::error("contradiction", message, previously.span.clone())
                    .also(other.place(), "which is here")
                    .help("write what the table was called before, or remove `previously`"),
            );
        }
        for field in &definition.fields {
            let Some(previously) = &field.previously else {
                continue;
            };
            if let Some(other) = draft.entity.field(&previously.value) {
                let name = &other.name.snake;
                let message =
                    format!("`{name}` cannot be a former name: it is a field of this entity");
                let problem = Problem::error("contradiction", message, previously.span.clone())
                    .help("write what the column was called before, or remove `previously`");
                problems.push(match draft.places.get(name) {
                    Some(place) => problem.also(place.clone(), "which is here"),
                    None => problem,
                });
            }
        }
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for field in &definition.fields {
            let Some(previously) = &field.previously else {
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|it| it.0 == previously.value) {
                let message = format!(
                    "`{first}` and `{}` cannot both have been `{}`",
                    field.name.value, previously.value
                );
                problems.push(
                    Problem::error("contradiction", message, previously.span.clone())
                        .help("remove one of the two"),
                );
            }
            seen.push((&previously.value, &field.name.value));
        }
    }
    for (index, draft) in drafts.iter().enumerate() {
        let Some(previously) = &draft.definition.previously else {
            continue;
        };
        let same = |it: &&Draft<'_>| {
            let other = it.definition.previously.as_ref();
            other.is_some_and(|it| it.value == previously.value)
        };
        if let Some(other) = drafts[..index].iter().find(same) {
            let message = format!(
                "`{}` and `{}` cannot both have been the table `{}`",
                other.entity.name.snake, draft.entity.name.snake, previously.value
            );
            problems.push(
                Problem::error("contradiction", message, previously.span.clone())
                    .help("remove one of the two"),
            );
        }
    }
}
