//! Families: methods that an entity has because of its pattern, and the columns that they go by.

use super::draft::Draft;
use super::need::{Asker, Need, is_moment, is_uuid, is_word};
use super::{Family, FieldType, Name, Query, RelationKind, SortOrder, query};
use crate::definition::{Behavior, EntityDefinition, Problem, RelationType, Spanned};

/// A `Synced` entity has the columns of `external_id_tracking`, whether it lists the behavior or not.
pub(crate) fn imply_behaviors(definition: &mut EntityDefinition) {
    let synced = definition.patterns.iter().find(|it| it.value == "Synced");
    let tracks = |it: &Spanned<Behavior>| it.value == Behavior::ExternalIdTracking;
    let declares = |name: &str| definition.fields.iter().any(|it| it.name.value == name);
    if let Some(synced) = synced
        && !definition.behaviors.iter().any(tracks)
        && !(declares("external_id") && declares("provider"))
    {
        let place = synced.span.clone();
        definition
            .behaviors
            .push(Spanned::new(Behavior::ExternalIdTracking, place));
    }
}

/// Resolves the families of an entity, once its columns and queries are known.
pub(crate) fn resolve(draft: &mut Draft<'_>, problems: &mut Vec<Problem>) {
    let definition = draft.definition;
    for pattern in &definition.patterns {
        let who = format!("the family `{}`", pattern.value);
        let asker = Asker {
            who: &who,
            place: &pattern.span,
        };
        let family = match pattern.value.as_str() {
            "Synced" => synced(draft, asker, problems),
            "Activity" => activity(draft, asker, problems),
            "Metadata" => metadata(draft, asker, problems),
            "Knowledge" => knowledge(draft, asker, problems),
            _ => None,
        };
        let Some(family) = family else { continue };
        let writes = matches!(family, Family::Synced { .. } | Family::Knowledge { .. });
        if writes && draft.entity.behaviors.optimistic_lock {
            let message = format!("{who} changes rows without a look at their `version`");
            problems.push(
                Problem::error("not-supported", message, pattern.span.clone())
                    .help("remove `optimistic_lock` from `behaviors`, or choose another pattern"),
            );
        }
        for method in family.methods() {
            let named = draft.entity.named_queries.iter().map(|it| &it.name);
            let mut queries = draft.entity.queries.iter().map(|it| &it.name).chain(named);
            if queries.any(|it| it.snake == method) {
                let message = format!("{who} has a method `{method}`, and so has a query");
                let problem = Problem::error("collision", message, pattern.span.clone())
                    .help("remove the query, or give it another `name`");
                let mut written = definition.named_queries.iter();
                problems.push(match written.find(|it| it.name.value == method) {
                    Some(query) => problem.also(query.name.span.clone(), "the query"),
                    None => problem,
                });
            }
        }
        draft.entity.families.push(family);
    }
}

impl Family {
    /// Names of the generated methods, in the order in which they are generated.
    pub fn methods(&self) -> Vec<String> {
        match self {
            Self::Synced { owner } => {
                let visible = owner.iter().map(|_| "list_visible_to_user");
                let names = ["list_by_external_ids"].into_iter().chain(visible);
                names.chain(["sync_upsert"]).map(str::to_owned).collect()
            }
            Self::Activity { subjects } => {
                let recent = subjects.iter().map(|it| format!("list_recent_by_{it}"));
                let range = "list_by_date_range".to_owned();
                std::iter::once(range).chain(recent).collect()
            }
            Self::Metadata { history: Some(_) } => vec!["list_history_by_entity_id".to_owned()],
            Self::Metadata { history: None } => Vec::new(),
            Self::Knowledge {
                subjects,
                embedding,
            } => {
                let pending = subjects.iter().map(|it| format!("list_pending_by_{it}"));
                let search = embedding.iter().map(|_| "search_similar".to_owned());
                let all = ["list_pending", "update_status", "update_status_many"];
                let all = all.map(str::to_owned).into_iter();
                all.chain(pending).chain(search).collect()
            }
        }
    }
}

