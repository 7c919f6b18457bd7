//! The database schema that a model asks for.

mod apply;
mod derive;
mod describe;
mod diff;
#[cfg(test)]
mod diff_tests;
mod hints;
mod join;
mod merge;
mod name;
mod order;
mod reverse;
mod risk;
mod snapshot;
mod table;

pub use apply::apply;
pub use derive::tables;
pub use describe::words;
pub use diff::{Change, diff};
pub use hints::{ColumnHint, Fill, Hints, Rename, hints};
pub use merge::merged;
pub use order::{Step, creation_order};
pub use reverse::reverse;
pub use risk::Risk;
pub(crate) use risk::removed_choices;
pub use snapshot::{Snapshot, SnapshotError};
pub use table::{
    Column, ColumnType, ForeignKey, Index, IndexColumn, IndexMethod, Literal, OnDeleteAction, Table,
};
