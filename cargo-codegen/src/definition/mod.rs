//! YAML files, read into typed definitions that remember where they stand in the file.

mod problem;
mod source;

pub use problem::{Label, Problem, Severity};
pub use source::{Source, SourceId, Sources, Span, Spanned};
