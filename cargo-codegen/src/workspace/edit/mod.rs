//! Entries that the tool keeps in files of the user's: pure functions from text to text.
//!
//! Every function gives `None` where the entry is there already, keeps each untouched line as it is, its line
//! ending included, and refuses rather than guesses.

mod config;
mod declared;
mod dependency;
mod lines;
mod list;
mod member;
mod migrator;
mod modules;

use camino::{Utf8Path, Utf8PathBuf};

use super::rust_file::RustFile;
use super::{FileError, Files};
use crate::changeset::Edit;
pub use declared::declared;
pub(crate) use lines::dominant_ending;

/// The edited text, or `None` if there is nothing to do.
pub type Edited = Result<Option<String>, Refused>;

/// An edit that is left to the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// Why the place is not certain, as a sentence without a final period.
    pub why: String,
    /// What to write into the file by hand.
    pub lines: String,
}

impl Refused {
    fn new(why: impl Into<String>, lines: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            lines: lines.into(),
        }
    }
}

/// Applies one edit to the text of its file. `root_manifest` is the text of the workspace's `Cargo.toml`, for
/// dependencies that are inherited from it.
///
/// # Errors
/// If the place is not certain, or the result would not parse.
pub fn apply(text: &str, edit: &Edit, root_manifest: Option<&str>) -> Edited {
    lines::preserving(text, |text| match edit {
        Edit::Module { ident, public, .. } => modules::add(text, ident, *public),
        Edit::Migration { ident, .. } => migrator::add(text, ident),
        Edit::Dependency {
            name, spec, dev, ..
        } => dependency::add(text, name, spec, *dev, root_manifest),
        Edit::WorkspaceDependency { name, spec, .. } => {
            dependency::add_to_workspace(text, name, spec)
        }
        Edit::Member { member, .. } => member::add(text, member),
        Edit::ConfigBlock { key, body, .. } => config::add(text, key, body),
        Edit::Rewrite { text: new, .. } => Ok(Some(new.clone()).filter(|it| it != text)),
    })
}

/// What an edit would write, for a user who has to do it.
pub fn lines_to_paste(edit: &Edit) -> String {
    match apply("", edit, None) {
        Ok(text) => text.unwrap_or_default().trim().to_owned(),
        Err(refused) => refused.lines,
    }
}

/// Takes `mod <ident>;` out of a Rust file.
///
/// # Errors
/// If it is not a plain declaration, or the file still names the module elsewhere.
pub fn remove_module(text: &str, ident: &str) -> Edited {
    lines::preserving(text, |text| modules::remove(text, ident))
}

/// The Rust files below a directory that implement `MigratorTrait`; a file that does not parse is none.
///
/// # Errors
/// If a file cannot be read.
pub fn migrator_files(files: &dyn Files, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FileError> {
    let mut found = Vec::new();
    for path in files.list(dir)? {
        if path.extension() == Some("rs")
            && let Some(text) = files.read(&path)?
            && RustFile::parse(&text).is_ok_and(|it| migrator::implements_migrator(&it))
        {
            found.push(path);
        }
    }
    Ok(found)
}
