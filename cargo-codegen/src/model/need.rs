//! Columns that something generated cannot do without.

use super::draft::Draft;
use super::{Field, FieldType};
use crate::definition::{Problem, Span};

/// Who needs a column, and where that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// Such as "the family `Activity`".
    pub(super) who: &'a str,
    /// Where it is asked for.
    pub(super) place: &'a Span,
}

/// A column and what it must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need<'a> {
    pub(super) column: &'a str,
    /// Such as "a `datetime`".
    pub(super) what: &'a str,
    pub(super) is: fn(&FieldType) -> bool,
    /// How it is added, such as "`occurred_at: { type: datetime, required: true }` to `fields`".
    pub(super) add: &'a str,
}

impl Asker<'_> {
    /// The column, if the entity has it and it is of the right type; otherwise that is reported.
    pub(super) fn needs<'d>(
        &self,
        draft: &'d Draft<'_>,
        need: Need<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<&'d Field> {
        let entity = &draft.entity;
        if entity.field(need.column).is_none() {
            // A field that could not be resolved was reported.
            if !draft.uncertain.contains(need.column) {
                let message = format!(
                    "{} needs the column `{}`, which `{}` lacks",
                    self.who, need.column, entity.name.snake
                );
                problems.push(
                    Problem::error("missing-column", message, self.place.clone())
                        .help(format!("add {}", need.add)),
                );
            }
            return None;
        }
        self.takes(draft, need, problems)
    }

    /// The column, if the entity has it; one of another type is reported.
    pub(super) fn takes<'d>(
        &self,
        draft: &'d Draft<'_>,
        need: Need<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<&'d Field> {
        let field = draft.entity.field(need.column)?;
        if (need.is)(&field.ty) {
            return Some(field);
        }
        let message = format!("`{}` must be {} for {}", need.column, need.what, self.who);
        let place = draft.places.get(need.column).unwrap_or(self.place);
        problems.push(
            Problem::error("wrong-column", message, place.clone())
                .also(self.place.clone(), "because of this"),
        );
        None
    }
}

/// Text of bounded length, which an index can have.
pub(super) fn is_word(ty: &FieldType) -> bool {
    matches!(ty, FieldType::String | FieldType::Enum { .. })
}

pub(super) fn is_uuid(ty: &FieldType) -> bool {
    *ty == FieldType::Uuid
}

pub(super) fn is_moment(ty: &FieldType) -> bool {
    *ty == FieldType::DateTime
}

pub(super) fn is_json(ty: &FieldType) -> bool {
    *ty == FieldType::Json
}