/// Adds a finder that the family has, unless the definition has one by these columns.
fn imply(draft: &mut Draft<'_>, by: &[&str], order: &[(&str, SortOrder)]) {
    if draft.entity.queries.iter().any(|it| it.by == by) {
        return;
    }
    draft.entity.queries.push(Query {
        name: Name::new(format!("list_by_{}", by.join("_and_"))),
        by: by.iter().map(|it| (*it).to_owned()).collect(),
        via: None,
        select: Vec::new(),
        limit: None,
        unique: false,
        order: order
            .iter()
            .map(|(column, order)| ((*column).to_owned(), *order))
            .collect(),
    });
}

/// Foreign keys to other entities.
fn subjects(draft: &Draft<'_>) -> Vec<String> {
    let relations = draft.entity.relations.iter();
    relations
        .filter(|it| it.kind == RelationKind::BelongsTo && !it.self_reference)
        .map(|it| it.foreign_key.snake.clone())
        .collect()
}

/// Whether the definition has a foreign key at all; a wrong one was reported.
fn points_elsewhere(definition: &EntityDefinition) -> bool {
    let mut relations = definition.relations.iter();
    relations.any(|it| it.kind.value == RelationType::BelongsTo)
        || definition.fields.iter().any(|it| it.foreign_key.is_some())
}

fn synced(draft: &mut Draft<'_>, asker: Asker<'_>, problems: &mut Vec<Problem>) -> Option<Family> {
    let word = |column| Need {
        column,
        what: "a `string`",
        is: |it| *it == FieldType::String,
        add: "`external_id_tracking` to `behaviors`",
    };
    for column in ["external_id", "provider"] {
        asker.needs(draft, word(column), problems)?;
    }
    let entity = &draft.entity;
    let declares_key = |it: &Query| it.unique && it.by == ["provider", "external_id"];
    if !entity.behaviors.external_id_tracking && !entity.queries.iter().any(declares_key) {
        let message = format!(
            "{} needs a unique key of `provider` and `external_id`, which `{}` lacks",
            asker.who, entity.name.snake
        );
        problems.push(
            Problem::error("missing-key", message, asker.place.clone())
                .help("add the query `{ by: [provider, external_id], unique: true }`"),
        );
    }
    let by_user = entity.field("user_id").is_none() && entity.behaviors.user_tracking;
    let owner = if by_user { "created_by" } else { "user_id" };
    let add =
        "`user_id: { type: uuid, nullable: true }` to `fields`, or `user_tracking` to `behaviors`";
    let is_owned = entity.field(owner).is_some() || draft.uncertain.contains(owner);
    if is_owned {
        let need = Need {
            column: owner,
            what: "a `uuid`",
            is: is_uuid,
            add,
        };
        asker.needs(draft, need, problems)?;
    } else {
        let message = format!(
            "the rows of `{}` are of no user: `list_visible_to_user` and `list_by_user_id` are left out",
            entity.name.snake
        );
        problems.push(
            Problem::note("left-out", message, asker.place.clone())
                .help(format!("to have them, add {add}")),
        );
    }
    let by_external_id = query::by_external_id();
    if !draft
        .entity
        .queries
        .iter()
        .any(|it| it.name == by_external_id.name)
    {
        draft.entity.queries.push(by_external_id);
    }
    if is_owned && !by_user {
        imply(draft, &[owner], &[]);
    }
    Some(Family::Synced {
        owner: is_owned.then(|| owner.to_owned()),
    })
}

