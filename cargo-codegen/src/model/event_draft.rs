//! Events: the rules of direction, tier and pool, and where each type is declared.

use super::draft::Draft;
use super::relation::unknown_entity;
use super::{
    Backoff, Direction, Event, EventTier, Name, Ordering, PayloadField, PayloadType, Retry, name,
    schedule,
};
use crate::definition::{
    BackoffWord, Definitions, DirectionWord, EventDefinition, OrderingWord, PayloadDefinition,
    PayloadKind, PayloadWord, Problem, Sources, Spanned, nearest, shorten,
};

/// An event and its definition.
#[derive(Debug)]
pub(crate) struct EventDraft<'d> {
    pub(crate) definition: &'d EventDefinition,
    pub(crate) event: Event,
}

/// File names and types of the generated events module.
const EVENT_MODULES: [&str; 6] = ["generated", "lib", "main", "mod", "registry", "types"];

/// Rust names that an event would hide in the generated modules.
const RUST_TYPES: [&str; 41] = [
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "DateTime",
    "Debug",
    "Decimal",
    "DecodeError",
    "Default",
    "Deserialize",
    "DomainEvent",
    "Drop",
    "Eq",
    "Err",
    "Event",
    "EventRecord",
    "EventRegistry",
    "EventRetry",
    "EventRoute",
    "From",
    "Hash",
    "Into",
    "Iterator",
    "Json",
    "NaiveDate",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "Result",
    "Self_",
    "Send",
    "Serialize",
    "Some",
    "String",
    "Sync",
    "Utc",
    "Uuid",
    "Value",
    "Vec",
];

