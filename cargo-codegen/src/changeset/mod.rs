//! What one command would do to the workspace, computed before anything is written.

mod output;

pub use output::{Action, Change, ChangeSet, Conflict, Edit, Output, OutputKind};
