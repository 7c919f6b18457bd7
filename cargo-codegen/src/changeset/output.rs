//! What the other stages ask for, and what becomes of it.

use camino::{Utf8Path, Utf8PathBuf};

/// A file that the model asks for. Paths are relative to the workspace root, with forward slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it goes.
    pub path: Utf8PathBuf,
    /// Who owns it.
    pub kind: OutputKind,
    /// The text as rendered; Rust files are formatted with the workspace's rustfmt before they are compared.
    pub content: String,
}

/// Who owns an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputKind {
    /// Rewritten by every run; recorded in `codegen.lock`.
    Generated {
        /// The definition that it comes from.
        source: String,
    },
    /// Written once as a start; the user's from then on.
    Owned,
}

/// An entry that must stand in a file of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// `mod <ident>;` in a Rust file.
    Module {
        /// The Rust file with the `mod` list.
        file: Utf8PathBuf,
        /// The module's identifier.
        ident: String,
        /// `pub mod` or `mod`.
        public: bool,
    },
    /// An entry in `Migrator::migrations()`, and its `mod`.
    Migration {
        /// The Rust file that implements `MigratorTrait`.
        file: Utf8PathBuf,
        /// The migration's module.
        ident: String,
    },
    /// A dependency in a `Cargo.toml`.
    Dependency {
        /// The manifest.
        file: Utf8PathBuf,
        /// Key in the table.
        name: String,
        /// The value as TOML, such as `"1.0"` or `{ path = "../entity" }`.
        spec: String,
        /// `[dev-dependencies]` rather than `[dependencies]`.
        dev: bool,
    },
    /// A dependency in `[workspace.dependencies]`.
    WorkspaceDependency {
        /// The workspace's manifest.
        file: Utf8PathBuf,
        /// Key in the table.
        name: String,
        /// The value as TOML.
        spec: String,
    },
    /// A member in `[workspace] members`.
    Member {
        /// The workspace's manifest.
        file: Utf8PathBuf,
        /// Directory of the member.
        member: String,
    },
    /// Another text in the place of the whole one, made from it.
    Rewrite {
        /// A definition.
        file: Utf8PathBuf,
        /// Its text afterwards.
        text: String,
    },
    /// A top-level block in `codegen.yaml`.
    ConfigBlock {
        /// The configuration file.
        file: Utf8PathBuf,
        /// Its key.
        key: String,
        /// Its lines below the key, indented; empty for `{}`.
        body: String,
    },
}

impl Edit {
    /// The file that it edits.
    pub fn file(&self) -> &Utf8Path {
        match self {
            Self::Module { file, .. }
            | Self::Migration { file, .. }
            | Self::Dependency { file, .. }
            | Self::WorkspaceDependency { file, .. }
            | Self::Member { file, .. }
            | Self::Rewrite { file, .. }
            | Self::ConfigBlock { file, .. } => file,
        }
    }
}

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It was not there.
    Created,
    /// It was there, with other content.
    Updated,
    /// Entries are added to a file of the user's.
    Edited,
    /// Its definition is gone.
    Deleted,
    /// It is as it should be.
    Unchanged,
    /// It is the user's.
    Kept,
}

/// One file of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the workspace root.
    pub path: Utf8PathBuf,
    /// What happens to it.
    pub action: Action,
    /// Content now, if it exists.
    pub before: Option<String>,
    /// Content afterwards, if it stays.
    pub after: Option<String>,
}

impl Change {
    pub(super) fn deletion(path: &Utf8Path, before: String) -> Self {
        Self {
            path: path.to_owned(),
            action: Action::Deleted,
            before: Some(before),
            after: None,
        }
    }
}

/// Why a file may not be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictReason {
    /// A run has written it, and its content is another now.
    EditedByHand,
    /// No run has written it.
    NotGenerated,
}

/// A file that a run would have to overwrite, though it holds work that is not its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Relative to the workspace root.
    pub path: Utf8PathBuf,
    /// Whose work it holds.
    pub reason: ConflictReason,
    /// Content on disk.
    pub found: String,
    /// Content that the run would write.
    pub wanted: String,
}

/// Everything that one command would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// Sorted by path; the lock file is among them.
    pub changes: Vec<Change>,
    /// Not empty: nothing may be written.
    pub conflicts: Vec<Conflict>,
    /// What the user should know or do next.
    pub notes: Vec<String>,
}

impl ChangeSet {
    /// Whether applying it would touch no file.
    pub fn is_noop(&self) -> bool {
        self.changes
            .iter()
            .all(|it| matches!(it.action, Action::Unchanged | Action::Kept))
    }
}
