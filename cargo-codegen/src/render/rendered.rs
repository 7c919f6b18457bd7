//! What one part of the output consists of.

use crate::changeset::{Edit, Output};

/// Files, and the entries in files of the user's that make them part of the workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Files to create or update.
    pub outputs: Vec<Output>,
    /// Entries that must stand in files of the user's.
    pub edits: Vec<Edit>,
    /// What the user should know or do.
    pub notes: Vec<String>,
}

impl Rendered {
    /// Adds another part.
    pub fn extend(&mut self, other: Self) {
        self.outputs.extend(other.outputs);
        self.edits.extend(other.edits);
        self.notes.extend(other.notes);
    }
}
