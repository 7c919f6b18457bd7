//! What MySQL and MariaDB cannot store or index.

use super::draft::Draft;
use super::field::DEFAULT_LENGTH;
use super::{Config, Database, Field, FieldType, TENANT};
use crate::definition::{Problem, Span};

/// The longest text that an index can have, in characters; longer ones are stored beside the row.
pub(crate) const MAX_INDEXED_LENGTH: u32 = MAX_INDEX_BYTES / BYTES_PER_CHARACTER;

/// InnoDB's limit.
const MAX_INDEX_BYTES: u32 = 3072;
const MAX_ROW_BYTES: u32 = 65_535;
/// In `utf8mb4`, at most.
const BYTES_PER_CHARACTER: u32 = 4;
/// A bound for numbers, times and ids, and for what leaves a pointer in the row.
const OTHER_BYTES: u32 = 40;

/// Reports what an app that supports MySQL cannot have.
pub(super) fn check(config: &Config, drafts: &[Draft<'_>], problems: &mut Vec<Problem>) {
    if !config.databases.contains(&Database::Mysql) {
        return;
    }
    for draft in drafts {
        let fields = &draft.entity.fields;
        let behaviors = draft.entity.behaviors;
        let soft_delete = behaviors.soft_delete;
        let tenant = fields
            .iter()
            .find(|it| behaviors.tenant && it.name.snake == TENANT)
            .map_or(0, bytes);
        for field in fields {
            let is_indexed = field.unique || field.index;
            if is_indexed && let Some(place) = draft.places.get(&field.name.snake) {
                let more = tenant + u32::from(field.unique && soft_delete);
                problems.extend(index(&[field], more, place));
            }
        }
        let definitions = &draft.definition.queries;
        // Otherwise some of them are wrong, and reported already.
        let added = usize::from(behaviors.external_id_tracking);
        let queries =
            Some(&draft.entity.queries).filter(|it| it.len() == definitions.len() + added);
        for (query, definition) in queries.into_iter().flatten().zip(definitions) {
            // Those of other rows have an index only where one is possible.
            if query.via.is_some() {
                continue;
            }
            let sorted = query.order.iter().map(|it| &it.0).filter(|_| !query.unique);
            let columns = query.by.iter().chain(sorted);
            let columns: Vec<&Field> = columns
                .filter_map(|name| fields.iter().find(|it| it.name.snake == *name))
                .collect();
            let more = tenant + u32::from(query.unique && soft_delete);
            problems.extend(index(&columns, more, &definition.span));
        }
        let row = fields.iter().map(bytes_in_row).fold(0, u32::saturating_add);
        if row > MAX_ROW_BYTES {
            let message = format!(
                "a row of `{}` can have {row} bytes, and MySQL takes {MAX_ROW_BYTES}",
                draft.entity.name.snake
            );
            problems.push(
                Problem::error("not-on-mysql", message, draft.place())
                    .help("give its strings a smaller `max_length`, or make some of them `text`"),
            );
        }
    }
}

/// `more` bytes are for the tenant, and for the column that tells deleted rows apart.
fn index(fields: &[&Field], more: u32, place: &Span) -> Option<Problem> {
    let unbounded =
        |it: &&&Field| matches!(it.ty, FieldType::Text | FieldType::Json | FieldType::Bytes);
    if let Some(field) = fields.iter().find(unbounded) {
        let message = format!(
            "MySQL cannot index `{}`, whose length has no bound",
            field.name.snake
        );
        return Some(
            Problem::error("not-on-mysql", message, place.clone()).help(format!(
                "make it a `string` with a `max_length` of at most {MAX_INDEXED_LENGTH}, or take `mysql` out of `databases`"
            )),
        );
    }
    let lengths = fields.iter().map(|it| bytes(it));
    let bytes = lengths.fold(more, u32::saturating_add);
    if bytes <= MAX_INDEX_BYTES {
        return None;
    }
    let message =
        format!("an index of {bytes} bytes is too long for MySQL, which takes {MAX_INDEX_BYTES}");
    let of_tenant = if more > 1 {
        format!(", of which `{TENANT}` takes {DEFAULT_LENGTH}")
    } else {
        String::new()
    };
    Some(
        Problem::error("not-on-mysql", message, place.clone()).help(format!(
            "lower `max_length`: a character takes {BYTES_PER_CHARACTER} bytes, so {MAX_INDEXED_LENGTH} in all{of_tenant}"
        )),
    )
}

fn bytes_in_row(field: &Field) -> u32 {
    match field.ty {
        FieldType::String if length(field) > MAX_INDEXED_LENGTH => OTHER_BYTES,
        _ => bytes(field),
    }
}

fn bytes(field: &Field) -> u32 {
    match &field.ty {
        FieldType::String => length(field).saturating_mul(BYTES_PER_CHARACTER),
        FieldType::Enum { choices, .. } => {
            let longest = choices.iter().map(|it| it.snake.len()).max().unwrap_or(0);
            let longest = u32::try_from(longest).unwrap_or(u32::MAX);
            longest.max(32).saturating_mul(BYTES_PER_CHARACTER)
        }
        FieldType::Uuid => 16,
        FieldType::Integer => 4,
        FieldType::BigInt | FieldType::DateTime | FieldType::Float => 8,
        FieldType::Boolean => 1,
        _ => OTHER_BYTES,
    }
}

fn length(field: &Field) -> u32 {
    field.constraints.max_length.unwrap_or(DEFAULT_LENGTH)
}
