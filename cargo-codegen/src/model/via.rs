//! `via` of a query: the rows that its columns are of.

use super::draft::{Draft, list};
use super::join::Join;
use super::query::{comparable, twice};
use super::{Field, FieldOrigin, Name, OnDelete, Relation, RelationKind, Via};
use crate::definition::{Problem, QueryDefinition, Spanned, nearest, shorten};

/// What a query looks for, and the part of its name that says so.
pub(super) struct Found {
    pub(super) via: Via,
    pub(super) columns: Vec<String>,
    pub(super) label: String,
}

/// The rows that `via` names, and the columns of them.
pub(super) fn resolve(
    draft: &Draft<'_>,
    drafts: &[Draft<'_>],
    joins: &[Join],
    definition: &QueryDefinition,
    via: &Spanned<String>,
    problems: &mut Vec<Problem>,
) -> Option<Found> {
    let (relation, by_relation) = match relation(draft, drafts, via) {
        Ok(found) => found,
        Err(problem) => {
            problems.extend(problem);
            return None;
        }
    };
    let target = drafts
        .iter()
        .find(|it| it.entity.name.snake == relation.target)?;
    let tables = tables(&relation, target, drafts, joins);
    let table = tables.iter().find(|table| {
        let has =
            |name: &Spanned<String>| table.fields.iter().any(|it| it.name.snake == name.value);
        definition.by.iter().all(has)
    });
    let Some(table) = table else {
        problems.extend(unknown_column(definition, &tables));
        return None;
    };
    let mut columns: Vec<String> = Vec::new();
    for name in &definition.by {
        let field = table.fields.iter().find(|it| it.name.snake == name.value)?;
        if columns.contains(&name.value) {
            problems.push(twice(name));
            return None;
        }
        if let Err(problem) = comparable(field, name) {
            problems.push(problem);
            return None;
        }
        columns.push(name.value.clone());
    }
    let label = columns.join("_and_");
    let label = if by_relation && !table.between {
        format!("{}_{label}", relation.name.snake)
    } else {
        label
    };
    let via = Via {
        between: table.between,
        relation,
    };
    Some(Found {
        via,
        columns,
        label,
    })
}

/// A table whose columns a query may name.
struct Columns {
    name: String,
    fields: Vec<Field>,
    between: bool,
}

/// The target's, then those of the table between.
fn tables(
    relation: &Relation,
    target: &Draft<'_>,
    drafts: &[Draft<'_>],
    joins: &[Join],
) -> Vec<Columns> {
    let of = |draft: &Draft<'_>, between| Columns {
        name: draft.entity.name.snake.clone(),
        fields: draft.entity.fields.clone(),
        between,
    };
    let mut tables = vec![of(target, false)];
    if let Some(through) = &relation.through {
        let between = drafts.iter().find(|it| it.entity.name == through.module);
        let join = joins.iter().find(|it| it.name == through.module);
        tables.extend(between.map(|it| of(it, true)));
        tables.extend(join.map(|it| Columns {
            name: it.table.clone(),
            fields: join_fields(it, drafts),
            between: true,
        }));
    }
    tables
}

/// The columns of a join table, as fields.
pub(crate) fn join_fields(join: &Join, drafts: &[Draft<'_>]) -> Vec<Field> {
    let field = |end: &super::JoinEnd| {
        let entity = drafts
            .iter()
            .find(|it| it.entity.name.snake == end.entity)?;
        let mut field = entity.entity.key()?.clone();
        field.name = end.column.clone();
        field.origin = FieldOrigin::Declared;
        Some(field)
    };
    join.ends.iter().filter_map(field).collect()
}

fn unknown_column(definition: &QueryDefinition, tables: &[Columns]) -> Option<Problem> {
    let known: Vec<&str> = tables
        .iter()
        .flat_map(|it| &it.fields)
        .map(|it| it.name.snake.as_str())
        .collect();
    let names: Vec<String> = tables.iter().map(|it| format!("`{}`", it.name)).collect();
    let unknown = definition
        .by
        .iter()
        .find(|it| !known.contains(&it.value.as_str()));
    let Some(unknown) = unknown else {
        let message = "these columns are of different tables";
        return Some(
            Problem::error("wrong-query", message, definition.span.clone())
                .help(format!("name columns of one of {}", names.join(" and "))),
        );
    };
    let message = format!(
        "{} has no field `{}`",
        names.join(" or "),
        shorten(&unknown.value)
    );
    let problem = Problem::error("unknown-field", message, unknown.span.clone());
    Some(match nearest(&unknown.value, &known) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem.help(format!("their fields are {}", list(&known))),
    })
}

/// The relation of this name; or to, or by way of, the entity of this name. And whether its own name was given.
fn relation(
    draft: &Draft<'_>,
    drafts: &[Draft<'_>],
    via: &Spanned<String>,
) -> Result<(Relation, bool), Option<Problem>> {
    let relations = &draft.entity.relations;
    if let Some(found) = relations.iter().find(|it| it.name.snake == via.value) {
        return Ok((found.clone(), true));
    }
    // A relation that could not be resolved has been reported.
    let mut written = draft.definition.relations.iter();
    if written.any(|it| it.name.value == via.value) {
        return Err(None);
    }
    let through = relations.iter().find(|it| {
        let module = it.through.as_ref().map(|it| &it.module.snake);
        module == Some(&via.value)
    });
    if let Some(through) = through {
        return Ok((through.clone(), false));
    }
    let other = drafts.iter().find(|it| it.entity.name.snake == via.value);
    let back: Vec<&Relation> = other
        .map(|it| it.entity.relations.iter())
        .into_iter()
        .flatten()
        .filter(|it| it.kind == RelationKind::BelongsTo && it.target == draft.entity.name.snake)
        .collect();
    match back.as_slice() {
        [only] => Ok((backwards(draft, via, only), false)),
        [] => Err(Some(unknown(draft, via))),
        _ => {
            let message = format!(
                "`{}` refers to `{}` in several ways",
                via.value, draft.entity.name.snake
            );
            let help =
                "declare a `has_many` with a `foreign_key` for one of them, and name it here";
            Err(Some(
                Problem::error("ambiguous", message, via.span.clone()).help(help),
            ))
        }
    }
}

/// The other side of a foreign key, which is not declared.
fn backwards(draft: &Draft<'_>, via: &Spanned<String>, back: &Relation) -> Relation {
    Relation {
        name: Name::new(via.value.clone()),
        kind: RelationKind::HasMany,
        target: via.value.clone(),
        foreign_key: back.foreign_key.clone(),
        on_delete: OnDelete::Restrict,
        self_reference: via.value == draft.entity.name.snake,
        sole_to_target: false,
        through: None,
    }
}

fn unknown(draft: &Draft<'_>, via: &Spanned<String>) -> Problem {
    let known: Vec<&str> = draft
        .entity
        .relations
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect();
    let message = format!(
        "`{}` has no relationship `{}`",
        draft.entity.name.snake,
        shorten(&via.value)
    );
    let problem = Problem::error("unknown-relation", message, via.span.clone());
    match nearest(&via.value, &known) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None if known.is_empty() => problem.help("declare it in `relationships`"),
        None => problem.help(format!("its relationships are {}", list(&known))),
    }
}
