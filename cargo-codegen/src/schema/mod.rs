//! The database schema that a model asks for.

mod derive;
mod join;
mod name;
mod order;
mod snapshot;
mod table;

pub use derive::tables;
pub use order::{Step, creation_order};
pub use snapshot::{Snapshot, SnapshotError};
pub use table::{
    Column, ColumnType, ForeignKey, Index, IndexColumn, IndexMethod, Literal, OnDeleteAction, Table,
};
