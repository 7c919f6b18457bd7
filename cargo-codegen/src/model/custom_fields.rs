//! Custom fields: entities that have some, the entity of their values, and the entity of their definitions.

use super::draft::Draft;
use super::field_definition::{self, ENTITY_TYPE};
use super::need::{Asker, Need, is_json, is_moment, is_uuid};
use super::relation::unknown_entity;
use super::{Field, FieldOrigin, FieldType, FieldValues, RelationKind, TENANT};
use crate::definition::{Definitions, EntityDefinition, Problem, Span};

/// Resolves `eav`, `eav_value_table` and `eav_definition_table`.
pub(crate) fn resolve(
    drafts: &mut [Draft<'_>],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) {
    let mut values: Option<(usize, &Span)> = None;
    for index in 0..drafts.len() {
        let definition = drafts[index].definition;
        let Some(place) = &definition.eav_value_table else {
            if let Some(table) = &definition.eav_definition_table {
                problems.push(
                    Problem::error(
                        "contradiction",
                        "`eav_definition_table` is for an entity with `eav_value_table: true`",
                        table.span.clone(),
                    )
                    .help("remove it; an entity that has custom fields says `eav: true`"),
                );
            }
            continue;
        };
        if let Some((_, first)) = values {
            problems.push(
                Problem::error(
                    "collision",
                    "two entities hold the values of custom fields",
                    place.clone(),
                )
                .also(first.clone(), "the other one")
                .help("remove `eav_value_table` from one of the two"),
            );
            continue;
        }
        values = Some((index, place));
        let found = value_table(drafts, index, definition, place, definitions, problems);
        drafts[index].entity.field_values = found;
    }
    let values = values.map(|it| it.0);
    check_tenants(drafts, problems);
    for index in 0..drafts.len() {
        if let Some(place) = &drafts[index].definition.eav {
            let found = owner(drafts, index, values, place, problems);
            drafts[index].entity.custom_fields = found;
        }
    }
}

fn value_table(
    drafts: &[Draft<'_>],
    index: usize,
    definition: &EntityDefinition,
    place: &Span,
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) -> Option<FieldValues> {
    let draft = &drafts[index];
    let Some(table) = &definition.eav_definition_table else {
        problems.push(
            Problem::error(
                "missing-key",
                "a value table needs the entity that defines the fields",
                place.clone(),
            )
            .help("add `eav_definition_table: field_definition`"),
        );
        return None;
    };
    let defining = drafts.iter().find(|it| it.entity.name.snake == table.value);
    let Some(defining) = defining else {
        let names: Vec<&str> = drafts
            .iter()
            .map(|it| it.entity.name.snake.as_str())
            .collect();
        problems.extend(unknown_entity(table, &names, definitions));
        return None;
    };
    let asker = Asker {
        who: "a value table of custom fields",
        place,
    };
    let mut needs = |need| asker.needs(draft, need, problems).is_some();
    let found = [
        needs(ENTITY_TYPE),
        needs(Need {
            column: "entity_id",
            what: "a `uuid`, or what else keys are",
            is: |it| {
                matches!(
                    it,
                    FieldType::Uuid | FieldType::Integer | FieldType::BigInt | FieldType::String
                )
            },
            add: "`entity_id: { type: uuid, required: true }` to `fields`",
        }),
        needs(Need {
            column: "value",
            what: "`json`",
            is: is_json,
            add: "`value: { type: json, nullable: true }` to `fields`",
        }),
    ];
    let pointer =
        draft.entity.relations.iter().find(|it| {
            it.kind == RelationKind::BelongsTo && it.target == defining.entity.name.snake
        });
    let name = &defining.entity.name.snake;
    if pointer.is_none() {
        let message = format!("the values of custom fields do not point to their `{name}`");
        problems.push(
            Problem::error("missing-column", message, place.clone())
                .also(table.span.clone(), "which is named here")
                .help(format!(
                    "add `{name}: {{ type: belongs_to, target: {name}, required: true }}` to `relationships`"
                )),
        );
    }
    refuse_queries(
        draft,
        &["checked", "fields_of", "of_row", "remove", "store"],
        place,
        problems,
    );
    let history = history(draft, asker, problems)?;
    refuse_behaviors(draft, place, problems);
    let defined = field_definition::check(defining, &table.span, problems);
    let of_users = users(draft, defining, place, problems);
    let pointer = pointer?.foreign_key.snake.clone();
    for field in &draft.entity.fields {
        let filled = [
            "entity_type",
            "entity_id",
            "value",
            "user_id",
            "valid_from",
            "valid_to",
        ];
        let name = field.name.snake.as_str();
        if field.required && !filled.contains(&name) && name != pointer {
            problems.push(cannot_fill(draft, field, place));
        }
    }
    if !(defined && found.iter().all(|it| *it)) {
        return None;
    }
    Some(FieldValues {
        definition: name.clone(),
        key: key(draft, &pointer),
        definition_id: pointer,
        history,
        of_users,
    })
}

/// Whether former values are kept; `None` if only one of the two columns is there, which is reported.
fn history(draft: &Draft<'_>, asker: Asker<'_>, problems: &mut Vec<Problem>) -> Option<bool> {
    let entity = &draft.entity;
    if entity.field("valid_from").is_none() && entity.field("valid_to").is_none() {
        return Some(false);
    }
    let moment = |column, add| Need {
        column,
        what: "a `datetime`",
        is: is_moment,
        add,
    };
    let from = moment(
        "valid_from",
        "`valid_from: { type: datetime, nullable: true }` to `fields`",
    );
    let to = moment(
        "valid_to",
        "`valid_to: { type: datetime, nullable: true }` to `fields`",
    );
    asker.needs(draft, from, problems)?;
    let to = asker.needs(draft, to, problems)?;
    if !to.nullable
        && let Some(place) = draft.places.get("valid_to")
    {
        problems.push(
            Problem::error(
                "contradiction",
                "`valid_to` must be nullable: it is NULL in current values",
                place.clone(),
            )
            .help("write `nullable: true`"),
        );
    }
    Some(true)
}

/// Methods and routes that come with custom fields are no names of queries.
fn refuse_queries(draft: &Draft<'_>, names: &[&str], place: &Span, problems: &mut Vec<Problem>) {
    for query in &draft.definition.named_queries {
        if names.contains(&query.name.value.as_str()) {
            let message = format!("a query cannot be called `{}`", query.name.value);
            problems.push(
                Problem::error("reserved-name", message, query.name.span.clone())
                    .label("is what a generated function is called")
                    .also(place.clone(), "because of this")
                    .help("choose another name, such as `search`"),
            );
        }
    }
}

/// A value is current, former or gone; a second way to be gone would leave it open which.
fn refuse_behaviors(draft: &Draft<'_>, place: &Span, problems: &mut Vec<Problem>) {
    if draft.entity.behaviors.optimistic_lock {
        problems.push(
            Problem::error(
                "not-supported",
                "the values of custom fields are changed without a look at their `version`",
                place.clone(),
            )
            .help("remove `optimistic_lock` from `behaviors`"),
        );
    }
    if draft.entity.behaviors.soft_delete
        && let Some(place) = draft.places.get("deleted_at")
    {
        problems.push(
            Problem::error(
                "contradiction",
                "values of custom fields are not deleted softly",
                place.clone(),
            )
            .help("remove `soft_delete`; with `valid_from` and `valid_to`, former values are kept"),
        );
    }
}

/// Reports what belongs to no tenant beside what does: one tenant would see what another defines.
fn check_tenants(drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    let mut tables = drafts.iter().map(|it| &it.definition.eav_definition_table);
    let defining = tables.find_map(|it| it.as_ref().map(|it| &it.value));
    let (kept, shared): (Vec<_>, Vec<_>) = drafts
        .iter()
        .filter(|it| {
            it.definition.eav.is_some()
                || it.definition.eav_value_table.is_some()
                || Some(&it.entity.name.snake) == defining
        })
        .partition(|it| it.entity.behaviors.tenant);
    let Some(kept) = kept.first() else { return };
    let place = kept.places.get(TENANT).cloned();
    for draft in shared {
        let (name, other) = (&draft.entity.name.snake, &kept.entity.name.snake);
        let message = format!(
            "`{name}` belongs to no tenant, and `{other}` does: custom fields are kept apart by tenant in all their entities or in none"
        );
        let mut problem = Problem::error("across-tenants", message, draft.place());
        if let Some(place) = &place {
            problem = problem.also(place.clone(), "this one is kept apart");
        }
        problems.push(problem.help(format!(
            "add `tenant` to the `behaviors` of `{name}`, or remove it from those of `{other}`"
        )));
    }
}

/// What tells the current values of a row apart: a unique query of the definition, or all three columns.
fn key(draft: &Draft<'_>, pointer: &str) -> Vec<String> {
    let parts = ["entity_type", "entity_id", pointer];
    let declared = draft.entity.queries.iter().find(|it| {
        let has = |name: &str| it.by.iter().any(|by| by == name);
        it.unique
            && has("entity_id")
            && has(pointer)
            && it.by.iter().all(|by| parts.contains(&by.as_str()))
    });
    declared.map_or_else(|| parts.map(str::to_owned).into(), |it| it.by.clone())
}

/// Whether fields belong to users: a user's id is then needed in both tables.
fn users(
    draft: &Draft<'_>,
    defining: &Draft<'_>,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> bool {
    let need = Need {
        column: "user_id",
        what: "a `uuid`",
        is: is_uuid,
        add: "`user_id: { type: uuid, required: true }` to its `fields`, or remove it from the other table",
    };
    let asker = Asker {
        who: "a table of custom fields of users",
        place,
    };
    let has = |draft: &Draft<'_>| draft.entity.field("user_id").is_some();
    (has(draft) || has(defining))
        && asker.needs(draft, need, problems).is_some()
        && asker.needs(defining, need, problems).is_some()
}

fn cannot_fill(draft: &Draft<'_>, field: &Field, place: &Span) -> Problem {
    let name = &field.name.snake;
    let message = format!("`{name}` is required, and custom fields have nothing to fill it with");
    let own = draft.places.get(name).unwrap_or(place);
    Problem::error("wrong-column", message, own.clone())
        .also(place.clone(), "because of this")
        .help("make it nullable, or give it a default")
}

/// The entity with the values of this one's custom fields.
fn owner(
    drafts: &[Draft<'_>],
    index: usize,
    values: Option<usize>,
    place: &Span,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let draft = &drafts[index];
    let name = &draft.entity.name.snake;
    let Some(values) = values.map(|it| &drafts[it]) else {
        problems.push(
            Problem::error(
                "missing-entity",
                format!("`{name}` has custom fields, and no entity holds their values"),
                place.clone(),
            )
            .help("define `field_value` with `eav_value_table: true` and `eav_definition_table: field_definition`"),
        );
        return None;
    };
    // What is wrong with it was reported.
    let found = values.entity.field_values.as_ref()?;
    let key = draft.entity.key()?;
    if let Some(id) = values.entity.field("entity_id")
        && id.ty != key.ty
    {
        let message = format!(
            "the key of `{name}` is of another type than `entity_id` of `{}`",
            values.entity.name.snake
        );
        let mut problem = Problem::error("wrong-column", message, place.clone());
        if let Some(place) = values.places.get("entity_id") {
            problem = problem.also(place.clone(), "`entity_id`");
        }
        problems.push(problem.help("all entities that have custom fields have keys of one type"));
    }
    if let Some(place) = draft.places.get("fields") {
        problems.push(
            Problem::error(
                "collision",
                "custom fields come as `fields`, and there is a field of that name",
                place.clone(),
            )
            .help("rename the field"),
        );
    }
    let names = [
        "get_with_fields",
        "list_with_fields",
        "show_with_fields",
        "with_fields",
    ];
    refuse_queries(draft, &names, place, problems);
    let defining = drafts
        .iter()
        .find(|it| it.entity.name.snake == found.definition);
    for table in [Some(values), defining].into_iter().flatten() {
        if let Some(Field {
            ty: FieldType::Enum { choices, .. },
            origin: FieldOrigin::Declared,
            ..
        }) = table.entity.field("entity_type")
            && !choices.iter().any(|it| it.snake == *name)
            && let Some(choices) = table.places.get("entity_type")
        {
            let message = format!(
                "`entity_type` of `{}` has no choice `{name}`",
                table.entity.name.snake
            );
            problems.push(
                Problem::error("missing-choice", message, place.clone())
                    .also(choices.clone(), "add it here")
                    .help(format!("add `{name}` to its `choices`")),
            );
        }
    }
    Some(values.entity.name.snake.clone())
}
