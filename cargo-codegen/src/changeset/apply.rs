//! Writing a change set: all of it or nothing.
//!
//! Every new text is staged below [`STATE_DIR`](super::STATE_DIR) and synced, then the journal is put beside it, then
//! the files are renamed into place. Before the journal is there a crash leaves the old workspace; afterwards the
//! next run finishes.

use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use rayon::prelude::*;

use super::journal::{self, Journal, Step};
use super::run_lock::{RunLock, RunLockError};
use super::{Action, Change, ChangeSet};

/// A change set that was not applied. Unless it says otherwise, the workspace is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Files were edited by hand.
    #[error("{} would be overwritten", list(.0))]
    Conflicts(Vec<Utf8PathBuf>),
    /// Another run is writing.
    #[error(transparent)]
    Locked(#[from] RunLockError),
    /// A file is not what the plan has seen.
    #[error("{path} has changed while the run was being planned; run again")]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A symbolic link leads out of the workspace.
    #[error("{path} leads out of the workspace, to {target}")]
    Outside {
        /// The file.
        path: Utf8PathBuf,
        /// Where it leads.
        target: Utf8PathBuf,
    },
    /// A file or directory is write-protected.
    #[error("{path} is read-only")]
    ReadOnly {
        /// The file or directory.
        path: Utf8PathBuf,
    },
    /// The operating system has refused; what was done is undone.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The operating system has refused, and then refused to take back what was done.
    #[error(
        "{cause}; and what was done before could not be undone: {undo}. The next run tries again"
    )]
    HalfDone {
        /// Why it was stopped.
        cause: io::Error,
        /// Why it could not be undone.
        undo: io::Error,
    },
}

fn list(paths: &[Utf8PathBuf]) -> String {
    paths
        .iter()
        .map(|it| it.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Writes a change set into the workspace. One without changes touches nothing at all.
///
/// # Errors
/// If it has conflicts, another run is writing, a file is not what the plan has seen, or cannot be written.
pub fn apply(root: &Utf8Path, changes: &ChangeSet) -> Result<(), ApplyError> {
    apply_probed(root, changes, &|_| {})
}

/// `probe` is told of every step before it is taken.
fn apply_probed(
    root: &Utf8Path,
    changes: &ChangeSet,
    probe: &dyn Fn(&Utf8Path),
) -> Result<(), ApplyError> {
    if !changes.conflicts.is_empty() {
        let paths = changes.conflicts.iter().map(|it| it.path.clone()).collect();
        return Err(ApplyError::Conflicts(paths));
    }
    if changes.is_noop() {
        return Ok(());
    }
    let is_new = !root.exists();
    fs::create_dir_all(root)?;
    let root = root.canonicalize_utf8()?;
    let result = RunLock::acquire(&root)
        .map_err(ApplyError::from)
        .and_then(|lock| {
            journal::recover_locked(&root, &lock)?;
            write(&root, changes, &lock, probe)
        });
    if result.is_err() && is_new {
        // Only if it is empty again.
        let _ = std::fs::remove_dir(&root);
    }
    result
}

fn write(
    root: &Utf8Path,
    changes: &ChangeSet,
    lock: &RunLock,
    probe: &dyn Fn(&Utf8Path),
) -> Result<(), ApplyError> {
    let writes: Vec<Target<'_>> = changes
        .changes
        .iter()
        .filter(|it| !matches!(it.action, Action::Unchanged | Action::Kept))
        .map(|it| Target::prepare(root, it))
        .collect::<Result<_, _>>()?;

    let pending = lock.pending();
    let staged = stage(root, &writes, &pending, probe);
    let journal = match staged {
        Ok(journal) => journal,
        Err(error) => {
            if pending.exists() {
                fs::remove_dir_all(&pending)?;
            }
            return Err(error);
        }
    };

    let outcome = journal
        .take_steps(root, &pending, probe)
        .map_err(ApplyError::Io)
        .and_then(|left| {
            left.into_iter()
                .next()
                .map_or(Ok(()), |path| Err(ApplyError::Changed { path }))
        });
    match outcome {
        Ok(()) => {
            probe(Utf8Path::new("clear"));
            Ok(journal.clear(root, &pending)?)
        }
        Err(cause) => Err(undo(root, journal, &pending, cause)),
    }
}

fn undo(
    root: &Utf8Path,
    mut journal: Journal,
    pending: &Utf8Path,
    cause: ApplyError,
) -> ApplyError {
    journal.undo = true;
    let undone = journal
        .write(pending)
        .and_then(|()| journal.undo_steps(root, pending))
        .and_then(|_| journal.clear(root, pending));
    match (undone, cause) {
        (Err(undo), ApplyError::Io(cause)) => ApplyError::HalfDone { cause, undo },
        (_, cause) => cause,
    }
}

/// A change whose target was looked at.
struct Target<'a> {
    change: &'a Change,
    /// Relative to the root, symbolic links resolved.
    target: Utf8PathBuf,
}

impl<'a> Target<'a> {
    fn prepare(root: &Utf8Path, change: &'a Change) -> Result<Self, ApplyError> {
        let path = root.join(&change.path);
        let target = resolve(root, &change.path)?;
        let found = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        if found.as_deref() != change.before.as_deref().map(str::as_bytes) {
            return Err(ApplyError::Changed {
                path: change.path.clone(),
            });
        }
        let dir = target.ancestors().skip(1).find(|it| root.join(it).is_dir());
        for guard in [found.is_some().then_some(target.as_path()), dir]
            .into_iter()
            .flatten()
        {
            if fs::metadata(root.join(guard))?.permissions().readonly() {
                let path = if guard == target {
                    change.path.clone()
                } else {
                    guard.to_owned()
                };
                return Err(ApplyError::ReadOnly { path });
            }
        }
        Ok(Self { change, target })
    }
}

/// The place that a path means once symbolic links are followed, relative to the root.
fn resolve(root: &Utf8Path, path: &Utf8Path) -> Result<Utf8PathBuf, ApplyError> {
    let full = root.join(path);
    for ancestor in full.ancestors() {
        if ancestor.symlink_metadata().is_err() {
            continue;
        }
        let rest = full.strip_prefix(ancestor).unwrap_or(Utf8Path::new(""));
        let real = ancestor.canonicalize_utf8().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("{path}: the symbolic link {ancestor} leads nowhere: {error}"),
            )
        })?;
        let target = if rest.as_str().is_empty() {
            real
        } else {
            real.join(rest)
        };
        return match target.strip_prefix(root) {
            Ok(relative) => Ok(relative.to_owned()),
            Err(_) => Err(ApplyError::Outside {
                path: path.to_owned(),
                target,
            }),
        };
    }
    Ok(path.to_owned())
}

