//! What vectors need: PostgreSQL, and code of the app's own that sets them.

use super::draft::Draft;
use super::{Config, Database, Name};
use crate::definition::{FieldDefinition, Problem, Span};

/// As many numbers as a vector can have that pgvector indexes.
const MAX_INDEXED: u32 = 2_000;

/// How many numbers a vector has; it is reported if that is not said.
pub(super) fn dimensions(
    name: &Name,
    field: &FieldDefinition,
    problems: &mut Vec<Problem>,
) -> Option<u32> {
    if field.dimensions.is_none() {
        let message = format!("the vector `{}` has no `dimensions`", name.snake);
        problems.push(
            Problem::error("missing-key", message, field.name.span.clone())
                .help("add `dimensions: 384`, or as many numbers as your embeddings have"),
        );
    }
    field.dimensions.as_ref().map(|it| it.value)
}

/// What is wrong with the index of a vector, which `key` asks for.
pub(super) fn index(
    name: &Name,
    dimensions: u32,
    field: &FieldDefinition,
    key: &Span,
) -> Option<Problem> {
    let name = &name.snake;
    let (message, help) = if field.unique {
        (
            format!("`{name}` is of type `vector`, which has a distance and no useful equality"),
            "remove `unique`",
        )
    } else if field.index && dimensions > MAX_INDEXED {
        (
            format!(
                "pgvector indexes vectors of at most {MAX_INDEXED} dimensions, and `{name}` has {dimensions}"
            ),
            "remove `index`, and a search compares all rows; or store fewer dimensions",
        )
    } else {
        return None;
    };
    Some(Problem::error("not-indexable", message, key.clone()).help(help))
}

/// Reports vectors that one of the databases has not, or that no generated code could set.
pub(super) fn check(config: &Config, drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    let others: Vec<&str> = config
        .databases
        .iter()
        .filter_map(|it| match it {
            Database::Sqlite => Some("`sqlite`"),
            Database::Mysql => Some("`mysql`"),
            Database::Postgres => None,
        })
        .collect();
    for draft in drafts {
        let vectors = draft.entity.fields.iter().filter(|it| it.ty.is_vector());
        for field in vectors {
            let mut definitions = draft.definition.fields.iter();
            let Some(written) = definitions.find(|it| it.name.value == field.name.snake) else {
                continue;
            };
            if !others.is_empty() {
                problems.push(elsewhere(&others, written));
            }
            if field.required && draft.entity.writes {
                problems.push(unset(written));
            }
        }
    }
}

fn elsewhere(others: &[&str], written: &FieldDefinition) -> Problem {
    let place = written
        .kind
        .as_ref()
        .map_or(&written.name.span, |it| &it.span);
    let list = others.join(" and ");
    let verb = if others.len() == 1 { "is" } else { "are" };
    let message = format!(
        "the type `vector` is pgvector's, on PostgreSQL, and {list} {verb} among the `databases`"
    );
    Problem::error("only-on-postgres", message, place.clone()).help(format!(
        "take {list} out of `databases` in `codegen.yaml`, if the app never runs there; or keep embeddings in a store of their own"
    ))
}

fn unset(written: &FieldDefinition) -> Problem {
    let key = written.required.as_ref().or(written.nullable.as_ref());
    let place = key.map_or(&written.name.span, |it| &it.span);
    let message = format!(
        "clients do not send vectors, so nothing gives a new row its `{}`",
        written.name.value
    );
    Problem::error("contradiction", message, place.clone())
        .help("write `nullable: true` and set it in your own code, or make rows there alone: `generate: { writes: false }`")
}
