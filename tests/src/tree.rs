//! File trees: copied, compared, and watched for touched files.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use similar::TextDiff;
use walkdir::WalkDir;

/// Directories that no tree in here is about: build output, and the vendored runtime,
/// which a test of its own compares with `runtime-sea/`.
const LEFT_OUT: [&str; 3] = ["target", "runtime-sea", ".git"];

/// Every file below `root` except what no golden holds, relative and sorted.
///
/// # Errors
/// If the tree cannot be read or a name is not UTF-8.
pub fn files(root: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut found = Vec::new();
    let walk = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in walk
        .filter_entry(|it| it.depth() != 1 || !LEFT_OUT.iter().any(|name| it.file_name() == *name))
    {
        let entry = entry?;
        let path = Utf8Path::from_path(entry.path()).context("a file name is not UTF-8")?;
        let relative = path.strip_prefix(root)?;
        if entry.file_type().is_file() && relative.as_str() != "Cargo.lock" {
            found.push(relative.to_owned());
        }
    }
    Ok(found)
}

/// Copies every file of `from` over `to`, creating directories.
///
/// # Errors
/// If a file cannot be read or written.
pub fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    for entry in WalkDir::new(from).sort_by_file_name() {
        let entry = entry?;
        let path = Utf8Path::from_path(entry.path()).context("a file name is not UTF-8")?;
        let target = to.join(path.strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs_err::create_dir_all(&target)?;
        } else {
            fs_err::copy(path, &target)?;
        }
    }
    Ok(())
}

/// The differences between two trees as a unified diff; empty if there are none.
///
/// # Errors
/// If a file cannot be read.
pub fn diff(expected: &Utf8Path, found: &Utf8Path) -> Result<String> {
    let mut paths = if expected.exists() {
        files(expected)?
    } else {
        Vec::new()
    };
    paths.extend(files(found)?);
    paths.sort();
    paths.dedup();
    let read = |path: Utf8PathBuf| -> Result<String> {
        Ok(if path.exists() {
            content(&path)?
        } else {
            String::new()
        })
    };
    let mut text = String::new();
    for path in paths {
        let before = read(expected.join(&path))?;
        let after = read(found.join(&path))?;
        if before != after || expected.join(&path).exists() != found.join(&path).exists() {
            text += &format!(
                "{}\n",
                TextDiff::from_lines(&before, &after)
                    .unified_diff()
                    .header(&format!("expected/{path}"), &format!("found/{path}"))
            );
        }
    }
    Ok(text)
}

/// Makes `golden` the same tree as `found`.
///
/// # Errors
/// If a file cannot be read or written.
pub fn replace(golden: &Utf8Path, found: &Utf8Path) -> Result<()> {
    if golden.exists() {
        fs_err::remove_dir_all(golden)?;
    }
    for path in files(found)? {
        let target = golden.join(&path);
        if let Some(dir) = target.parent() {
            fs_err::create_dir_all(dir)?;
        }
        fs_err::write(target, content(&found.join(&path))?)?;
    }
    Ok(())
}

/// The text of a file as a golden holds it: the lock's entries of the vendored runtime are left out as its files
/// are, or every change of the runtime would change every golden.
fn content(path: &Utf8Path) -> Result<String> {
    let text = String::from_utf8_lossy(&fs_err::read(path)?).into_owned();
    if path.file_name() != Some("codegen.lock") {
        return Ok(text);
    }
    let entries = text.split_inclusive("\n\n");
    Ok(entries
        .filter(|entry| !entry.starts_with("[generated.\"runtime-sea/"))
        .collect())
}

/// When each file was last modified.
///
/// # Errors
/// If the tree cannot be read.
pub fn modified(root: &Utf8Path) -> Result<BTreeMap<Utf8PathBuf, SystemTime>> {
    WalkDir::new(root)
        .into_iter()
        .filter_entry(|it| it.file_name() != "target")
        .filter(|it| it.as_ref().map_or(true, |it| it.file_type().is_file()))
        .map(|entry| {
            let entry = entry?;
            let path = Utf8Path::from_path(entry.path()).context("a file name is not UTF-8")?;
            Ok((path.to_owned(), entry.metadata()?.modified()?))
        })
        .collect()
}
