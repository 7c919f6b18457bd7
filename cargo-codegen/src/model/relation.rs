//! Relationships: foreign keys on one side, checked inverses on the other.

use super::draft::{Draft, list};
use super::name;
use super::{Constraints, Field, FieldOrigin, FieldType, Name, OnDelete, Relation, RelationKind};
use crate::definition::{
    Definitions, FieldDefinition, OnDeleteWord, Problem, RelationDefinition, RelationType, Span,
    Spanned, nearest, shorten,
};

/// Foreign keys: adds the columns that are not declared, and the relations of this side.
pub(crate) fn foreign_keys(
    drafts: &mut [Draft<'_>],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) {
    let known = Known::new(drafts, definitions);
    for draft in drafts.iter_mut() {
        for relation in &draft.definition.relations {
            if !relation.through && relation.kind.value == RelationType::BelongsTo {
                belongs_to(draft, relation, &known, problems);
            }
        }
        for field in &draft.definition.fields {
            if let Some(reference) = &field.foreign_key {
                reference_of(draft, field, reference, &known, problems);
            }
        }
    }
}

/// What every entity may be pointed at by.
struct Known<'d> {
    /// Entity, table, type of the key.
    entities: Vec<(String, String, FieldType)>,
    definitions: &'d Definitions,
}

impl<'d> Known<'d> {
    fn new(drafts: &[Draft<'_>], definitions: &'d Definitions) -> Self {
        let entity = |it: &Draft<'_>| {
            let key = it.entity.key().map_or(FieldType::Uuid, |it| it.ty.clone());
            (it.entity.name.snake.clone(), it.entity.table.clone(), key)
        };
        Self {
            entities: drafts.iter().map(entity).collect(),
            definitions,
        }
    }

    /// The type of a target's key; an unknown target is reported.
    fn target(&self, target: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<FieldType> {
        let found = self.entities.iter().find(|it| it.0 == target.value);
        if found.is_none() {
            let names: Vec<&str> = self.entities.iter().map(|it| it.0.as_str()).collect();
            problems.extend(unknown_entity(target, &names, self.definitions));
        }
        found.map(|it| it.2.clone())
    }
}

/// A reference to an entity that does not exist; nothing if its definition exists and was reported.
pub(crate) fn unknown_entity(
    target: &Spanned<String>,
    known: &[&str],
    definitions: &Definitions,
) -> Option<Problem> {
    let written = definitions
        .entities
        .iter()
        .any(|it| it.name.value == target.value);
    if written || definitions.unreadable.contains(&target.value) {
        return None;
    }
    let message = format!("there is no entity `{}`", shorten(&target.value));
    let problem = Problem::error("unknown-entity", message, target.span.clone());
    Some(match nearest(&target.value, known) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None if name::is_snake_case(&target.value) => problem.help(format!(
            "define it in `entities/{}.yaml`; there are {}",
            target.value,
            list(known)
        )),
        None => problem.help(format!("there are {}", list(known))),
    })
}

fn belongs_to(
    draft: &mut Draft<'_>,
    relation: &RelationDefinition,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) {
    let Some(name) = relation_name(draft, relation, problems) else {
        return;
    };
    let key = known.target(&relation.target, problems);
    let column = match &relation.foreign_key {
        Some(column) => column.clone(),
        None => Spanned::new(format!("{}_id", name.snake), relation.name.span.clone()),
    };
    let unresolved = draft.uncertain.contains(&column.value);
    if draft.entity.field(&column.value).is_some() {
        join(draft, relation, &column, key.as_ref(), problems);
    } else if !unresolved {
        let name = match name::check(&column, "a field") {
            Ok(name) => name,
            Err(problem) => return problems.push(problem),
        };
        let required = relation.required.as_ref().is_some_and(|it| it.value);
        let field = Field {
            name,
            ty: key.clone().unwrap_or(FieldType::Uuid),
            nullable: !required,
            required,
            default: None,
            unique: relation.unique.as_ref().is_some_and(|it| it.value),
            index: relation.index.as_ref().is_none_or(|it| it.value),
            constraints: Constraints::default(),
            description: relation.description.clone(),
            origin: FieldOrigin::Declared,
        };
        draft.add(field, column.span.clone(), problems);
    }
    if key.is_none() || unresolved {
        return;
    }
    let nullable = draft
        .entity
        .field(&column.value)
        .is_some_and(|it| it.nullable);
    let on_delete = on_delete(relation, nullable, problems);
    draft.entity.relations.push(Relation {
        self_reference: relation.target.value == draft.entity.name.snake,
        kind: RelationKind::BelongsTo,
        target: relation.target.value.clone(),
        foreign_key: Name::new(column.value),
        on_delete,
        sole_to_target: false,
        name,
    });
}

