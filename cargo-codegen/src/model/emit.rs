//! `emits`: which events the generated use cases publish, and from which columns.

use super::draft::Draft;
use super::event_draft::EventDraft;
use super::{Emission, EmitOn, Entity, Field, FieldOrigin, FieldType, PayloadField, PayloadType};
use crate::definition::{
    Definitions, DirectionWord, PayloadDefinition, Problem, Span, Spanned, nearest, shorten,
};

/// Resolves the `emits` of an entity. A payload field that a behavior's nullable column fills becomes nullable.
pub(crate) fn resolve(
    draft: &mut Draft<'_>,
    events: &mut [EventDraft<'_>],
    definitions: &Definitions,
    problems: &mut Vec<Problem>,
) {
    let mut emits: Vec<Emission> = Vec::new();
    for (index, name) in draft.definition.emits.iter().enumerate() {
        let earlier = draft.definition.emits[..index]
            .iter()
            .find(|it| it.value == name.value);
        if let Some(first) = earlier {
            problems.push(
                Problem::error(
                    "duplicate",
                    format!("`{}` is listed twice", shorten(&name.value)),
                    name.span.clone(),
                )
                .also(first.span.clone(), "first listed here"),
            );
            continue;
        }
        let Some(event) = events
            .iter_mut()
            .find(|it| it.event.name.snake == name.value)
        else {
            problems.extend(unknown_event(draft, name, events, definitions));
            continue;
        };
        if let Some(problem) = not_ours(&draft.entity, name, event) {
            problems.push(problem);
            continue;
        }
        let on = trigger(&draft.entity, &name.value);
        let mapping = match on {
            // The user's code publishes it; the conversion is a convenience, if the row has everything.
            EmitOn::Manual => {
                let mut gaps = Vec::new();
                let mapping = mapping(draft, name, event, false, &mut gaps);
                if gaps.is_empty() { mapping } else { Vec::new() }
            }
            _ => mapping(draft, name, event, true, problems),
        };
        emits.push(Emission {
            event: name.value.clone(),
            on,
            mapping,
        });
    }
    draft.entity.emits = emits;
}

fn trigger(entity: &Entity, event: &str) -> EmitOn {
    if !entity.writes {
        return EmitOn::Manual;
    }
    match event.strip_prefix(entity.name.snake.as_str()) {
        Some("_created") => EmitOn::Create,
        Some("_updated") => EmitOn::Update,
        Some("_deleted") => EmitOn::Delete,
        Some("_restored") if entity.behaviors.soft_delete => EmitOn::Restore,
        Some("_purged") if entity.behaviors.soft_delete => EmitOn::Purge,
        _ => EmitOn::Manual,
    }
}

fn unknown_event(
    draft: &Draft<'_>,
    name: &Spanned<String>,
    events: &[EventDraft<'_>],
    definitions: &Definitions,
) -> Option<Problem> {
    let written = definitions
        .events
        .iter()
        .any(|it| it.name.value == name.value);
    if written || definitions.unreadable.contains(&name.value) {
        return None;
    }
    let known: Vec<&str> = events
        .iter()
        .map(|it| it.event.name.snake.as_str())
        .collect();
    let message = format!("there is no event `{}`", shorten(&name.value));
    let problem = Problem::error("unknown-event", message, name.span.clone());
    Some(match nearest(&name.value, &known) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem.help(format!(
            "define it in the events directory, with `direction: change` and `aggregate: {}`, or in `events:` of this file",
            draft.entity.name.snake
        )),
    })
}

fn not_ours(entity: &Entity, name: &Spanned<String>, event: &EventDraft<'_>) -> Option<Problem> {
    let definition = event.definition;
    let wrong = |message: String, place: &Span| {
        Problem::error("wrong-event", message, name.span.clone())
            .also(place.clone(), "because of this")
    };
    if let Some(place) = &definition.audit {
        let message = format!("`{}` is an audit event, which no entity emits", name.value);
        return Some(wrong(message, place).help("make it a `change` event, or remove it here"));
    }
    if let Some(direction) = &definition.direction
        && direction.value != DirectionWord::Change
    {
        let message = format!(
            "`{}` is `{}`; an entity emits only `change` events",
            name.value,
            direction.value.word()
        );
        return Some(
            wrong(message, &direction.span).help("make it a `change` event, or remove it here"),
        );
    }
    match (&event.event.aggregate, &definition.aggregate) {
        (Some(aggregate), place) if *aggregate != entity.name.snake => {
            let message = format!(
                "`{}` is an event of `{aggregate}`, not of `{}`",
                name.value, entity.name.snake
            );
            let place = place.as_ref().map_or(&definition.name.span, |it| &it.span);
            Some(wrong(message, place).help(format!("list it in `emits` of `{aggregate}`")))
        }
        _ => None,
    }
}

/// Every payload field and the column that fills it. With `follow`, a payload field becomes nullable where a
/// behavior's column is.
fn mapping(
    draft: &Draft<'_>,
    name: &Spanned<String>,
    event: &mut EventDraft<'_>,
    follow: bool,
    problems: &mut Vec<Problem>,
) -> Vec<(String, String)> {
    let mut mapping = Vec::new();
    for payload in &mut event.event.payload {
        let written = event
            .definition
            .payload
            .iter()
            .find(|it| it.name.value == payload.name.snake);
        let Some(written) = written else { continue };
        match column(draft, payload, written, name) {
            Ok(Some((column, problem))) => {
                mapping.push((payload.name.snake.clone(), column));
                if let Some(problem) = problem {
                    payload.nullable |= follow;
                    problems.push(problem);
                }
            }
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    mapping
}

/// The column that fills a payload field, with a warning if the payload field has to become nullable.
fn column(
    draft: &Draft<'_>,
    payload: &PayloadField,
    written: &PayloadDefinition,
    name: &Spanned<String>,
) -> Result<Option<(String, Option<Problem>)>, Problem> {
    let entity = &draft.entity;
    let own_id = payload.name.snake == format!("{}_id", entity.name.snake);
    let field = match entity.field(&payload.name.snake) {
        Some(field) => Some(field),
        None if own_id => entity.key(),
        None => None,
    };
    let Some(field) = field else {
        if draft.uncertain.contains(&payload.name.snake) {
            return Ok(None);
        }
        let known: Vec<&str> = entity
            .fields
            .iter()
            .map(|it| it.name.snake.as_str())
            .collect();
        let message = format!(
            "`{}` of `{}` is no field of `{}`",
            payload.name.snake, name.value, entity.name.snake
        );
        let problem = Problem::error("unmapped-payload", message, written.name.span.clone()).also(
            name.span.clone(),
            "emitted here, with its payload taken from the row",
        );
        return Err(match nearest(&payload.name.snake, &known) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem.help("name a field of the entity; or leave the event out of `emits` and publish it in your own code"),
        });
    };
    if !fits(&field.ty, &payload.ty) || field.constraints.json.is_some() {
        let place = written
            .kind
            .as_ref()
            .map_or(&written.name.span, |it| &it.span);
        let message = format!(
            "`{}` of `{}` cannot be filled from `{}.{}`: their types differ",
            payload.name.snake, name.value, entity.name.snake, field.name.snake
        );
        let mut problem = Problem::error("unmapped-payload", message, place.clone());
        if let Some(place) = draft.places.get(&field.name.snake) {
            problem = problem.also(place.clone(), "the field");
        }
        return Err(
            match natural(&field.ty).filter(|_| field.constraints.json.is_none()) {
                Some(word) => problem.label(format!("write `{word}`")),
                None => problem.help("leave it out of the payload: no payload type can carry it"),
            },
        );
    }
    if field.nullable && !payload.nullable {
        return nullable(draft, payload, written, field, name).map(Some);
    }
    Ok(Some((field.name.snake.clone(), None)))
}

fn nullable(
    draft: &Draft<'_>,
    payload: &PayloadField,
    written: &PayloadDefinition,
    field: &Field,
    name: &Spanned<String>,
) -> Result<(String, Option<Problem>), Problem> {
    let message = format!(
        "`{}` of `{}` may be null, because `{}.{}` may be",
        payload.name.snake, name.value, draft.entity.name.snake, field.name.snake
    );
    let place = written.name.span.clone();
    if field.origin == FieldOrigin::Behavior {
        // The user cannot make such a column required, so the event follows.
        let problem = Problem::warning("nullable-payload", message, place)
            .label("is generated as nullable")
            .help("write `nullable: true`");
        return Ok((field.name.snake.clone(), Some(problem)));
    }
    let mut problem = Problem::error("nullable-payload", message, place);
    if let Some(place) = draft.places.get(&field.name.snake) {
        problem = problem.also(place.clone(), "the field");
    }
    Err(problem.help("write `nullable: true` in the payload, or make the field `required`"))
}

/// Whether a column's value can become a payload's value without loss.
fn fits(field: &FieldType, payload: &PayloadType) -> bool {
    matches!(
        (field, payload),
        (FieldType::Uuid, PayloadType::Uuid)
            | (
                FieldType::String
                    | FieldType::Text
                    | FieldType::Enum { .. }
                    | FieldType::Uuid
                    | FieldType::Decimal { .. },
                PayloadType::String
            )
            | (FieldType::Integer | FieldType::BigInt, PayloadType::Integer)
            | (FieldType::Integer | FieldType::Float, PayloadType::Number)
            | (
                FieldType::Decimal { .. } | FieldType::Integer | FieldType::BigInt,
                PayloadType::Decimal
            )
            | (FieldType::Boolean, PayloadType::Boolean)
            | (FieldType::DateTime, PayloadType::DateTime)
            | (FieldType::Date, PayloadType::Day)
            | (FieldType::Json, PayloadType::Json)
    )
}

/// The payload type for a column.
fn natural(field: &FieldType) -> Option<&'static str> {
    Some(match field {
        FieldType::Uuid => "uuid",
        FieldType::String | FieldType::Text | FieldType::Enum { .. } => "string",
        FieldType::Integer | FieldType::BigInt => "integer",
        FieldType::Decimal { .. } => "decimal",
        FieldType::Float => "number",
        FieldType::Boolean => "boolean",
        FieldType::Date => "day",
        FieldType::DateTime => "datetime",
        FieldType::Json => "json",
        FieldType::Time | FieldType::Bytes | FieldType::Vector { .. } => return None,
    })
}
