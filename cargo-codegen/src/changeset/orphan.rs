//! Generated files whose definition is gone.

use camino::{Utf8Path, Utf8PathBuf};

use super::Change;
use super::lock::{Known, hash};
use crate::workspace::edit::{self, Refused};
use crate::workspace::{FileError, Files};

/// What becomes of the orphans.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    pub(super) changes: Vec<Change>,
    pub(super) notes: Vec<String>,
    /// Edited by hand: they stay, and stay in the lock.
    pub(super) kept: Vec<Utf8PathBuf>,
}

/// Deletes every recorded file that is not `wanted` any more, unless it was edited.
pub(super) fn find(
    files: &dyn Files,
    known: &Known,
    wanted: impl Fn(&Utf8Path) -> bool,
) -> Result<Orphans, FileError> {
    let mut orphans = Orphans::default();
    for path in known.generated() {
        if wanted(path) {
            continue;
        }
        let Some(found) = files.read(path)? else {
            continue;
        };
        if known.wrote(path, &hash(&found)) {
            orphans.changes.push(Change::deletion(path, found));
        } else {
            orphans.notes.push(format!(
                "{path} is kept: its definition is gone, but the file was edited by hand; delete it when you no longer need it"
            ));
            orphans.kept.push(path.to_owned());
        }
    }
    Ok(orphans)
}

/// A `mod` declaration that would point to a deleted file.
pub(super) enum Dangling {
    /// The parent file without it.
    Removed {
        /// The parent file.
        file: Utf8PathBuf,
        /// Its text now.
        before: String,
        /// Its text afterwards.
        after: String,
    },
    /// The user has to remove it.
    Left {
        /// The parent file.
        file: Utf8PathBuf,
        /// What to tell the user.
        note: String,
    },
}

/// Looks for the declaration of a deleted Rust file. `read` gives the text of a file that stays.
pub(super) fn dangling<E>(
    deleted: &Utf8Path,
    mut read: impl FnMut(&Utf8Path) -> Result<Option<String>, E>,
) -> Result<Option<Dangling>, E> {
    if deleted.extension() != Some("rs") {
        return Ok(None);
    }
    let (Some(stem), Some(dir)) = (deleted.file_stem(), deleted.parent()) else {
        return Ok(None);
    };
    let (module, parents) = if stem == "mod" {
        match (dir.file_name(), dir.parent()) {
            (Some(module), Some(above)) => (module, candidates(above)),
            _ => return Ok(None),
        }
    } else {
        (stem, candidates(dir))
    };
    for file in parents.into_iter().filter(|it| it != deleted) {
        let Some(before) = read(&file)? else { continue };
        match edit::remove_module(&before, module) {
            Ok(None) => {}
            Ok(Some(after)) => {
                return Ok(Some(Dangling::Removed {
                    file,
                    before,
                    after,
                }));
            }
            Err(Refused { why, .. }) => {
                let note = format!(
                    "{file} still declares `mod {module}`, whose file is deleted; remove it by hand ({why})"
                );
                return Ok(Some(Dangling::Left { file, note }));
            }
        }
    }
    Ok(None)
}

/// Where the generated module of an owned `mod.rs` may be.
pub(super) fn generated_modules(path: &Utf8Path) -> [Utf8PathBuf; 2] {
    ["generated/mod.rs", "generated.rs"].map(|it| path.with_file_name(it))
}

/// What to say of an owned file that no definition asks for any more, and whose generated module is gone; `left`
/// are all such files.
pub(super) fn leftover(path: &Utf8Path, text: &str, left: &[Utf8PathBuf]) -> Option<String> {
    let dir = path
        .parent()
        .filter(|_| path.file_name() == Some("mod.rs"))?;
    if matches!(edit::remove_module(text, "generated"), Ok(None)) {
        return None;
    }
    let test = format!("tests/{}.rs", dir.file_name()?);
    let tests: String = left
        .iter()
        .filter(|it| it.ends_with(&test))
        .map(|it| format!(" and {it}"))
        .collect();
    Some(format!(
        "{path} does not compile without its definition, which is gone; delete {dir}{tests}, and the `mod` line of it, once you need nothing in there"
    ))
}

fn candidates(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut files: Vec<Utf8PathBuf> = ["mod.rs", "lib.rs", "main.rs"]
        .iter()
        .map(|it| dir.join(it))
        .collect();
    if dir.file_name().is_some() {
        files.push(dir.with_extension("rs"));
    }
    files
}
