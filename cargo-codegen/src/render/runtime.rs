//! The vendored runtime: a copy of `runtime-sea` in the user's workspace, without the runtime's own tests.

use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};
use syn::spanned::Spanned;
use syn::{Attribute, Item};

use super::embedded::{runtime_sources, scaffold};
use super::{RenderError, Result};
use crate::changeset::{Output, OutputKind};
use crate::model::{Model, RuntimeSource};

/// The files of the runtime, if the workspace has a copy of it.
///
/// # Errors
/// If an embedded file is broken.
pub fn runtime(model: &Model) -> Result<Vec<Output>> {
    let RuntimeSource::Vendored(dir) = &model.config.runtime else {
        return Ok(Vec::new());
    };
    let manifest = scaffold("runtime")?
        .into_iter()
        .map(|file| (dir.join(file.path), file.text.to_owned()));
    let sources = sources()?
        .into_iter()
        .map(|(path, text)| (dir.join("src").join(path), text));
    Ok(manifest
        .chain(sources)
        .map(|(path, content)| Output {
            path,
            kind: OutputKind::Generated {
                source: concat!("runtime-sea ", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            content,
        })
        .collect())
}

/// The sources without the tests, which need crates that only this repository has.
fn sources() -> Result<Vec<(Utf8PathBuf, String)>> {
    let mut kept = Vec::new();
    let mut test_modules = Vec::new();
    for file in runtime_sources()? {
        let parsed = syn::parse_file(file.text).map_err(|error| RenderError::Embedded {
            file: file.path.to_string(),
            reason: error.to_string(),
        })?;
        let tests = parsed.items.iter().filter(|it| is_test(attributes(it)));
        let mut cuts: Vec<Range<usize>> = Vec::new();
        for item in tests {
            if let Item::Mod(module) = item
                && module.content.is_none()
            {
                test_modules.push(module_dir(&file.path).join(module.ident.to_string()));
            }
            cuts.push(item.span().byte_range());
        }
        kept.push((file.path, without(file.text, &cuts)));
    }
    kept.retain(|(path, _)| {
        let module = path.with_extension("");
        !test_modules.iter().any(|it| module.starts_with(it))
    });
    Ok(kept)
}

/// Where the modules that a file declares lie.
fn module_dir(file: &Utf8Path) -> Utf8PathBuf {
    match file.file_stem() {
        Some("lib" | "mod") | None => file.parent().unwrap_or(file).to_owned(),
        Some(_) => file.with_extension(""),
    }
}

fn without(text: &str, cuts: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for cut in cuts {
        kept.push_str(text[from..cut.start].trim_end());
        kept.push('\n');
        from = cut.end;
    }
    kept.push_str(&text[from..]);
    kept
}

/// Whether it is compiled for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().is_ident("cfg")
            && it
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}
