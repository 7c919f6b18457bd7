//! The Cargo workspace in hand: read before planning, edited only through a change set.

pub mod edit;

pub mod consumers;
mod discover;
mod files;
pub mod handlers;
pub mod machine;
pub mod merge;
mod rust_file;

pub use discover::{Dependency, DiscoverError, Package, Workspace, cargo_command, discover};
pub use files::{Disk, FileError, Files, Overlay};
