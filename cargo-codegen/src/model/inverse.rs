//! `has_many` and `has_one`: the other side of a foreign key.

use super::draft::{Draft, list};
use super::relation::{relation_name, unknown_entity};
use super::{Name, OnDelete, Relation, RelationKind};
use crate::definition::{
    Definitions, Problem, RelationDefinition, RelationType, Span, Spanned, shorten,
};

/// `has_many` and `has_one`, checked against the foreign key on the other side.
pub(crate) fn inverses(
    drafts: &mut [Draft<'_>],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) {
    let mut found: Vec<(usize, Relation)> = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        for relation in &draft.definition.relations {
            let kind = match relation.kind.value {
                RelationType::HasMany | RelationType::HasOne if relation.through.is_some() => {
                    continue;
                }
                RelationType::HasMany => RelationKind::HasMany,
                RelationType::HasOne => RelationKind::HasOne,
                RelationType::BelongsTo | RelationType::ManyToMany => continue,
            };
            let target = drafts
                .iter()
                .find(|it| it.entity.name.snake == relation.target.value);
            let Some(target) = target else {
                let known: Vec<&str> = drafts
                    .iter()
                    .map(|it| it.entity.name.snake.as_str())
                    .collect();
                problems.extend(unknown_entity(&relation.target, &known, definitions));
                continue;
            };
            for (key, span) in misplaced(relation) {
                let message = format!("`{key}` belongs to the side that has the foreign key");
                problems.push(
                    Problem::error("wrong-constraint", message, span).help(format!(
                        "move it to the `belongs_to` in `{}`",
                        target.entity.source
                    )),
                );
            }
            let Some(name) = relation_name(draft, relation, problems) else {
                continue;
            };
            let Some(foreign_key) = inverse_key(draft, relation, target, problems) else {
                continue;
            };
            if kind == RelationKind::HasOne && !is_unique(target, &foreign_key.snake) {
                problems.push(
                    Problem::error(
                        "not-unique",
                        format!(
                            "`{}` may have many rows with the same `{}`, so this is no `has_one`",
                            target.entity.name.snake, foreign_key.snake
                        ),
                        relation.kind.span.clone(),
                    )
                    .help(format!(
                        "write `unique: true` at `{}` in `{}`, or `has_many` here",
                        foreign_key.snake, target.entity.source
                    )),
                );
            }
            let relation = Relation {
                name,
                kind,
                target: relation.target.value.clone(),
                foreign_key,
                on_delete: OnDelete::Restrict,
                self_reference: relation.target.value == draft.entity.name.snake,
                sole_to_target: false,
                through: None,
            };
            found.push((index, relation));
        }
    }
    for (index, relation) in found {
        drafts[index].entity.relations.push(relation);
    }
}

/// Keys of a relation that only the side with the foreign key can have.
pub(crate) fn misplaced(relation: &RelationDefinition) -> Vec<(&'static str, Span)> {
    let on_delete = relation
        .on_delete
        .as_ref()
        .map(|it| ("on_delete", it.span.clone()));
    let flag = |key: &'static str, value: &Option<Spanned<bool>>| {
        value.as_ref().map(|it| (key, it.span.clone()))
    };
    [
        on_delete,
        flag("required", &relation.required),
        flag("index", &relation.index),
        flag("unique", &relation.unique),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A unique index of the column alone.
fn is_unique(draft: &Draft<'_>, column: &str) -> bool {
    let by_field = draft.entity.field(column).is_some_and(|it| it.unique);
    by_field
        || draft.definition.queries.iter().any(|query| {
            query.unique && query.by.len() == 1 && query.by.iter().all(|it| it.value == column)
        })
}

/// The target's foreign key that points back here.
fn inverse_key(
    draft: &Draft<'_>,
    relation: &RelationDefinition,
    target: &Draft<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Name> {
    let here = &draft.entity.name.snake;
    let there = &target.entity.name.snake;
    let back: Vec<&Relation> = target
        .entity
        .relations
        .iter()
        .filter(|it| it.kind == RelationKind::BelongsTo && it.target == *here)
        .collect();
    let keys: Vec<&str> = back
        .iter()
        .map(|it| it.foreign_key.snake.as_str())
        .collect();
    let add = format!(
        "add to `{}`: `relationships: {{ {here}: {{ type: belongs_to, target: {here} }} }}`",
        target.entity.source
    );
    if let Some(wanted) = &relation.foreign_key {
        if let Some(found) = back.iter().find(|it| it.foreign_key.snake == wanted.value) {
            return Some(found.foreign_key.clone());
        }
        if target.uncertain.contains(&wanted.value) {
            return None;
        }
        let message = if target.entity.field(&wanted.value).is_some() {
            format!("`{there}.{}` is no foreign key to `{here}`", wanted.value)
        } else {
            format!("`{there}` has no field `{}`", shorten(&wanted.value))
        };
        let problem = Problem::error("no-foreign-key", message, wanted.span.clone());
        problems.push(if keys.is_empty() {
            problem.help(add)
        } else {
            problem.help(format!("its foreign keys to `{here}` are {}", list(&keys)))
        });
        return None;
    }
    match back.as_slice() {
        [only] => Some(only.foreign_key.clone()),
        [] => {
            problems.push(
                Problem::error(
                    "no-foreign-key",
                    format!("`{there}` has no `belongs_to` that points back to `{here}`"),
                    relation.target.span.clone(),
                )
                .help(add),
            );
            None
        }
        _ => {
            problems.push(
                Problem::error(
                    "ambiguous",
                    format!("`{there}` has several foreign keys to `{here}`"),
                    relation.name.span.clone(),
                )
                .help(format!("add `foreign_key:` with one of {}", list(&keys))),
            );
            None
        }
    }
}

/// Brings the relations into the order of the file, then those that come from a field's `foreign_key`.
pub(crate) fn order(draft: &mut Draft<'_>) {
    let names: Vec<&str> = draft
        .definition
        .relations
        .iter()
        .map(|it| it.name.value.as_str())
        .collect();
    let position = |it: &Relation| {
        names
            .iter()
            .position(|name| *name == it.name.snake)
            .unwrap_or(names.len())
    };
    draft.entity.relations.sort_by_key(position);
    let targets: Vec<String> = draft
        .entity
        .relations
        .iter()
        .map(|it| it.target.clone())
        .collect();
    for relation in &mut draft.entity.relations {
        relation.sole_to_target = !relation.self_reference
            && targets.iter().filter(|it| **it == relation.target).count() == 1;
    }
}
