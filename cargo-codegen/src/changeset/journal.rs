//! The steps of a run, on disk before the first of them is taken, so that the next run can finish or undo them.

use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::apply::ApplyError;
use super::run_lock::{RunLock, STATE_DIR};

const FILE: &str = "journal.json";

/// Whether a run has left something to finish or undo.
pub fn is_interrupted(root: &Utf8Path) -> bool {
    root.join(STATE_DIR).join(FILE).exists()
}

/// One file that a run replaces, creates or deletes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    /// Relative to the workspace root; no part of it is a symbolic link.
    pub(super) path: Utf8PathBuf,
    /// Hash of the content before; none for a new file.
    pub(super) before: Option<String>,
    /// Hash of the content afterwards; none for a file that goes.
    pub(super) after: Option<String>,
}

impl Step {
    /// Gives `false` if the file is neither as before nor as afterwards.
    fn take(&self, root: &Utf8Path, staged: &Utf8Path) -> io::Result<bool> {
        Self::turn(&root.join(&self.path), &self.before, &self.after, staged)
    }

    fn undo(&self, root: &Utf8Path, backup: &Utf8Path) -> io::Result<bool> {
        Self::turn(&root.join(&self.path), &self.after, &self.before, backup)
    }

    fn turn(
        target: &Utf8Path,
        from: &Option<String>,
        to: &Option<String>,
        content: &Utf8Path,
    ) -> io::Result<bool> {
        let found = hash_file(target)?;
        if found == *to {
            return Ok(true);
        }
        if found != *from {
            return Ok(false);
        }
        if to.is_some() {
            place(content, target)?;
        } else {
            fs::remove_file(target)?;
        }
        Ok(true)
    }
}

/// Every step of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    /// Set when a step has failed: the run is being undone.
    pub(super) undo: bool,
    pub(super) steps: Vec<Step>,
    /// Directories that the run creates, parents first.
    pub(super) new_dirs: Vec<Utf8PathBuf>,
}

/// What was made of a run that had been interrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The run was finished; otherwise it was undone.
    pub finished: bool,
    /// Its files.
    pub files: Vec<Utf8PathBuf>,
    /// Those that were edited since, and therefore left as they are.
    pub left: Vec<Utf8PathBuf>,
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, what) = (
            self.files.len(),
            if self.finished { "finished" } else { "undone" },
        );
        write!(
            f,
            "an earlier run was interrupted; it is {what} now ({count} files)"
        )?;
        for path in &self.left {
            write!(f, "; {path} was edited since and is left as it is")?;
        }
        Ok(())
    }
}

/// Does what [`recover`] does for the workspace that a directory is in, before cargo is asked about it: what an
/// interrupted run has left may be no workspace that cargo can read.
///
/// # Errors
/// As [`recover`].
pub fn recover_around(dir: &Utf8Path) -> Result<Option<Recovery>, ApplyError> {
    // Where there is no such directory, cargo says it best.
    let Ok(dir) = Utf8Path::new(".").join(dir).canonicalize_utf8() else {
        return Ok(None);
    };
    match dir.ancestors().find(|it| it.join(STATE_DIR).is_dir()) {
        Some(root) => recover(root),
        None => Ok(None),
    }
}

/// Finishes or undoes a run that was interrupted. Call it before reading the workspace; where nothing was interrupted
/// it touches nothing.
///
/// # Errors
/// If another run is under way, or a file cannot be written.
pub fn recover(root: &Utf8Path) -> Result<Option<Recovery>, ApplyError> {
    if !root.join(STATE_DIR).is_dir() {
        return Ok(None);
    }
    let root = root.canonicalize_utf8()?;
    let lock = RunLock::acquire(&root)?;
    recover_locked(&root, &lock)
}

pub(super) fn recover_locked(
    root: &Utf8Path,
    lock: &RunLock,
) -> Result<Option<Recovery>, ApplyError> {
    let pending = lock.pending();
    let Some(journal) = Journal::read(&pending)? else {
        // Interrupted before the first step: the workspace is as it was.
        if pending.exists() {
            fs::remove_dir_all(&pending)?;
        }
        return Ok(None);
    };
    let left = if journal.undo {
        journal.undo_steps(root, &pending)?
    } else {
        journal.take_steps(root, &pending, &|_| {})?
    };
    journal.clear(root, &pending)?;
    Ok(Some(Recovery {
        finished: !journal.undo,
        files: journal.steps.into_iter().map(|it| it.path).collect(),
        left,
    }))
}

