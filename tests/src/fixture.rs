//! Fixture workspaces: what goes in, the commands, and the tree that must come out.
//!
//! `fixtures/<name>/steps` has one command a line: `codegen <words>` runs the tool in the workspace (the
//! line `codegen new <dir>` makes it), `overlay <dir>` copies a directory of the fixture over it.
//! `fixtures/<name>/expected` is the outcome, without the vendored runtime.

use anyhow::{Context, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::{tool, tree};

/// One directory of `fixtures/`.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// Its name.
    pub name: String,
    dir: Utf8PathBuf,
}

/// Every fixture that has steps, sorted by name.
///
/// # Errors
/// If `fixtures/` cannot be read.
pub fn all() -> Result<Vec<Fixture>> {
    let mut found = Vec::new();
    for entry in tool::repository().join("fixtures").read_dir_utf8()? {
        let dir = entry?.into_path();
        if dir.join("steps").exists() {
            let name = dir.file_name().unwrap_or_default().to_owned();
            found.push(Fixture { name, dir });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The fixture of this name.
///
/// # Errors
/// If there is none.
pub fn named(name: &str) -> Result<Fixture> {
    all()?
        .into_iter()
        .find(|it| it.name == name)
        .with_context(|| format!("no fixture `{name}`"))
}

/// A step of a fixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Words for `cargo codegen`.
    Codegen(Vec<String>),
    /// A directory of the fixture to copy over the workspace.
    Overlay(String),
}

impl Fixture {
    /// The tree that must come out.
    pub fn expected(&self) -> Utf8PathBuf {
        self.dir.join("expected")
    }

    /// The fixture's steps, in order.
    ///
    /// # Errors
    /// If the file cannot be read or a line is no step.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let text = fs_err::read_to_string(self.dir.join("steps"))?;
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| match line.split_once(' ') {
                Some(("codegen", words)) => Ok(Step::Codegen(
                    words.split_whitespace().map(str::to_owned).collect(),
                )),
                Some(("overlay", dir)) => Ok(Step::Overlay(dir.trim().to_owned())),
                _ => bail!("{}/steps: `{line}` is no step", self.name),
            })
            .collect()
    }

    /// Carries out the steps below `parent`, calling `done` after each, and returns the workspace.
    ///
    /// # Errors
    /// If a step fails.
    pub fn build(
        &self,
        parent: &Utf8Path,
        mut done: impl FnMut(&Step, &Utf8Path) -> Result<()>,
    ) -> Result<Utf8PathBuf> {
        let workspace = parent.join(&self.name);
        for step in self.steps()? {
            match &step {
                Step::Codegen(words) => {
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    let dir = if words[0] == "new" {
                        parent
                    } else {
                        &workspace
                    };
                    tool::run(&mut tool::codegen(dir, &words)?)
                        .with_context(|| format!("fixture {}", self.name))?;
                }
                Step::Overlay(dir) => tree::copy(&self.dir.join(dir), &workspace)?,
            }
            ensure!(
                workspace.exists(),
                "{}: the first step makes no `{workspace}`",
                self.name
            );
            done(&step, &workspace)?;
        }
        Ok(workspace)
    }
}
