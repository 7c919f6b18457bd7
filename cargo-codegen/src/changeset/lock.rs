//! `codegen.lock`: what was written, so that a hand edit can be told.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::workspace::merge;

/// Name of the lock file in the workspace root.
pub const LOCK_FILE: &str = "codegen.lock";

const FORMAT: u32 = 1;
const HEADER: &str = "# What `cargo codegen` has written, so that it can tell a hand edit. Commit this file; do not edit it.\n";

/// A `codegen.lock` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It is not what this program writes.
    #[error(
        "{LOCK_FILE} cannot be read: {0}; restore it from version control, or delete it and run again"
    )]
    Damaged(String),
    /// Another version has written it.
    #[error(
        "{LOCK_FILE} has the format {found}, and this version of cargo-codegen knows {FORMAT}: update cargo-codegen"
    )]
    Newer {
        /// The format in the file.
        found: u32,
    },
}

/// One generated file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The definition that it comes from.
    pub(super) source: String,
    /// Hash of the file.
    pub(super) sha256: String,
    /// Hash of the text before it was formatted.
    pub(super) rendered: String,
}

/// The content of a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) owned: BTreeSet<Utf8PathBuf>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) generated: BTreeMap<Utf8PathBuf, Entry>,
}

/// What is known of earlier runs: one lock, or the two sides of an unresolved merge.
#[derive(Debug, Default)]
pub(super) struct Known {
    sides: Vec<Lock>,
}

impl Known {
    /// Reads a lock file; conflict markers of a merge are understood.
    pub(super) fn read(text: Option<&str>) -> Result<Self, LockError> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let sides = if merge::has_conflict_markers(text) {
            merge::sides(text).to_vec()
        } else {
            vec![text.to_owned()]
        };
        let sides = sides.iter().map(|it| parse(it)).collect::<Result<_, _>>()?;
        Ok(Self { sides })
    }

    pub(super) fn entries<'a>(&'a self, path: &'a Utf8Path) -> impl Iterator<Item = &'a Entry> {
        self.sides
            .iter()
            .filter_map(move |it| it.generated.get(path))
    }

    /// Whether a run has left the file with this content.
    pub(super) fn wrote(&self, path: &Utf8Path, sha256: &str) -> bool {
        self.entries(path).any(|it| it.sha256 == sha256)
    }

    pub(super) fn owns(&self, path: &Utf8Path) -> bool {
        self.sides.iter().any(|it| it.owned.contains(path))
    }

    /// The lock, unless it has two sides.
    pub(super) fn only(&self) -> Option<&Lock> {
        match self.sides.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub(super) fn owned(&self) -> BTreeSet<&Utf8Path> {
        self.sides
            .iter()
            .flat_map(|it| &it.owned)
            .map(Utf8PathBuf::as_path)
            .collect()
    }

    pub(super) fn generated(&self) -> BTreeSet<&Utf8Path> {
        self.sides
            .iter()
            .flat_map(|it| it.generated.keys())
            .map(Utf8PathBuf::as_path)
            .collect()
    }
}

impl Lock {
    pub(super) fn new() -> Self {
        Self {
            version: FORMAT,
            ..Self::default()
        }
    }

    pub(super) fn render(&self) -> Result<String, LockError> {
        toml_edit::ser::to_string_pretty(self)
            .map(|it| format!("{HEADER}{it}"))
            .map_err(|error| LockError::Damaged(error.to_string()))
    }
}

/// Hash of a text, whatever its line endings: version control may have changed them.
pub(super) fn hash(text: &str) -> String {
    let text = normal(text);
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect()
}

/// The text with `\n` endings and without a byte order mark.
pub(super) fn normal(text: &str) -> String {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n")
}

/// Whether two texts differ in nothing but line endings and a byte order mark.
pub fn same_text(one: &str, other: &str) -> bool {
    normal(one) == normal(other)
}

fn parse(text: &str) -> Result<Lock, LockError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let damaged = |error: toml_edit::de::Error| LockError::Damaged(error.message().to_owned());
    let version: Version = toml_edit::de::from_str(text).map_err(damaged)?;
    if version.version > FORMAT {
        return Err(LockError::Newer {
            found: version.version,
        });
    }
    toml_edit::de::from_str(text).map_err(damaged)
}
