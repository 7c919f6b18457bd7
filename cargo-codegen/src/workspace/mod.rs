//! The Cargo workspace in hand: read before planning, edited only through a change set.

mod files;

pub use files::{Disk, FileError, Files, Overlay};
