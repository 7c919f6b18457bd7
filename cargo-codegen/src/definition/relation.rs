//! `relationships.<name>`, as written.

use super::keys::RELATION;
use super::node::{Node, shorten};
use super::problem::Problem;
use super::reader::{Block, Reader};
use super::source::Spanned;

/// `type` of a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationType {
    /// This entity has the foreign key.
    BelongsTo,
    /// The target has it.
    HasMany,
    /// The target has it, and it is unique.
    HasOne,
    /// A third table refers to both.
    ManyToMany,
}

/// `on_delete` of a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDeleteWord {
    /// The deletion is refused.
    Restrict,
    /// The row goes too.
    Cascade,
    /// The foreign key becomes NULL.
    SetNull,
}

/// One relationship.
#[derive(Debug, Clone)]
pub struct RelationDefinition {
    /// Its key.
    pub name: Spanned<String>,
    /// `type`.
    pub kind: Spanned<RelationType>,
    /// `target`.
    pub target: Spanned<String>,
    /// `foreign_key`.
    pub foreign_key: Option<Spanned<String>>,
    /// `on_delete`.
    pub on_delete: Option<Spanned<OnDeleteWord>>,
    /// `required`, or the contrary of `nullable`.
    pub required: Option<Spanned<bool>>,
    /// `index`.
    pub index: Option<Spanned<bool>>,
    /// `unique`.
    pub unique: Option<Spanned<bool>>,
    /// `description`, on one line.
    pub description: Option<String>,
    /// `through`: the entity between the two.
    pub through: Option<Spanned<String>>,
}

pub(super) const RELATION_TYPES: [(&str, RelationType); 4] = [
    ("belongs_to", RelationType::BelongsTo),
    ("has_many", RelationType::HasMany),
    ("has_one", RelationType::HasOne),
    ("many_to_many", RelationType::ManyToMany),
];

pub(super) const ON_DELETE: [(&str, OnDeleteWord); 4] = [
    ("restrict", OnDeleteWord::Restrict),
    ("cascade", OnDeleteWord::Cascade),
    ("set_null", OnDeleteWord::SetNull),
    // The same for statements that delete one row.
    ("no_action", OnDeleteWord::Restrict),
];

/// Reads `relationships`.
pub(crate) fn decode(reader: &mut Reader, file: &Block<'_>) -> Vec<RelationDefinition> {
    let Some(block) = file
        .get("relationships")
        .and_then(|it| reader.entries(it, "`relationships`"))
    else {
        return Vec::new();
    };
    block
        .iter()
        .filter_map(|(name, node)| relation(reader, name, node))
        .collect()
}

fn relation(
    reader: &mut Reader,
    name: &Spanned<String>,
    node: &Node,
) -> Option<RelationDefinition> {
    let what = format!("relationship `{}`", shorten(&name.value));
    let block = reader.block(node, &RELATION, &what)?;
    let kind = reader.required(&block, "type", &what, &name.span, "type: belongs_to");
    let kind = kind.and_then(|it| reader.word(it, "`type`", &RELATION_TYPES));
    let target = reader.required(&block, "target", &what, &name.span, "target: account");
    let target = target.and_then(|it| reader.text(it, "`target`"));
    let required = reader.boolean_of(&block, "required");
    let nullable = reader.boolean_of(&block, "nullable");
    if let (Some(required), Some(nullable)) = (&required, &nullable)
        && required.value == nullable.value
    {
        reader.report(
            Problem::error(
                "contradiction",
                format!(
                    "{what} cannot be `required: {}` and `nullable: {}`",
                    required.value, nullable.value
                ),
                required.span.clone(),
            )
            .also(nullable.span.clone(), "")
            .help("keep one of the two"),
        );
    }
    let foreign_key = reader.text_of(&block, "foreign_key");
    let on_delete = reader.word_of(&block, "on_delete", &ON_DELETE);
    let index = reader.boolean_of(&block, "index");
    let unique = reader.boolean_of(&block, "unique");
    let description = reader.description_of(&block);
    let through = reader.text_of(&block, "through");
    Some(RelationDefinition {
        name: name.clone(),
        kind: kind?,
        target: target?,
        foreign_key,
        on_delete,
        required: required.or_else(|| nullable.map(|it| it.map(|value| !value))),
        index,
        unique,
        description,
        through,
    })
}
