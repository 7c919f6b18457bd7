//! The files that a plan may look at, so that planning itself does no input or output.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its bytes are no text.
    #[error("{path} is not UTF-8 (byte {offset} is the first that is not)")]
    NotUtf8 {
        /// The file.
        path: Utf8PathBuf,
        /// Offset of the first wrong byte.
        offset: usize,
    },
}

/// Read access to a workspace; every path is relative to its root.
pub trait Files: Send + Sync {
    /// The text of a file, or `None` if there is none.
    ///
    /// # Errors
    /// If the file is there but cannot be read, or is not UTF-8.
    fn read(&self, path: &Utf8Path) -> Result<Option<String>, FileError>;

    /// Every file below a directory, sorted; empty if there is no such directory.
    ///
    /// # Errors
    /// If a directory cannot be read or a name is not UTF-8.
    fn list(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FileError>;
}

/// The files on disk below a root.
#[derive(Debug, Clone)]
pub struct Disk {
    root: Utf8PathBuf,
}

impl Disk {
    /// The files below this directory.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Files for Disk {
    fn read(&self, path: &Utf8Path) -> Result<Option<String>, FileError> {
        let full = self.root.join(path);
        let bytes = match std::fs::read(&full) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(FileError::Io {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|error| FileError::NotUtf8 {
                path: path.to_owned(),
                offset: error.utf8_error().valid_up_to(),
            })
    }

    fn list(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FileError> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut pending = vec![dir.to_owned()];
        while let Some(dir) = pending.pop() {
            let io_error = |source| FileError::Io {
                path: dir.clone(),
                source,
            };
            let full = self.root.join(&dir);
            let entries = match full.read_dir_utf8() {
                Ok(entries) => entries,
                Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(io_error(source)),
            };
            // A link may lead back to a directory above it.
            if !seen.insert(full.canonicalize().map_err(io_error)?) {
                continue;
            }
            for entry in entries {
                let entry = entry.map_err(io_error)?;
                let path = match dir.as_str() {
                    "" => entry.file_name().into(),
                    dir => Utf8PathBuf::from(format!("{dir}/{}", entry.file_name())),
                };
                match entry.path().metadata() {
                    Ok(metadata) if metadata.is_dir() => pending.push(path),
                    Ok(_) => found.push(path),
                    // A link to nothing, as editors use for their locks.
                    Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(io_error(source)),
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Files that are not written yet, on top of others.
pub struct Overlay<'a> {
    base: &'a dyn Files,
    /// `None` for those that are gone.
    files: BTreeMap<Utf8PathBuf, Option<String>>,
}

impl<'a> Overlay<'a> {
    /// The same files as `base`.
    pub fn new(base: &'a dyn Files) -> Self {
        Self {
            base,
            files: BTreeMap::new(),
        }
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<Utf8PathBuf>, text: impl Into<String>) {
        self.files.insert(path.into(), Some(text.into()));
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: impl Into<Utf8PathBuf>) {
        self.files.insert(path.into(), None);
    }
}

impl Files for Overlay<'_> {
    fn read(&self, path: &Utf8Path) -> Result<Option<String>, FileError> {
        match self.files.get(path) {
            Some(text) => Ok(text.clone()),
            None => self.base.read(path),
        }
    }

    fn list(&self, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, FileError> {
        let mut found = self.base.list(dir)?;
        found.retain(|it| self.files.get(it).is_none_or(Option::is_some));
        let there = self.files.iter().filter(|it| it.1.is_some());
        found.extend(
            there
                .map(|it| it.0)
                .filter(|it| it.starts_with(dir))
                .cloned(),
        );
        found.sort();
        found.dedup();
        Ok(found)
    }
}
