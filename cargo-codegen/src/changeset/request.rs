//! What a plan is asked for, and why there may be none.

use std::collections::BTreeMap;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::format::{FormatError, Formatter};
use super::lock::{LOCK_FILE, LockError};
use super::{Edit, Output, STATE_DIR};
use crate::workspace::{FileError, Files};

/// Everything that a plan depends on.
pub struct Request<'a> {
    /// The workspace as it is.
    pub files: &'a dyn Files,
    /// Every file that the model asks for, not only those of one entity: what is missing here counts as gone.
    pub outputs: Vec<Output>,
    /// Entries in files of the user's, in the order in which they are to be made.
    pub edits: Vec<Edit>,
    /// Give up hand edits of generated files.
    pub overwrite: bool,
    /// Owned files that the command was asked for by name: written again even if the user has deleted them.
    pub recreate: Vec<Utf8PathBuf>,
    /// Files that go, whoever has written them.
    pub removed: Vec<Utf8PathBuf>,
    /// Formats Rust files.
    pub formatter: &'a dyn Formatter,
}

/// No plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The lock file cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Rust files could not be formatted.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A path that no output may have.
    #[error("`{path}` cannot be written: {why}")]
    Path {
        /// The path.
        path: Utf8PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two outputs for one file.
    #[error("`{first}` and `{second}` are the same file; rename one of the definitions")]
    Collision {
        /// One path.
        first: Utf8PathBuf,
        /// The other; it may differ in case.
        second: Utf8PathBuf,
    },
    /// Entries that the user has to make.
    #[error("{}", list_refused(.0))]
    Refused(Vec<RefusedEdit>),
}

/// What lets a refused entry be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The lines are pasted.
    Paste,
    /// A list of migrations is made one that can be read: a migration has another date in the next run, so that pasting
    /// its lines does not help.
    List,
    /// A merge in the file is decided.
    Merge,
}

/// An entry that the user has to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEdit {
    /// The file.
    pub file: Utf8PathBuf,
    /// What the user has to do.
    pub remedy: Remedy,
    /// Why it could not be made.
    pub why: String,
    /// What to write into the file.
    pub lines: String,
}

fn list_refused(refused: &[RefusedEdit]) -> String {
    refused
        .iter()
        .map(|it| format!("{} must be edited by hand: {}", it.file, it.why))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Refuses paths that no output may have, before any of them is read.
pub(super) fn check_paths(request: &Request<'_>) -> Result<(), PlanError> {
    let mut seen: BTreeMap<String, &Utf8Path> = BTreeMap::new();
    for output in &request.outputs {
        check_path(&output.path)?;
        if let Some(first) = seen.insert(output.path.as_str().to_lowercase(), &output.path) {
            return Err(PlanError::Collision {
                first: first.to_owned(),
                second: output.path.clone(),
            });
        }
    }
    request
        .edits
        .iter()
        .try_for_each(|it| check_path(it.file()))
}

fn check_path(path: &Utf8Path) -> Result<(), PlanError> {
    let error = |why| {
        Err(PlanError::Path {
            path: path.to_owned(),
            why,
        })
    };
    if path.as_str().is_empty() || path.as_str().contains('\\') {
        return error("it is not a relative path with forward slashes");
    }
    if !path
        .components()
        .all(|it| matches!(it, Utf8Component::Normal(_)))
    {
        return error("it would leave the workspace root");
    }
    if path == LOCK_FILE || path.starts_with(STATE_DIR) || path.starts_with(".git") {
        return error("it is reserved");
    }
    Ok(())
}
