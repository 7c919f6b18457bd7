//! What the database deletes together with a row, and the custom fields that it would leave behind.

use super::Slice;
use super::fields;
use super::scope::{self, Parameters};
use crate::model::{Entity, Model, OnDelete, Relation, RelationKind};
use crate::render::imports::Imports;

/// How a use case removes the custom fields of rows that go with the one that it deletes.
pub(super) struct CascadeView {
    /// Where the row is read.
    pub(super) repository: String,
    /// What the steps take behind the transaction.
    pub(super) lent: Parameters,
    pub(super) steps: Vec<String>,
}

/// Relations by which rows with custom fields refer to a row that is deleted, the nearest to it first.
type Chain<'a> = Vec<(&'a Entity, &'a Relation)>;

/// Whether rows of some entity take rows with custom fields with them.
pub(super) fn is_needed(model: &Model) -> bool {
    model
        .entities
        .iter()
        .any(|it| it.writes && !chains(model, it).is_empty())
}

/// `None` if no row with custom fields goes with one of this entity.
pub(super) fn view(slice: Slice<'_>, imports: &mut Imports) -> Option<CascadeView> {
    let chains = chains(slice.model, slice.entity);
    if chains.is_empty() {
        return None;
    }
    for path in [
        "sea_orm::ColumnTrait",
        "sea_orm::EntityTrait",
        "sea_orm::QueryFilter",
        "sea_orm::QuerySelect",
        "sea_orm::QueryTrait",
    ] {
        imports.name(path);
    }
    let steps = chains.iter().flat_map(|it| steps(slice, it, imports));
    let steps = steps.collect();
    let mut lent = Parameters::default();
    let owners = chains.iter().filter_map(|it| it.last());
    let mut places = owners.filter_map(|it| fields::place(slice.model, it.0));
    if places.any(fields::Place::is_of_tenant) {
        let tenant = imports.name("crate::generated::Tenant");
        lent.add(&format!("tenant: &{tenant}"), "tenant");
    }
    Some(CascadeView {
        lent,
        repository: slice.repository_of(slice.entity, scope::Place::Function, imports),
        steps,
    })
}

fn chains<'a>(model: &'a Model, root: &'a Entity) -> Vec<Chain<'a>> {
    let mut found = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(chain) = open.pop() {
        let end = chain.last().map_or(root, |it: &(&Entity, _)| it.0);
        for (entity, relation) in taken_along(model, end) {
            // Rows that refer to rows of their own kind: their depth is not known here.
            if entity.name == root.name || chain.iter().any(|it| it.0.name == entity.name) {
                continue;
            }
            let mut longer: Chain<'_> = chain.clone();
            longer.push((entity, relation));
            if entity.custom_fields.is_some() {
                found.push(longer.clone());
            }
            open.push(longer);
        }
    }
    found
}

/// The entities whose rows the database deletes with one of these.
fn taken_along<'a>(
    model: &'a Model,
    entity: &'a Entity,
) -> impl Iterator<Item = (&'a Entity, &'a Relation)> {
    let referring = move |it: &&Relation| {
        it.kind == RelationKind::BelongsTo
            && it.on_delete == OnDelete::Cascade
            && it.target == entity.name.snake
    };
    model.entities.iter().flat_map(move |from| {
        let relations = from.relations.iter().filter(referring);
        relations.map(move |it| (from, it))
    })
}

fn steps(slice: Slice<'_>, chain: &Chain<'_>, imports: &mut Imports) -> Vec<String> {
    let mut steps = Vec::new();
    let mut condition = "eq(id)".to_owned();
    for (entity, relation) in chain {
        let module = &entity.name.ident;
        let rows = slice.row_item(module, "Entity", imports);
        let key = slice.key_column(entity, imports);
        let column = slice.reference_column(module, &relation.foreign_key, imports);
        let found = &entity.plural.ident;
        steps.push(format!(
            "let {found} = {rows}::find().select_only().column({key}).filter({column}.{condition});"
        ));
        condition = format!("in_subquery({found}.into_query())");
    }
    let last = chain.last().map(|it| Slice {
        model: slice.model,
        entity: it.0,
    });
    if let Some(last) = last
        && let Some(place) = fields::place(last.model, last.entity)
    {
        let service = place.service(imports);
        let entity_type = fields::entity_type(last, place, imports);
        let ids = format!("{}.into_query()", last.entity.plural.ident);
        steps.push(format!(
            "{service}.remove_all(tx, {entity_type}, {ids}).await?;"
        ));
    }
    steps
}
