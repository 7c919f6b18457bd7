//! How an entity's relations look in SeaORM.

use super::field::{self, capitalized, with_article};
use crate::model::{Entity, Model, OnDelete, Relation, RelationKind};

/// A variant of the `Relation` enum.
pub(super) struct RelationView {
    pub(super) docs: String,
    pub(super) attribute: String,
    pub(super) variant: String,
}

/// `impl Related<..> for Entity`.
pub(super) struct RelatedView {
    pub(super) target: String,
    pub(super) definition: String,
}

/// A `Linked` type: the way to the target where `Related` cannot say which relation is meant.
pub(super) struct LinkView {
    pub(super) docs: String,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) definition: String,
}

/// All relations of one entity.
#[derive(Default)]
pub(super) struct Relations {
    pub(super) variants: Vec<RelationView>,
    pub(super) related: Vec<RelatedView>,
    pub(super) links: Vec<LinkView>,
}

/// The relations of an entity.
pub(super) fn views(model: &Model, entity: &Entity) -> Relations {
    let mut views = Relations::default();
    for relation in &entity.relations {
        let Some(target) = model.entity(&relation.target) else {
            continue;
        };
        let variant = &relation.name.pascal;
        let target_path = path(entity, target, "Entity");
        let docs = doc(relation, target);
        let attribute = match relation.kind {
            RelationKind::BelongsTo => belongs_to(entity, relation, target),
            RelationKind::HasMany | RelationKind::HasOne => has(entity, relation, target),
        };
        let definition = match attribute {
            Some(attribute) => {
                views.variants.push(RelationView {
                    docs: docs.clone(),
                    attribute,
                    variant: variant.clone(),
                });
                format!("Relation::{variant}.def()")
            }
            None => reversed(entity, relation, target),
        };
        if is_related(relation) {
            views.related.push(RelatedView {
                target: target_path,
                definition,
            });
        } else {
            views.links.push(LinkView {
                docs: format!(
                    "From {} to its {}, for `find_linked`.",
                    with_article(&entity.name.human),
                    relation.name.human
                ),
                name: format!("{variant}Link"),
                target: target_path,
                definition,
            });
        }
    }
    views
}

/// Whether `Related` can stand for this relation.
fn is_related(relation: &Relation) -> bool {
    relation.sole_to_target && !relation.self_reference
}

fn doc(relation: &Relation, target: &Entity) -> String {
    match relation.kind {
        RelationKind::BelongsTo if relation.name.human == target.name.human => {
            format!("The {} that it belongs to.", target.name.human)
        }
        RelationKind::BelongsTo => format!(
            "The {} that it belongs to: {}.",
            relation.name.human,
            with_article(&target.name.human)
        ),
        RelationKind::HasMany => {
            format!("{} that belong to it.", capitalized(&target.plural.human))
        }
        RelationKind::HasOne => format!(
            "{} that belongs to it.",
            capitalized(&with_article(&target.name.human))
        ),
    }
}

fn belongs_to(entity: &Entity, relation: &Relation, target: &Entity) -> Option<String> {
    let from = field::variant(entity.field(&relation.foreign_key.snake)?);
    let to = field::variant(target.key()?);
    let on_delete = match relation.on_delete {
        OnDelete::Restrict => "Restrict",
        OnDelete::Cascade => "Cascade",
        OnDelete::SetNull => "SetNull",
    };
    Some(format!(
        "\n        belongs_to = \"{}\",\n        from = \"Column::{from}\",\n        to = \"{}::{to}\",\n        on_delete = \"{on_delete}\"\n    ",
        path(entity, target, "Entity"),
        path(entity, target, "Column"),
    ))
}

/// SeaORM wants `Related` on the target's side for this.
fn has(entity: &Entity, relation: &Relation, target: &Entity) -> Option<String> {
    let inverse = inverse(relation, target)?;
    if relation.self_reference || !is_related(inverse) {
        return None;
    }
    let kind = match relation.kind {
        RelationKind::HasOne => "has_one",
        _ => "has_many",
    };
    Some(format!("{kind} = \"{}\"", path(entity, target, "Entity")))
}

/// The target's own relation, read backwards.
fn reversed(entity: &Entity, relation: &Relation, target: &Entity) -> String {
    match inverse(relation, target) {
        Some(inverse) => format!(
            "{}::{}.def().rev()",
            path(entity, target, "Relation"),
            inverse.name.pascal
        ),
        None => {
            let variant =
                |field: Option<&crate::model::Field>| field.map(field::variant).unwrap_or_default();
            format!(
                "RelationDef::from({}::belongs_to(Entity).from({}::{}).to(Column::{})).rev()",
                path(entity, target, "Entity"),
                path(entity, target, "Column"),
                variant(target.field(&relation.foreign_key.snake)),
                variant(entity.key()),
            )
        }
    }
}

fn inverse<'a>(relation: &Relation, target: &'a Entity) -> Option<&'a Relation> {
    target.relations.iter().find(|it| {
        it.kind == RelationKind::BelongsTo && it.foreign_key.snake == relation.foreign_key.snake
    })
}

/// An item of the target's module, as this entity's module spells it.
fn path(entity: &Entity, target: &Entity, item: &str) -> String {
    if entity.name == target.name {
        item.to_owned()
    } else {
        format!("super::{}::{item}", target.name.ident)
    }
}
