//! Foreign keys: `belongs_to`, and the columns that it adds.

use super::draft::{Draft, list};
use super::name;
use super::reference::reference_of;
use super::{Constraints, Field, FieldOrigin, FieldType, Name, OnDelete, Relation, RelationKind};
use crate::definition::{
    Definitions, OnDeleteWord, Problem, RelationDefinition, RelationType, Spanned, nearest, shorten,
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
            if relation.kind.value == RelationType::BelongsTo {
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
pub(crate) struct Known<'d> {
    /// Entity, table, type of the key.
    pub(crate) entities: Vec<(String, String, FieldType)>,
    pub(crate) definitions: &'d Definitions,
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
        None if name::is_snake_case(&target.value) => {
            let dir = definitions.config.entities_dir.as_ref();
            let dir = dir.map_or("entities", |it| it.value.as_str());
            problem.help(format!(
                "define it in `{dir}/{}.yaml`; defined so far: {}",
                target.value,
                list(known)
            ))
        }
        None => problem.help(format!("defined so far: {}", list(known))),
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
        let name = match name::check_column(&column) {
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
            previously: None,
            backfill: None,
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
        through: None,
        name,
    });
}

/// A relation's name, unless it is illegal or taken.
pub(crate) fn relation_name(
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
