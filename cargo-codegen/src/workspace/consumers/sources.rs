//! The files to look into.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use syn::Item;

use super::{Place, UnknownUse};
use crate::workspace::rust_file::{self, RustFile};
use crate::workspace::{FileError, Files};

/// A parsed file.
pub(super) struct Source {
    pub(super) path: Utf8PathBuf,
    pub(super) text: String,
    pub(super) file: RustFile,
}

/// The files of some directories.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) parsed: Vec<Source>,
    /// What does not parse.
    pub(super) unknown: Vec<UnknownUse>,
}

/// Every Rust file below the directories that is not only for tests.
pub(super) fn read(files: &dyn Files, dirs: &[Utf8PathBuf]) -> Result<Sources, FileError> {
    let mut paths = BTreeSet::new();
    for dir in dirs {
        let found = files.list(dir)?.into_iter();
        paths.extend(found.filter(|it| it.extension() == Some("rs")));
    }
    let mut sources = Sources::default();
    let mut tests = Vec::new();
    for path in paths {
        let Some(text) = files.read(&path)? else {
            continue;
        };
        match RustFile::parse(&text) {
            Ok(file) => {
                tests.extend(test_modules(&path, &file.ast.items));
                sources.parsed.push(Source { path, text, file });
            }
            Err(error) => sources.unknown.push(UnknownUse {
                place: Place {
                    file: path,
                    line: error.line,
                    column: error.column,
                },
                what: "this file".to_owned(),
                why: format!("it is not valid Rust: {}", error.message),
                candidates: Vec::new(),
            }),
        }
    }
    let is_test = |path: &Utf8Path| {
        let mut tests = tests.iter();
        tests.any(|module: &Utf8PathBuf| {
            path.starts_with(module) || path.with_extension("") == *module
        })
    };
    sources.parsed.retain(|it| !is_test(&it.path));
    sources.unknown.retain(|it| !is_test(&it.place.file));
    Ok(sources)
}

/// Where the modules stand that a file declares for tests only: paths without `.rs`.
fn test_modules(path: &Utf8Path, items: &[Item]) -> Vec<Utf8PathBuf> {
    let dir = path.parent().unwrap_or(path);
    let below = match path.file_stem() {
        Some("mod" | "lib" | "main") | None => dir.to_owned(),
        Some(stem) => dir.join(stem),
    };
    let modules = items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && rust_file::is_test(&module.attrs) => {
            Some(match rust_file::path_attribute(&module.attrs) {
                Some(explicit) => dir.join(explicit).with_extension(""),
                None => below.join(rust_file::plain(&module.ident)),
            })
        }
        _ => None,
    });
    modules.collect()
}
