//! What a command that worked has to say.

use camino::Utf8PathBuf;

use crate::changeset::ChangeSet;
use crate::definition::{Problem, Sources};
use crate::survey::{Step, View};

/// What a command that worked has to say.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What it was asked to show.
    pub view: Option<View>,
    /// What it wrote, or would write.
    pub changes: Option<Changes>,
    /// The files that `problems` point into.
    pub sources: Sources,
    /// Notes and warnings about definitions.
    pub problems: Vec<Problem>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What the user will probably do next.
    pub next: Vec<Step>,
}

/// The changes of one command.
#[derive(Debug)]
pub struct Changes {
    /// The files.
    pub set: ChangeSet,
    /// Nothing was written.
    pub dry_run: bool,
    /// Directory of the vendored runtime, if there is one.
    pub vendored: Option<Utf8PathBuf>,
}