fn relation_name(
    draft: &Draft<'_>,
    relation: &RelationDefinition,
    problems: &mut Vec<Problem>,
) -> Option<Name> {
    let name = name::check(&relation.name, "a relationship")
        .map_err(|it| problems.push(it))
        .ok()?;
    let other = draft
        .entity
        .relations
        .iter()
        .find(|it| it.name.pascal == name.pascal);
    if let Some(other) = other {
        let message = format!(
            "the relationships `{}` and `{}` are both `{}` in Rust",
            other.name.snake, name.snake, name.pascal
        );
        problems.push(
            Problem::error("collision", message, relation.name.span.clone())
                .help("rename one of the two"),
        );
        return None;
    }
    Some(name)
}

/// The relation's column is declared: what both say must agree, and the relation may add `required`, `unique` and `index`.
fn join(
    draft: &mut Draft<'_>,
    relation: &RelationDefinition,
    column: &Spanned<String>,
    key: Option<&FieldType>,
    problems: &mut Vec<Problem>,
) {
    let declared = draft.places.get(&column.value).cloned();
    let also = |problem: Problem| match &declared {
        Some(place) if *place != column.span => problem.also(place.clone(), "declared here"),
        _ => problem,
    };
    let Some(field) = draft
        .entity
        .fields
        .iter_mut()
        .find(|it| it.name.snake == column.value)
    else {
        return;
    };
    if let Some(key) = key
        && field.ty != *key
    {
        problems.push(
            also(Problem::error(
                "wrong-foreign-key",
                format!("`{}` cannot point to `{}`: their types differ", column.value, relation.target.value),
                column.span.clone(),
            ))
            .help(format!("declare it with the type of the other entity's key, or leave the field out: `{}` adds it", relation.name.value)),
        );
    }
    if let Some(required) = &relation.required {
        let written = draft
            .definition
            .fields
            .iter()
            .find(|it| it.name.value == column.value);
        let says_nothing = written.is_some_and(|it| {
            it.required.is_none() && it.nullable.is_none() && it.default.is_none()
        });
        if says_nothing {
            field.required = required.value;
            field.nullable = !required.value;
        } else if required.value == field.nullable {
            let state = if field.nullable {
                "nullable"
            } else {
                "not nullable"
            };
            problems.push(
                also(Problem::error(
                    "contradiction",
                    format!(
                        "the field `{}` is {state}, and its relationship says otherwise",
                        column.value
                    ),
                    required.span.clone(),
                ))
                .help("keep one of the two; a relationship takes over what its field says"),
            );
        }
    }
    field.unique |= relation.unique.as_ref().is_some_and(|it| it.value);
    field.index |= relation.index.as_ref().is_some_and(|it| it.value);
}

fn on_delete(
    relation: &RelationDefinition,
    nullable: bool,
    problems: &mut Vec<Problem>,
) -> OnDelete {
    match &relation.on_delete {
        None => OnDelete::Restrict,
        Some(word) => match word.value {
            OnDeleteWord::Restrict => OnDelete::Restrict,
            OnDeleteWord::Cascade => OnDelete::Cascade,
            OnDeleteWord::SetNull => {
                if !nullable {
                    problems.push(
                        Problem::error("contradiction", "`set_null` needs a foreign key that may be NULL", word.span.clone())
                            .help("write `on_delete: restrict` or `cascade`, or make the foreign key nullable"),
                    );
                }
                OnDelete::SetNull
            }
        },
    }
}

