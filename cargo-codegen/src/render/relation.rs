//! How an entity's relations look in SeaORM.

use super::field::{self, capitalized, with_article};
use crate::model::{Entity, Model, Name, OnDelete, Onward, Reference, Relation, RelationKind};

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
    /// The way to the table between, if there is one.
    pub(super) via: Option<String>,
}

/// A `Linked` type: the way to the target where `Related` cannot say which relation is meant.
pub(super) struct LinkView {
    pub(super) docs: String,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) definitions: Vec<String>,
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
        if let Some(through) = &relation.through {
            let way = Way {
                definition: onward(entity, target, &through.onward, &through.module),
                via: Some(reference(entity, &through.module, &through.here, true)),
            };
            views.push(entity, relation, target_path, way);
            continue;
        }
        let attribute = match relation.kind {
            RelationKind::BelongsTo => belongs_to(entity, relation, target),
            RelationKind::HasMany | RelationKind::HasOne => has(entity, relation, target),
            // It always goes through another table.
            RelationKind::ManyToMany => None,
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
        let way = Way {
            definition,
            via: None,
        };
        views.push(entity, relation, target_path, way);
    }
    views
}

/// The way from an entity to the target of a relation.
struct Way {
    definition: String,
    via: Option<String>,
}

impl Relations {
    fn push(&mut self, entity: &Entity, relation: &Relation, target: String, way: Way) {
        if is_related(relation) {
            self.related.push(RelatedView {
                target,
                definition: way.definition,
                via: way.via,
            });
        } else {
            self.links.push(LinkView {
                docs: format!(
                    "From {} to its {}, for `find_linked`.",
                    with_article(&entity.name.human),
                    relation.name.human
                ),
                name: format!("{}Link", relation.name.pascal),
                target,
                definitions: way.via.into_iter().chain([way.definition]).collect(),
            });
        }
    }
}

/// A foreign key of a table between, followed or read backwards.
fn reference(entity: &Entity, module: &Name, reference: &Reference, backwards: bool) -> String {
    let module = if entity.name == *module {
        String::new()
    } else {
        format!("super::{}::", module.ident)
    };
    let end = if backwards { ".rev()" } else { "" };
    format!("{module}Relation::{}.def(){end}", reference.relation.pascal)
}

/// From the table between to the target.
fn onward(entity: &Entity, target: &Entity, onward: &Onward, between: &Name) -> String {
    match onward {
        Onward::Refers(it) => reference(entity, between, it, false),
        Onward::Referred(it) => reference(entity, &target.name, it, true),
    }
}

/// Whether `Related` can stand for this relation.
fn is_related(relation: &Relation) -> bool {
    relation.sole_to_target && !relation.self_reference
}

/// One line about a relation.
pub(super) fn doc(relation: &Relation, target: &Entity) -> String {
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
        RelationKind::ManyToMany => {
            format!(
                "{} that it is linked to.",
                capitalized(&target.plural.human)
            )
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
