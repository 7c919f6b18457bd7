//! One run at a time per workspace.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

/// Directory in the workspace root that is there while a run writes, and after one that was interrupted.
pub const STATE_DIR: &str = ".cargo-codegen";

/// Tells the locks of one process apart.
static LOCKED: AtomicUsize = AtomicUsize::new(0);

/// The lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RunLockError {
    /// Another run has it.
    #[error("{}", held(*pid))]
    Held {
        /// Process id of the other run, where the system lets it be read.
        pid: Option<u32>,
    },
    /// The lock file could not be made.
    #[error("cannot lock the workspace: {0}")]
    Io(#[from] io::Error),
}

fn held(pid: Option<u32>) -> String {
    let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    format!("another run of cargo-codegen{who} is writing into this workspace; wait for it to end")
}

/// The right to write into a workspace. The system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct RunLock {
    dir: Utf8PathBuf,
    // Unlocked when it is closed.
    _file: File,
}

impl RunLock {
    /// Takes the lock of a workspace.
    ///
    /// # Errors
    /// If another run has it, or the workspace cannot be written.
    pub fn acquire(root: &Utf8Path) -> Result<Self, RunLockError> {
        let dir = root.join(STATE_DIR);
        let path = dir.join("lock");
        loop {
            match fs_err::create_dir_all(&dir) {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && dir.symlink_metadata().is_ok_and(|it| !it.is_dir()) =>
                {
                    return Err(error.into());
                }
                // It was there, and the run before has removed it since.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            }
            let opened = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path);
            let mut file = match opened {
                // The run before has just removed the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("{path}: {error}")).into());
                }
                Ok(file) => file,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let pid = std::fs::read_to_string(&path)
                        .ok()
                        .and_then(|it| it.split_whitespace().next()?.parse().ok());
                    return Err(RunLockError::Held { pid });
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            let count = LOCKED.fetch_add(1, Ordering::Relaxed);
            let holder = format!("{} {count}", std::process::id());
            file.set_len(0)?;
            file.write_all(holder.as_bytes())?;
            // A run that has just ended may have removed the file between `open` and `try_lock`.
            match std::fs::read_to_string(&path) {
                Ok(text) if text != holder => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => {
                    let ignore = dir.join(".gitignore");
                    if !ignore.exists() {
                        fs_err::write(ignore, "*\n")?;
                    }
                    return Ok(Self { dir, _file: file });
                }
            }
        }
    }

    /// Where a run keeps what it has not finished.
    pub(super) fn pending(&self) -> Utf8PathBuf {
        self.dir.join("pending")
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Left over only by a run that must be finished: then the directory is not empty and stays.
        if !self.pending().exists() {
            let _ = std::fs::remove_file(self.dir.join(".gitignore"));
        }
        let _ = std::fs::remove_file(self.dir.join("lock"));
        let _ = std::fs::remove_dir(&self.dir);
    }
}
