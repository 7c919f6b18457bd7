//! `foreign_key: table.column` of a field.

use super::draft::{Draft, list};
use super::relation::Known;
use super::{Name, OnDelete, Relation, RelationKind};
use crate::definition::{FieldDefinition, Problem, RelationType, Spanned, nearest, shorten};

/// Adds the relation that a field's `foreign_key` asks for, unless one for this field is declared.
pub(crate) fn reference_of(
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
                None => problem.help(format!("defined so far: {}", list(&tables))),
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
        through: None,
    };
    draft.entity.relations.push(relation);
}
