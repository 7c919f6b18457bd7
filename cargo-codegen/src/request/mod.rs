//! What the arguments of a command ask for, as files and entries that a plan adds.

mod eject;
mod entity;
mod event;
mod init;
mod job;
mod lookup;
mod migration;
mod new;
mod remove;
mod rename;
mod skills;
mod subsystem;

pub use eject::eject;
pub use entity::entity_new;
pub use event::{EventArguments, event_new};
pub use init::{InitArguments, init};
pub use job::{JobArguments, job_new};
pub use lookup::{known_entity, known_event, known_event_type};
pub use migration::{migration, permitted};
pub use new::{new_workspace, runtime_source};
pub use remove::{entity_remove, event_remove};
pub use rename::entity_rename;
pub use skills::skills_install;
pub use subsystem::subsystem_install;

use camino::Utf8PathBuf;

use crate::changeset::{Edit, Output};
use crate::survey::Step;

/// What a migration may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nothing.
    Safe,
    /// Rows, columns, and values that do not fit.
    Destructive,
    /// Nothing is written that could cost something: migrations of the user's do it.
    ByHand,
}

/// What came of asking for an entity.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Its name and field words.
    Described(String, Vec<String>),
    /// The user has broken off.
    Dismissed,
    /// Nobody can answer.
    Nobody,
}

/// What a command adds to what the definitions ask for anyway.
#[derive(Debug, Default)]
pub struct Addition {
    /// Files that the user owns from then on.
    pub outputs: Vec<Output>,
    /// Entries in the user's files.
    pub edits: Vec<Edit>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What the user will probably do next, before all else.
    pub next: Vec<Step>,
    /// Migrations are written for tables that have changed, too.
    pub migrate: Option<Consent>,
    /// Files that go: definitions, and what was written as a start from them.
    pub removed: Vec<Utf8PathBuf>,
    /// Only the outputs are written; nothing is generated from them yet.
    pub only_outputs: bool,
}
