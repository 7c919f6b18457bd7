//! Tables between two entities.

use camino::Utf8PathBuf;

use super::Name;

/// How a relation reaches its target through another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Through {
    /// The table between: its module in the entity crate.
    pub module: Name,
    /// What it refers to this entity by.
    pub here: Reference,
    /// How it goes on to the target.
    pub onward: Onward,
    /// It is a [`Join`], and no entity.
    pub generated: bool,
}

/// A foreign key, and the relation of its table that goes by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The column.
    pub column: Name,
    /// The `belongs_to`.
    pub relation: Name,
}

/// The second half of the way from an entity to the target of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// The table between refers to the target.
    Refers(Reference),
    /// The target refers to the table between.
    Referred(Reference),
}

/// A join table that no definition describes: two foreign keys, which are its primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Singular; its module in the entity crate.
    pub name: Name,
    /// Table name.
    pub table: String,
    /// The two sides, in the order of the primary key.
    pub ends: [JoinEnd; 2],
    /// The definition that asks for it, relative to the workspace root.
    pub source: Utf8PathBuf,
}

/// One side of a [`Join`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinEnd {
    /// snake_case name of the entity.
    pub entity: String,
    /// The column that refers to it.
    pub column: Name,
    /// The relation that goes by it.
    pub relation: Name,
}

impl From<&JoinEnd> for Reference {
    fn from(end: &JoinEnd) -> Self {
        Self {
            column: end.column.clone(),
            relation: end.relation.clone(),
        }
    }
}