impl Journal {
    fn read(pending: &Utf8Path) -> Result<Option<Self>, ApplyError> {
        let path = pending.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                ApplyError::Io(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{path}: {error}"),
                ))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts it on disk in one step; from then on an interrupted run is finished, or undone if it says so.
    pub(super) fn write(&self, pending: &Utf8Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self)?;
        let draft = pending.join("journal.tmp");
        let mut file = fs::File::create(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(draft, pending.join(FILE))?;
        sync_dir(pending);
        Ok(())
    }

    /// Takes every step that is not taken yet. Gives the files that are neither as before nor as afterwards.
    pub(super) fn take_steps(
        &self,
        root: &Utf8Path,
        pending: &Utf8Path,
        probe: &dyn Fn(&Utf8Path),
    ) -> io::Result<Vec<Utf8PathBuf>> {
        for dir in &self.new_dirs {
            fs::create_dir_all(root.join(dir))?;
        }
        let mut left = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            probe(&step.path);
            if !step.take(root, &staged(pending, index))? {
                left.push(step.path.clone());
            }
        }
        self.sync_dirs(root);
        Ok(left)
    }

    /// Takes every step back. A file that cannot be restored does not keep the others from it.
    pub(super) fn undo_steps(
        &self,
        root: &Utf8Path,
        pending: &Utf8Path,
    ) -> io::Result<Vec<Utf8PathBuf>> {
        let mut left = Vec::new();
        let mut failed = None;
        for (index, step) in self.steps.iter().enumerate().rev() {
            match step.undo(root, &backup(pending, index)) {
                Ok(true) => {}
                Ok(false) => left.push(step.path.clone()),
                Err(error) => failed = Some(error),
            }
        }
        for dir in self.new_dirs.iter().rev() {
            // Stays if something of the user's came into it.
            let _ = std::fs::remove_dir(root.join(dir));
        }
        self.sync_dirs(root);
        failed.map_or(Ok(left), Err)
    }

    /// Forgets a run that has ended, and removes the directories that it has emptied.
    pub(super) fn clear(&self, root: &Utf8Path, pending: &Utf8Path) -> io::Result<()> {
        fs::remove_file(pending.join(FILE))?;
        fs::remove_dir_all(pending)?;
        for step in self
            .steps
            .iter()
            .filter(|it| it.after.is_none() && !self.undo)
        {
            for dir in step
                .path
                .ancestors()
                .skip(1)
                .take_while(|it| !it.as_str().is_empty())
            {
                if std::fs::remove_dir(root.join(dir)).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn sync_dirs(&self, root: &Utf8Path) {
        let mut dirs: Vec<&Utf8Path> = self
            .steps
            .iter()
            .filter_map(|it| it.path.parent())
            .collect();
        dirs.sort_unstable();
        dirs.dedup();
        for dir in dirs {
            sync_dir(&root.join(dir));
        }
    }
}

pub(super) fn staged(pending: &Utf8Path, index: usize) -> Utf8PathBuf {
    pending.join(format!("new-{index}"))
}

pub(super) fn backup(pending: &Utf8Path, index: usize) -> Utf8PathBuf {
    pending.join(format!("old-{index}"))
}

pub(super) fn hash_bytes(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect()
}

fn hash_file(path: &Utf8Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(hash_bytes(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Renames a file into place; through a copy beside the target where that is another file system.
fn place(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let dir = to.parent().unwrap_or(to);
            let copy = tempfile::NamedTempFile::new_in(dir)?;
            fs::copy(from, copy.path())?;
            copy.as_file().sync_all()?;
            copy.persist(to)?;
            Ok(())
        }
        other => other,
    }
}

/// Not every system can: then a power cut may lose the newest names, never a file's content.
fn sync_dir(dir: &Utf8Path) {
    if let Ok(dir) = std::fs::File::open(dir) {
        let _ = dir.sync_all();
    }
}
