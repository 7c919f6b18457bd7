//! The workspace's own rustfmt.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use regex::Regex;

use crate::workspace::Workspace;

/// Files in one process; starting one costs as much as formatting several.
const BATCH: usize = 16;

/// A Rust file that is to be formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unformatted {
    /// Where it will stand, relative to the workspace root.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
}

/// Files that could not be formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// There is no rustfmt.
    #[error("rustfmt is not installed; install it with `rustup component add rustfmt`")]
    Missing,
    /// rustfmt has refused a file; its own words.
    #[error("rustfmt cannot format {path}: {message}")]
    Refused {
        /// The file.
        path: Utf8PathBuf,
        /// What rustfmt says.
        message: String,
    },
    /// rustfmt could not be run.
    #[error("cannot run rustfmt: {0}")]
    Io(#[from] io::Error),
}

/// Formats Rust files.
pub trait Formatter: Sync {
    /// The formatted texts, in the order of the files.
    ///
    /// # Errors
    /// If a file is no valid Rust, or the formatter cannot be run.
    fn format(&self, files: &[Unformatted]) -> Result<Vec<String>, FormatError>;
}

/// rustfmt as `cargo fmt` would run it: with the nearest `rustfmt.toml` and the edition of the package.
#[derive(Debug, Clone)]
pub struct Rustfmt {
    program: OsString,
    root: Utf8PathBuf,
    editions: BTreeMap<Utf8PathBuf, String>,
}

impl Rustfmt {
    /// For a workspace that exists.
    pub fn new(workspace: &Workspace) -> Self {
        Self {
            program: program(),
            root: workspace.root.clone(),
            editions: workspace
                .packages
                .iter()
                .map(|it| (it.dir.clone(), it.edition.clone()))
                .collect(),
        }
    }

    /// For a directory in which no package is known.
    pub fn in_dir(root: impl Into<Utf8PathBuf>) -> Self {
        Self {
            program: program(),
            root: root.into(),
            editions: BTreeMap::new(),
        }
    }

    /// Another program than `$RUSTFMT` or the `rustfmt` in `$PATH`.
    #[must_use]
    pub fn program(mut self, program: impl Into<OsString>) -> Self {
        self.program = program.into();
        self
    }

    fn edition(&self, path: &Utf8Path) -> &str {
        path.ancestors()
            .find_map(|it| self.editions.get(it))
            .map_or("2024", String::as_str)
    }

    /// The `rustfmt.toml` that rustfmt would find from the file's own place.
    fn config(&self, path: &Utf8Path) -> Option<Utf8PathBuf> {
        self.root.join(path).ancestors().skip(1).find_map(|dir| {
            ["rustfmt.toml", ".rustfmt.toml"]
                .map(|it| dir.join(it))
                .into_iter()
                .find(|it| it.is_file())
        })
    }

    fn command(&self, settings: &Settings) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--edition", &settings.edition]);
        if let Some(config) = &settings.config {
            command.arg("--config-path").arg(config);
        }
        if self.root.is_dir() {
            command.current_dir(&self.root);
        }
        command
    }

    fn format_batch(
        &self,
        settings: &Settings,
        batch: &[&Unformatted],
    ) -> Result<Vec<String>, FormatError> {
        let dir = tempfile::tempdir()?;
        let paths: Vec<_> = (0..batch.len())
            .map(|it| dir.path().join(format!("file_{it}.rs")))
            .collect();
        for (path, file) in paths.iter().zip(batch) {
            fs_err::write(path, &file.text)?;
        }
        let output = self
            .command(settings)
            .args(&paths)
            .stdin(Stdio::null())
            .output()
            .map_err(not_run)?;
        if output.status.success() {
            return paths
                .iter()
                .map(|it| Ok(fs_err::read_to_string(it)?))
                .collect();
        }
        // One file of the batch is wrong: find out which, and have it said with its own path.
        batch
            .iter()
            .map(|it| self.format_one(settings, it))
            .collect()
    }

    /// Through standard input, where rustfmt does not follow `mod x;` to other files.
    fn format_one(&self, settings: &Settings, file: &Unformatted) -> Result<String, FormatError> {
        let mut child = self
            .command(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_run)?;
        let stdin = child.stdin.take();
        let output = std::thread::scope(|scope| {
            let writer = scope.spawn(move || match stdin {
                Some(mut stdin) => stdin.write_all(file.text.as_bytes()),
                None => Ok(()),
            });
            let output = child.wait_with_output()?;
            match writer.join() {
                Ok(Err(error)) if output.status.success() => Err(error),
                _ => Ok(output),
            }
        })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        Err(FormatError::Refused {
            path: file.path.clone(),
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Settings {
    edition: String,
    config: Option<Utf8PathBuf>,
    /// Declares modules in other files, so that it must go through standard input.
    alone: bool,
}

impl Formatter for Rustfmt {
    fn format(&self, files: &[Unformatted]) -> Result<Vec<String>, FormatError> {
        let mut groups: BTreeMap<Settings, Vec<usize>> = BTreeMap::new();
        for (index, file) in files.iter().enumerate() {
            let settings = Settings {
                edition: self.edition(&file.path).to_owned(),
                config: self.config(&file.path),
                alone: declares_modules(&file.text),
            };
            groups.entry(settings).or_default().push(index);
        }
        let batches: Vec<(&Settings, &[usize])> = groups
            .iter()
            .flat_map(|(settings, indexes)| {
                let size = if settings.alone { 1 } else { BATCH };
                indexes.chunks(size).map(move |it| (settings, it))
            })
            .collect();
        let formatted: Vec<Vec<(usize, String)>> = batches
            .par_iter()
            .map(|(settings, indexes)| {
                let batch: Vec<&Unformatted> = indexes.iter().map(|it| &files[*it]).collect();
                let texts = if settings.alone {
                    batch
                        .iter()
                        .map(|it| self.format_one(settings, it))
                        .collect()
                } else {
                    self.format_batch(settings, &batch)
                };
                Ok(indexes.iter().copied().zip(texts?).collect())
            })
            .collect::<Result<_, FormatError>>()?;
        let mut texts: Vec<(usize, String)> = formatted.into_iter().flatten().collect();
        texts.sort_by_key(|it| it.0);
        Ok(texts.into_iter().map(|it| it.1).collect())
    }
}

fn program() -> OsString {
    std::env::var_os("RUSTFMT").unwrap_or_else(|| "rustfmt".into())
}

fn declares_modules(text: &str) -> bool {
    Regex::new(r"\bmod\s+(r#)?\w+\s*;").is_ok_and(|it| it.is_match(text))
}

fn not_run(error: io::Error) -> FormatError {
    if error.kind() == io::ErrorKind::NotFound {
        FormatError::Missing
    } else {
        FormatError::Io(error)
    }
}
