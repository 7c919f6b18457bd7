//! Planning and applying change sets on real directories.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod edits;
mod formatting;
mod hand_edits;
mod orphans;
mod paths;
mod project;
mod runs;
