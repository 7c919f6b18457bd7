//! Why a command did not do what it was asked, and the exit code that says so.

use serde::Serialize;

use crate::changeset::{ChangeSet, Conflict, ConflictReason, PlanError, RefusedEdit, Remedy};
use crate::definition::{Problem, Sources};
use crate::survey::Health;
use crate::words::Wrong;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 1: the definitions or the workspace have errors.
    Problems,
    /// 2: wrong usage.
    Usage,
    /// 3: refused, because generated files were edited by hand.
    EditedByHand,
    /// 4: `check` found that a run would change something.
    Drift,
}

impl Exit {
    /// The process's exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Problems => 1,
            Self::Usage => 2,
            Self::EditedByHand => 3,
            Self::Drift => 4,
        }
    }
}

/// Why a command did not do what it was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Definitions that are wrong.
    #[error("{}", count_errors(.problems))]
    Definitions {
        /// The files that the problems point into.
        sources: Sources,
        /// All of them.
        problems: Vec<Problem>,
    },
    /// Field words that are wrong.
    #[error("the words cannot be read")]
    Words(Wrong),
    /// Arguments that do not fit together.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// The workspace is not as it must be.
    #[error("{message}")]
    Workspace {
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// Generated files were edited by hand.
    #[error("{}", count_conflicts(.0))]
    Conflicts(Box<ChangeSet>),
    /// `check`: a run would change something.
    #[error("{}", count_files(drifted(.0), "file is", "files are", "not what the definitions say"))]
    Drift(Box<ChangeSet>),
    /// Entries in the user's files whose place is not certain.
    #[error("{}", count_files(.0.len(), "entry has", "entries have", "no certain place"))]
    Refused(Vec<RefusedEdit>),
    /// `check`: no migration makes the schema that is described.
    #[error("{}", count_files(.0.len(), "change of the schema has", "changes of the schema have", "no migration"))]
    Unmigrated(Vec<String>),
    /// What a migration would lose, which nobody has asked for.
    #[error("{}", count_files(.0.len(), "change", "changes", "may lose what is in the database"))]
    Lossy(Vec<String>),
    /// What no migration can do as the definitions stand.
    #[error("{}", count_files(.0.len(), "change needs", "changes need", "more than the definitions say"))]
    Impossible(Vec<String>),
    /// `doctor` found what is to be mended.
    #[error("{}", count_files(.0.findings.iter().filter(|it| it.remedy.is_some()).count(), "thing is", "things are", "to be mended"))]
    Ill(Health),
    /// An error of a lower layer; its sources are the causes.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            help: Some(help.into()),
        }
    }

    /// A workspace that is not as it must be.
    pub fn workspace(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Workspace {
            message: message.into(),
            help: Some(help.into()),
        }
    }

    /// Wraps an error of a lower layer.
    pub fn other(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Other(Box::new(error))
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Definitions { .. }
            | Self::Workspace { .. }
            | Self::Refused(_)
            | Self::Lossy(_)
            | Self::Impossible(_)
            | Self::Ill(_)
            | Self::Other(_) => Exit::Problems,
            Self::Words(_) | Self::Usage { .. } => Exit::Usage,
            Self::Conflicts(_) => Exit::EditedByHand,
            Self::Drift(_) | Self::Unmigrated(_) => Exit::Drift,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Usage { help, .. } | Self::Workspace { help, .. } => help.as_deref(),
            Self::Conflicts(_) => Some(
                "move your code into the owned file beside it and undo the edit; or discard the edit \
                 with `--overwrite`; or keep the file as yours: `cargo codegen eject <file>`",
            ),
            Self::Drift(_) => Some("cargo codegen entity new --all"),
            Self::Refused(refused) => {
                let any = |remedy| refused.iter().any(|it| it.remedy == remedy);
                Some(if any(Remedy::Merge) {
                    // What else is refused may be settled by that.
                    "decide the merge: keep the lines of both sides; then run this again"
                } else if !any(Remedy::List) {
                    "paste the lines, then run this again"
                } else if any(Remedy::Paste) {
                    "paste the lines, let `migrations()` return one `vec![..]`, then run this again"
                } else {
                    "let `migrations()` return one `vec![..]`, then run this again"
                })
            }
            Self::Unmigrated(_) => Some("cargo codegen migrate"),
            Self::Lossy(_) => {
                Some("if that is what you want: cargo codegen migrate --write --allow-destructive")
            }
            Self::Impossible(_) => {
                Some("or write the migration by hand, then: cargo codegen migrate --by-hand")
            }
            Self::Definitions { .. } | Self::Words(_) | Self::Ill(_) | Self::Other(_) => None,
        }
    }

    /// The errors below it, outermost first, without those that the message tells already.
    pub fn causes(&self) -> Vec<String> {
        let Self::Other(error) = self else {
            return Vec::new();
        };
        let mut told = self.to_string();
        let mut causes = Vec::new();
        for cause in std::iter::successors(error.source(), |it| it.source()) {
            let cause = cause.to_string();
            if !told.contains(&cause) {
                told.clone_from(&cause);
                causes.push(cause);
            }
        }
        causes
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::Words(wrong)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Refused(refused) => Self::Refused(refused),
            other => Self::other(other),
        }
    }
}

/// How many files a run would touch or refuse to touch.
pub(crate) fn drifted(set: &ChangeSet) -> usize {
    use crate::changeset::Action;
    let changed = set
        .changes
        .iter()
        .filter(|it| !matches!(it.action, Action::Unchanged | Action::Kept));
    changed.count() + set.conflicts.len()
}

fn count_conflicts(set: &ChangeSet) -> String {
    let count = set.conflicts.len();
    let edited = |it: &Conflict| it.reason == ConflictReason::EditedByHand;
    if set.conflicts.iter().all(edited) {
        count_files(
            count,
            "generated file was",
            "generated files were",
            "edited by hand",
        )
    } else {
        count_files(
            count,
            "file would be",
            "files would be",
            "overwritten that hold work of yours",
        )
    }
}

fn count_errors(problems: &[Problem]) -> String {
    use crate::definition::Severity;
    let errors = problems
        .iter()
        .filter(|it| it.severity == Severity::Error)
        .count();
    match errors {
        1 => "the definitions have an error".to_owned(),
        n => format!("the definitions have {n} errors"),
    }
}

fn count_files(count: usize, one: &str, many: &str, what: &str) -> String {
    match count {
        1 => format!("1 {one} {what}"),
        n => format!("{n} {many} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Nested {
        #[error("cannot run `cargo metadata`: {0}")]
        Told(#[source] std::io::Error),
        #[error("cannot run `cargo metadata`")]
        Untold(#[source] std::io::Error),
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = || std::io::Error::other("no such program");
        assert!(Failure::other(Nested::Told(cause())).causes().is_empty());
        assert_eq!(
            Failure::other(Nested::Untold(cause())).causes(),
            ["no such program"]
        );
    }
}
