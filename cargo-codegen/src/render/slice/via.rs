//! Finders that look for rows by what they are related to.

use super::Slice;
use super::scope::Place;
use crate::model::{Entity, Field, FieldOrigin, Name, Onward, RelationKind, Through, Via};
use crate::render::field;
use crate::render::imports::Imports;

impl Slice<'_> {
    /// Path of an entity's module in the entity crate.
    pub(super) fn module_of(self, entity: &Entity) -> String {
        let package = self.model.config.entity_crate.ident();
        format!("{package}::{}", entity.name.ident)
    }

    /// These columns of a join table that no definition describes, as fields.
    pub(super) fn join_fields(self, table: &str, columns: &[String]) -> Vec<Field> {
        let join = self.model.joins.iter().find(|it| it.name.snake == table);
        let ends = join.map_or(&[][..], |it| &it.ends);
        columns
            .iter()
            .filter_map(|column| {
                let end = ends.iter().find(|it| it.column.snake == *column)?;
                let mut field = self.model.entity(&end.entity)?.key()?.clone();
                field.name = end.column.clone();
                field.origin = FieldOrigin::Declared;
                Some(field)
            })
            .collect()
    }
}

/// The queries of related rows, and the call that leaves out the rows that are related to none of them.
pub(super) fn lookup(
    slice: Slice<'_>,
    via: &Via,
    fields: &[Field],
    imports: &mut Imports,
) -> (Vec<String>, String) {
    let relation = &via.relation;
    let Some(target) = slice.model.entity(&relation.target) else {
        return (Vec::new(), String::new());
    };
    let own_key = slice
        .entity
        .key()
        .map_or_else(|| "Id".to_owned(), field::variant);
    let condition = |module: &str, imports: &mut Imports| -> String {
        fields
            .iter()
            .map(|it| {
                let column = slice.reference_column(module, &it.name, imports);
                format!(".filter({column}.eq({}))", it.name.ident)
            })
            .collect()
    };
    let Some(through) = &relation.through else {
        let (own, theirs) = match relation.kind {
            RelationKind::BelongsTo => {
                let own = slice.entity.field(&relation.foreign_key.snake);
                let own = own.map(field::variant).unwrap_or_default();
                (own, slice.key_column(target, imports))
            }
            _ => {
                let theirs =
                    slice.reference_column(&target.name.ident, &relation.foreign_key, imports);
                (own_key, theirs)
            }
        };
        let repository = slice.repository_of(target, Place::Repository, imports);
        let rows = condition(&target.name.ident, imports);
        let related =
            format!("let related = {repository}.select().select_only().column({theirs}){rows};");
        let filter = format!(".filter(Column::{own}.in_subquery(related.into_query()))");
        return (vec![related], filter);
    };
    let module = &through.module.ident;
    let here = slice.reference_column(module, &through.here.column, imports);
    let between = slice.between(through, Place::Repository, imports);
    let mut lines = Vec::new();
    let rows = if via.between {
        condition(module, imports)
    } else {
        let (own, theirs) = onward(slice, target, through, imports);
        let repository = slice.repository_of(target, Place::Repository, imports);
        let rows = condition(&target.name.ident, imports);
        lines.push(format!(
            "let related = {repository}.select().select_only().column({theirs}){rows};"
        ));
        format!(".filter({own}.in_subquery(related.into_query()))")
    };
    lines.push(format!(
        "let linked = {between}.select_only().column({here}){rows};"
    ));
    let filter = format!(".filter(Column::{own_key}.in_subquery(linked.into_query()))");
    (lines, filter)
}

/// The columns of the table between and of the target that have the same values.
fn onward(
    slice: Slice<'_>,
    target: &Entity,
    through: &Through,
    imports: &mut Imports,
) -> (String, String) {
    let module = &through.module.ident;
    match &through.onward {
        Onward::Refers(it) => (
            slice.reference_column(module, &it.column, imports),
            slice.key_column(target, imports),
        ),
        Onward::Referred(it) => (
            slice.reference_column(module, &Name::new("id"), imports),
            slice.reference_column(&target.name.ident, &it.column, imports),
        ),
    }
}
