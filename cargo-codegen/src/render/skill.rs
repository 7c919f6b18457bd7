//! Guides for coding assistants, in the format that they read: a directory with a `SKILL.md`.

use camino::Utf8PathBuf;

use super::embedded::scaffold;
use super::{RenderError, Result};

/// One guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Its name, and that of its directory.
    pub name: String,
    /// When it is of use.
    pub description: String,
    /// Where it goes, below the directory of all skills.
    pub path: Utf8PathBuf,
    /// The whole file.
    pub text: &'static str,
}

/// Every guide that there is, sorted by name.
///
/// # Errors
/// If an embedded file is broken.
pub fn skills() -> Result<Vec<Skill>> {
    let files = scaffold("skills")?.into_iter();
    let skill = |file: super::embedded::Embedded| {
        let line = |key: &str| {
            let value = file.text.lines().find_map(|it| it.strip_prefix(key));
            value
                .map(|it| it.trim().to_owned())
                .ok_or_else(|| RenderError::Embedded {
                    file: file.path.to_string(),
                    reason: format!("it has no `{key}`"),
                })
        };
        Ok(Skill {
            name: line("name:")?,
            description: line("description:")?,
            text: file.text,
            path: file.path,
        })
    };
    files.map(skill).collect()
}