/// Resolves every event, the entities' inline ones included, sorted by type.
pub(crate) fn resolve<'d>(
    drafts: &[Draft<'_>],
    definitions: &'d Definitions,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Vec<EventDraft<'d>> {
    let mut events: Vec<EventDraft<'d>> = Vec::new();
    for definition in &definitions.events {
        let event = event(definition, drafts, definitions, sources, problems);
        match events
            .iter()
            .find(|it| it.event.name.pascal == event.name.pascal)
        {
            Some(first) => {
                let message = if first.event.name.snake == event.name.snake {
                    format!("there are two events `{}`", event.name.snake)
                } else {
                    format!(
                        "the events `{}` and `{}` are both `{}` in Rust",
                        first.event.name.snake, event.name.snake, event.name.pascal
                    )
                };
                problems.push(
                    Problem::error("collision", message, definition.name.span.clone())
                        .also(first.definition.name.span.clone(), "the other one")
                        .help("rename one of the two"),
                );
            }
            None => events.push(EventDraft { definition, event }),
        }
    }
    events.sort_by(|a, b| a.event.name.snake.cmp(&b.event.name.snake));
    events
}

fn event(
    definition: &EventDefinition,
    drafts: &[Draft<'_>],
    definitions: &Definitions,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> Event {
    // A wrong name is replaced by the one that was meant, so that the rest is checked too.
    let name = match name::check_file(&definition.name, "an event", &EVENT_MODULES) {
        Ok(name) => name,
        Err(problem) => {
            problems.push(problem);
            Name::new(heck::ToSnakeCase::to_snake_case(
                definition.name.value.as_str(),
            ))
        }
    };
    if RUST_TYPES.contains(&name.pascal.as_str()) {
        let message = format!("an event cannot be called `{}`", name.snake);
        problems.push(
            Problem::error("reserved-name", message, definition.name.span.clone())
                .label(format!("`{}` means something else in Rust", name.pascal))
                .help("say what happened, such as `contact_created`"),
        );
    }
    let source = sources.get(definition.source).path.clone();
    if definition.inline_of.is_none()
        && name.snake == definition.name.value
        && source.file_stem().is_some_and(|it| it != name.snake)
    {
        problems.push(
            Problem::warning(
                "file-name",
                format!("the event `{}` stands in `{source}`", name.snake),
                definition.name.span.clone(),
            )
            .help(format!("name the file `{}.yaml`", name.snake)),
        );
    }
    let tier = if definition.audit.is_some() {
        EventTier::Audit
    } else {
        EventTier::Domain
    };
    let direction = direction(definition, problems);
    let aggregate = aggregate(definition, direction, drafts, definitions, problems);
    routing(definition, direction, problems);
    Event {
        direction,
        tier,
        ordering: ordering(definition, aggregate.is_some(), problems),
        aggregate,
        source_system: definition.source_system.as_ref().map(|it| it.value.clone()),
        destination: definition.destination.as_ref().map(|it| it.value.clone()),
        version: definition.version,
        description: definition.description.clone(),
        payload: payload(definition, problems),
        retry: definition.retry.as_ref().map(|it| Retry {
            attempts: it.value.attempts,
            backoff: match it.value.backoff {
                BackoffWord::Fixed => Backoff::Fixed,
                BackoffWord::Exponential => Backoff::Exponential,
            },
        }),
        schedule: schedule::resolve(definition, direction, problems),
        source,
        name,
    }
}

fn direction(definition: &EventDefinition, problems: &mut Vec<Problem>) -> Option<Direction> {
    if let Some(audit) = &definition.audit {
        let misplaced = [
            (
                "direction",
                definition.direction.as_ref().map(|it| &it.span),
            ),
            ("pool", definition.pool.as_ref().map(|it| &it.span)),
            (
                "source",
                definition.source_system.as_ref().map(|it| &it.span),
            ),
            (
                "destination",
                definition.destination.as_ref().map(|it| &it.span),
            ),
            ("schedule", definition.schedule.as_ref().map(|it| &it.span)),
        ];
        for (key, span) in misplaced {
            if let Some(span) = span {
                let message = format!(
                    "the audit event `{}` cannot have a `{key}`",
                    shorten(&definition.name.value)
                );
                problems.push(
                    Problem::error("audit-misuse", message, span.clone())
                        .also(audit.clone(), "because of this")
                        .help(format!("remove `{key}`, or `tier: audit` if something must happen because of it")),
                );
            }
        }
        return None;
    }
    if definition.inline_of.is_some() {
        if let Some(direction) = definition
            .direction
            .as_ref()
            .filter(|it| it.value != DirectionWord::Change)
        {
            let message = format!(
                "an event of an entity is a `change` event, not `{}`",
                direction.value.word()
            );
            problems.push(
                Problem::error("wrong-event", message, direction.span.clone())
                    .help("remove `direction`, or give the event a file of its own"),
            );
        }
        return Some(Direction::Change);
    }
    let direction = definition.direction.as_ref().map(|it| match it.value {
        DirectionWord::Inbound => Direction::Inbound,
        DirectionWord::Change => Direction::Change,
        DirectionWord::Outbound => Direction::Outbound,
    });
    if direction.is_none() && !definition.direction_given {
        let message = format!(
            "the event `{}` has no `direction`",
            shorten(&definition.name.value)
        );
        problems.push(
            Problem::error("missing-key", message, definition.name.span.clone())
                .help("add `direction: inbound`, `change` or `outbound`; or `tier: audit` if it is only observed"),
        );
    }
    direction
}

fn aggregate(
    definition: &EventDefinition,
    direction: Option<Direction>,
    drafts: &[Draft<'_>],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    if let Some(owner) = &definition.inline_of {
        if let Some(aggregate) = definition
            .aggregate
            .as_ref()
            .filter(|it| it.value != *owner)
        {
            let message = format!(
                "an event of the entity `{owner}` cannot have the aggregate `{}`",
                shorten(&aggregate.value)
            );
            problems.push(
                Problem::error("wrong-event", message, aggregate.span.clone())
                    .help("remove `aggregate`, or give the event a file of its own"),
            );
        }
        return Some(owner.clone());
    }
    let Some(aggregate) = &definition.aggregate else {
        if direction == Some(Direction::Change) {
            let message = format!(
                "the change event `{}` has no `aggregate`",
                shorten(&definition.name.value)
            );
            problems.push(
                Problem::error("missing-key", message, definition.name.span.clone())
                    .help("add `aggregate:` with the entity that changed"),
            );
        }
        return None;
    };
    let known: Vec<&str> = drafts
        .iter()
        .map(|it| it.entity.name.snake.as_str())
        .collect();
    if direction == Some(Direction::Change) && !known.contains(&aggregate.value.as_str()) {
        problems.extend(unknown_entity(aggregate, &known, definitions));
    } else if let Err(problem) = name::check(aggregate, "an aggregate") {
        problems.push(problem);
    }
    Some(aggregate.value.clone())
}

/// `source`, `destination` and `pool` follow from the direction.
fn routing(
    definition: &EventDefinition,
    direction: Option<Direction>,
    problems: &mut Vec<Problem>,
) {
    let Some(direction) = direction else { return };
    let (word, pool) = match direction {
        Direction::Inbound => ("inbound", "events_inbound"),
        Direction::Change => ("change", "events_change"),
        Direction::Outbound => ("outbound", "events_outbound"),
    };
    let mut only =
        |key: &str, value: &Option<Spanned<String>>, wanted: Direction, wanted_word: &str| {
            if let Some(value) = value.as_ref().filter(|_| direction != wanted) {
                problems.push(
                    Problem::error(
                        "wrong-event",
                        format!("only an `{wanted_word}` event has a `{key}`"),
                        value.span.clone(),
                    )
                    .help(format!("remove it, or write `direction: {wanted_word}`")),
                );
            }
        };
    only(
        "source",
        &definition.source_system,
        Direction::Inbound,
        "inbound",
    );
    only(
        "destination",
        &definition.destination,
        Direction::Outbound,
        "outbound",
    );
    if let Some(given) = definition.pool.as_ref().filter(|it| it.value != pool) {
        let pools = ["events_inbound", "events_change", "events_outbound"];
        let message = if pools.contains(&given.value.as_str()) {
            format!("the pool `{}` is not for `{word}` events", given.value)
        } else {
            format!(
                "events never go through the pool `{}`",
                shorten(&given.value)
            )
        };
        let problem = Problem::error("wrong-pool", message, given.span.clone()).help(format!(
            "remove `pool`: `{word}` events go through `{pool}`"
        ));
        problems.push(match nearest(&given.value, &pools) {
            Some(near) if near == pool => problem.label(format!("did you mean `{near}`?")),
            _ => problem,
        });
    }
}

fn ordering(
    definition: &EventDefinition,
    has_aggregate: bool,
    problems: &mut Vec<Problem>,
) -> Ordering {
    match &definition.ordering {
        Some(ordering) if ordering.value == OrderingWord::Aggregate && !has_aggregate => {
            problems.push(
                Problem::error(
                    "contradiction",
                    "there is no `aggregate` to keep in order",
                    ordering.span.clone(),
                )
                .help("add `aggregate:`, or write `ordering: none`"),
            );
            Ordering::Aggregate
        }
        Some(ordering) => match ordering.value {
            OrderingWord::None => Ordering::None,
            OrderingWord::Aggregate => Ordering::Aggregate,
        },
        None if has_aggregate => Ordering::Aggregate,
        None => Ordering::None,
    }
}

fn payload(definition: &EventDefinition, problems: &mut Vec<Problem>) -> Vec<PayloadField> {
    let mut fields: Vec<PayloadField> = Vec::new();
    for written in &definition.payload {
        let name = match name::check(&written.name, "a payload field") {
            Ok(name) => name,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        fields.extend(payload_field(name, written));
    }
    fields
}

fn payload_field(name: Name, written: &PayloadDefinition) -> Option<PayloadField> {
    let ty = match written.kind.as_ref()?.value {
        PayloadKind::One(word) => scalar(word),
        PayloadKind::Array(word) => PayloadType::Array(Box::new(scalar(word))),
    };
    Some(PayloadField {
        name,
        ty,
        nullable: written.nullable,
        description: written.description.clone(),
    })
}

fn scalar(word: PayloadWord) -> PayloadType {
    match word {
        PayloadWord::Uuid => PayloadType::Uuid,
        PayloadWord::String => PayloadType::String,
        PayloadWord::Number => PayloadType::Number,
        PayloadWord::Integer => PayloadType::Integer,
        PayloadWord::Decimal => PayloadType::Decimal,
        PayloadWord::Boolean => PayloadType::Boolean,
        PayloadWord::DateTime => PayloadType::DateTime,
        PayloadWord::Day => PayloadType::Day,
        PayloadWord::Json => PayloadType::Json,
    }
}