fn activity(
    draft: &mut Draft<'_>,
    asker: Asker<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Family> {
    let need = Need {
        column: "occurred_at",
        what: "a `datetime`",
        is: is_moment,
        add: "`occurred_at: { type: datetime, required: true }` to `fields`",
    };
    let found = asker.needs(draft, need, problems).is_some();
    let subjects = subjects(draft);
    if !points_elsewhere(draft.definition) {
        let message = format!(
            "{} happens to something, and `{}` belongs to nothing",
            asker.who, draft.entity.name.snake
        );
        problems.push(
            Problem::error("missing-column", message, asker.place.clone()).help(
                "add `opportunity: { type: belongs_to, target: opportunity }` to `relationships`, or what it happens to",
            ),
        );
    }
    if !found {
        return None;
    }
    for field in &mut draft.entity.fields {
        field.index |= field.name.snake == "occurred_at";
    }
    for subject in &subjects {
        imply(draft, &[subject], &[("occurred_at", SortOrder::Descending)]);
    }
    if draft
        .entity
        .field("user_id")
        .is_some_and(|it| is_uuid(&it.ty))
    {
        imply(
            draft,
            &["user_id"],
            &[("occurred_at", SortOrder::Descending)],
        );
    }
    Some(Family::Activity { subjects })
}

fn metadata(
    draft: &mut Draft<'_>,
    asker: Asker<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Family> {
    let entity_type = Need {
        column: "entity_type",
        what: "a `string` or an `enum`",
        is: is_word,
        add: "`entity_type: { type: enum, choices: [contact], required: true }` to `fields`",
    };
    let typed = asker.needs(draft, entity_type, problems).is_some();
    let entity = &draft.entity;
    // A definition describes a type of entity, by key; a value describes one row.
    if entity.field("entity_id").is_none() && entity.field("key").is_some() {
        if typed {
            imply(draft, &["entity_type"], &[]);
        }
        return Some(Family::Metadata { history: None });
    }
    let entity_id = Need {
        column: "entity_id",
        what: "a `uuid`, or what else keys are",
        is: |it| {
            matches!(
                it,
                FieldType::Uuid | FieldType::Integer | FieldType::BigInt | FieldType::String
            )
        },
        add: "`entity_id: { type: uuid, required: true }` to `fields`",
    };
    let identified = asker.needs(draft, entity_id, problems).is_some();
    let created = draft.entity.field("valid_from").is_none() && draft.entity.behaviors.timestamps;
    let history = if created { "created_at" } else { "valid_from" };
    let moment = Need {
        column: history,
        what: "a `datetime`",
        is: is_moment,
        add: "`valid_from: { type: datetime, nullable: true }` to `fields`, or `timestamps` to `behaviors`",
    };
    let ordered = asker.needs(draft, moment, problems).is_some();
    if !(typed && identified && ordered) {
        return None;
    }
    imply(draft, &["entity_id", "entity_type"], &[]);
    imply(draft, &["entity_id"], &[]);
    Some(Family::Metadata {
        history: Some(history.to_owned()),
    })
}

fn knowledge(
    draft: &mut Draft<'_>,
    asker: Asker<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Family> {
    let need = Need {
        column: "status",
        what: "an `enum` with the choice `pending`",
        is: |it| match it {
            FieldType::Enum { choices, .. } => choices.iter().any(|it| it.snake == "pending"),
            _ => false,
        },
        add: "`status: { type: enum, choices: [pending, approved, rejected], default: pending }` to `fields`",
    };
    asker.needs(draft, need, problems)?;
    for field in &mut draft.entity.fields {
        field.index |= field.name.snake == "status";
    }
    let vectors = draft.entity.fields.iter().filter(|it| it.ty.is_vector());
    let mut vectors = vectors.map(|it| it.name.snake.clone());
    let embedding = vectors.next();
    if let Some(second) = vectors.next() {
        let message = format!(
            "{} searches by one vector, and this is a second one",
            asker.who
        );
        let place = draft.places.get(&second).unwrap_or(asker.place);
        problems.push(
            Problem::error("not-supported", message, place.clone())
                .also(asker.place.clone(), "because of this")
                .help("keep one of the two in an entity of its own"),
        );
    }
    Some(Family::Knowledge {
        subjects: subjects(draft),
        embedding,
    })
}
