//! Names of relations that clients may ask for with a row: they stand beside its fields.

use super::draft::Draft;
use crate::definition::Problem;

/// What the generated code calls a row's own fields.
const OWN: &str = "own";

/// Reports relations whose name is that of a field.
pub(crate) fn check(draft: &Draft<'_>, problems: &mut Vec<Problem>) {
    // Without routes, nobody asks.
    let relations = draft.entity.relations.iter();
    for relation in relations.filter(|_| draft.entity.rest) {
        let written = draft.definition.relations.iter();
        let Some(place) = written
            .map(|it| &it.name)
            .find(|it| it.value == relation.name.snake)
        else {
            continue;
        };
        let field = draft.entity.fields.iter().find(|it| {
            it.name.snake == relation.name.snake || it.name.ident == relation.name.ident
        });
        if let Some(field) = field {
            let message = format!(
                "the relationship `{}` is called like a field, beside which it is shown",
                relation.name.snake
            );
            let mut problem = Problem::error("collision", message, place.span.clone())
                .help("rename one of the two");
            if let Some(place) = draft.places.get(&field.name.snake) {
                problem = problem.also(place.clone(), "the field");
            }
            problems.push(problem);
        } else if relation.name.snake == OWN {
            problems.push(
                Problem::error(
                    "reserved-name",
                    "a relationship cannot be called `own`",
                    place.span.clone(),
                )
                .label("is what the generated code calls a row's own fields")
                .help("choose another name"),
            );
        }
    }
}