/// Brings everything to disk that the steps need, the journal last.
fn stage(
    root: &Utf8Path,
    writes: &[Target<'_>],
    pending: &Utf8Path,
    probe: &dyn Fn(&Utf8Path),
) -> Result<Journal, ApplyError> {
    fs::create_dir_all(pending)?;
    writes
        .par_iter()
        .enumerate()
        .try_for_each(|(index, write)| {
            let target = root.join(&write.target);
            if write.change.before.is_some() {
                keep(&target, &journal::backup(pending, index))?;
            }
            match &write.change.after {
                Some(text) => stage_one(
                    text,
                    &target,
                    &journal::staged(pending, index),
                    write.change.before.is_some(),
                ),
                None => Ok(()),
            }
        })?;
    let hash = |text: &Option<String>| text.as_ref().map(|it| journal::hash_bytes(it.as_bytes()));
    let journal = Journal {
        undo: false,
        new_dirs: new_dirs(root, writes),
        steps: writes
            .iter()
            .map(|it| Step {
                path: it.target.clone(),
                before: hash(&it.change.before),
                after: hash(&it.change.after),
            })
            .collect(),
    };
    probe(Utf8Path::new("journal"));
    journal.write(pending)?;
    Ok(journal)
}

fn stage_one(text: &str, target: &Utf8Path, staged: &Utf8Path, exists: bool) -> io::Result<()> {
    let mut file = fs::File::create(staged)?;
    file.write_all(text.as_bytes())?;
    if exists {
        file.set_permissions(fs::metadata(target)?.permissions())?;
    }
    file.sync_all()
}

/// A second name for the content as it is; a copy where the file system knows no links.
fn keep(target: &Utf8Path, backup: &Utf8Path) -> io::Result<()> {
    if fs::hard_link(target, backup).is_err() {
        fs::copy(target, backup)?;
    }
    Ok(())
}

/// The directories that are not there yet, parents first.
fn new_dirs(root: &Utf8Path, writes: &[Target<'_>]) -> Vec<Utf8PathBuf> {
    let mut dirs: Vec<Utf8PathBuf> = writes
        .iter()
        .filter(|it| it.change.after.is_some())
        .flat_map(|it| it.target.ancestors().skip(1))
        .filter(|it| !it.as_str().is_empty() && !root.join(it).exists())
        .map(Utf8Path::to_owned)
        .collect();
    dirs.sort();
    dirs.dedup();
    dirs
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