/// `foreign_key: table.column` of a field: a relation, unless one for this field is declared.
fn reference_of(
    draft: &mut Draft<'_>,
    field: &FieldDefinition,
    reference: &Spanned<String>,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) {
    let wrong =
        |message: String| Problem::error("wrong-foreign-key", message, reference.span.clone());
    let Some((table, column)) = reference.value.split_once('.') else {
        problems.push(
            wrong(format!(
                "`{}` is no `table.column`",
                shorten(&reference.value)
            ))
            .help("write the table and its key, such as `accounts.id`"),
        );
        return;
    };
    let Some((target, _, key)) = known.entities.iter().find(|it| it.1 == table) else {
        if known.definitions.unreadable.is_empty() {
            let tables: Vec<&str> = known.entities.iter().map(|it| it.1.as_str()).collect();
            let problem = wrong(format!("no entity has the table `{}`", shorten(table)));
            problems.push(match nearest(table, &tables) {
                Some(near) => problem.label(format!("did you mean `{near}.{column}`?")),
                None => problem.help(format!("there are {}", list(&tables))),
            });
        }
        return;
    };
    if column != "id" {
        problems.push(
            wrong(format!("`{}` is not the key of `{table}`", shorten(column)))
                .help(format!("a foreign key points to a key: `{table}.id`")),
        );
        return;
    }
    let Some(own) = draft.entity.field(&field.name.value) else {
        return;
    };
    if own.ty != *key {
        problems.push(
            wrong(format!(
                "`{}` cannot point to `{}`: their types differ",
                own.name.snake, reference.value
            ))
            .help("declare the field with the type of the other entity's key"),
        );
        return;
    }
    let declared = draft
        .entity
        .relations
        .iter()
        .find(|it| it.foreign_key.snake == own.name.snake);
    if let Some(relation) = declared {
        if relation.target != *target {
            problems.push(
                wrong(format!(
                    "`{}` points to `{target}`, and the relationship `{}` to `{}`",
                    own.name.snake, relation.name.snake, relation.target
                ))
                .help("make them agree, or remove `foreign_key` here"),
            );
        }
        return;
    }
    // A relationship on this column that could not be resolved has been reported.
    let attempted = draft.definition.relations.iter().any(|it| {
        it.kind.value == RelationType::BelongsTo
            && it
                .foreign_key
                .as_ref()
                .map_or(format!("{}_id", it.name.value), |it| it.value.clone())
                == own.name.snake
    });
    if attempted {
        return;
    }
    let stem = own
        .name
        .snake
        .strip_suffix("_id")
        .unwrap_or(&own.name.snake);
    let name = Name::new(stem);
    let taken = draft
        .definition
        .relations
        .iter()
        .any(|it| Name::new(it.name.value.clone()).pascal == name.pascal);
    if taken {
        problems.push(
            wrong(format!(
                "the relationship `{stem}` is not the one of this foreign key"
            ))
            .help(format!(
                "declare a `belongs_to` with `foreign_key: {}` and a name of its own",
                own.name.snake
            )),
        );
        return;
    }
    let relation = Relation {
        name,
        kind: RelationKind::BelongsTo,
        target: target.clone(),
        foreign_key: own.name.clone(),
        on_delete: OnDelete::Restrict,
        self_reference: *target == draft.entity.name.snake,
        sole_to_target: false,
    };
    draft.entity.relations.push(relation);
}

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
            if relation.through {
                continue;
            }
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
            };
            found.push((index, relation));
        }
    }
    for (index, relation) in found {
        drafts[index].entity.relations.push(relation);
    }
    for draft in drafts {
        order(draft);
    }
}

fn misplaced(relation: &RelationDefinition) -> Vec<(&'static str, Span)> {
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

/// The order of the file, then those that come from a field's `foreign_key`.
fn order(draft: &mut Draft<'_>) {
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
