//! The file trees that are built into the tool.

use camino::{Utf8Path, Utf8PathBuf};
use include_dir::{Dir, File, include_dir};

use super::{RenderError, Result};

static SCAFFOLDS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/scaffolds");
static RUNTIME: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/runtime/src");

/// One embedded file.
pub(super) struct Embedded {
    /// Its path in the tree, without the `.jinja` that keeps cargo and git from reading it as their own.
    pub(super) path: Utf8PathBuf,
    /// Its text.
    pub(super) text: &'static str,
}

/// The files of `scaffolds/<name>`, sorted by path.
///
/// # Errors
/// If a file is not text.
pub(super) fn scaffold(name: &str) -> Result<Vec<Embedded>> {
    SCAFFOLDS
        .get_dir(name)
        .map_or_else(|| Ok(Vec::new()), |tree| files(tree, name))
}

/// The sources of the runtime, sorted by path, relative to its `src`.
///
/// # Errors
/// If a file is not text.
pub(super) fn runtime_sources() -> Result<Vec<Embedded>> {
    files(&RUNTIME, "")
}

fn files(tree: &'static Dir<'static>, root: &str) -> Result<Vec<Embedded>> {
    let mut found = Vec::new();
    let mut pending = vec![tree];
    while let Some(dir) = pending.pop() {
        pending.extend(dir.dirs());
        for file in dir.files() {
            found.push(embedded(file, root)?);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn embedded(file: &'static File<'static>, root: &str) -> Result<Embedded> {
    let not_utf8 = || RenderError::NotUtf8 {
        file: file.path().display().to_string(),
    };
    let text = file.contents_utf8().ok_or_else(not_utf8)?;
    let path = Utf8Path::from_path(file.path()).ok_or_else(not_utf8)?;
    // Below Windows the separator is `\`; outputs always have `/`.
    let path = path.as_str().replace('\\', "/");
    let path = Utf8Path::new(&path);
    let path = path.strip_prefix(root).unwrap_or(path);
    Ok(Embedded {
        path: real_name(path),
        text,
    })
}

/// `app/_gitignore.jinja` stands for `app/.gitignore`.
fn real_name(path: &Utf8Path) -> Utf8PathBuf {
    let Some(name) = path.file_name() else {
        return path.to_owned();
    };
    let name = name.strip_suffix(".jinja").unwrap_or(name);
    match name.strip_prefix('_') {
        Some(hidden) => path.with_file_name(format!(".{hidden}")),
        None => path.with_file_name(name),
    }
}
