//! Upserts, as the templates of a slice spell them.

use crate::model::{Entity, FieldOrigin, TENANT};
use crate::render::field;

/// The value of a constant that says which row an upsert is about.
pub(super) fn key(entity: &Entity, columns: &[&str]) -> String {
    let variants = |names: &mut dyn Iterator<Item = &str>| {
        let fields = names.filter_map(|it| entity.field(it));
        let variants = fields.map(|it| format!("Column::{}", field::variant(it)));
        variants.collect::<Vec<_>>().join(", ")
    };
    let tenant = entity.behaviors.tenant.then_some(TENANT);
    let live = entity.live().and_then(|it| entity.field(it));
    let live = live.map_or("None".to_owned(), |it| {
        format!("Some(Column::{})", field::variant(it))
    });
    // What was true when the row was made.
    let kept = entity.fields.iter().filter(|it| match it.origin {
        FieldOrigin::Key => true,
        FieldOrigin::Behavior => matches!(it.name.snake.as_str(), "created_at" | "created_by"),
        FieldOrigin::Declared => false,
    });
    format!(
        "UpsertKey {{ columns: &[{}], live: {live}, kept: &[{}] }}",
        variants(&mut tenant.into_iter().chain(columns.iter().copied())),
        variants(&mut kept.map(|it| it.name.snake.as_str())),
    )
}

/// Whether a slice of this entity upserts.
pub(in crate::render) fn upserts(entity: &Entity) -> bool {
    use crate::model::Family;
    let synced = |it: &Family| matches!(it, Family::Synced { .. });
    entity.upsert.is_some()
        || entity.families.iter().any(synced)
        || entity.field_values.as_ref().is_some_and(|it| !it.history)
}
