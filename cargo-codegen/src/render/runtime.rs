//! The vendored runtime: a copy of `runtime-sea` in the user's workspace.

use super::Result;
use super::embedded::{runtime_sources, scaffold};
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
        .map(|file| (dir.join(file.path), file.text));
    let sources = runtime_sources()?
        .into_iter()
        .map(|file| (dir.join("src").join(file.path), file.text));
    Ok(manifest
        .chain(sources)
        .map(|(path, text)| Output {
            path,
            kind: OutputKind::Generated {
                source: concat!("runtime-sea ", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            content: text.to_owned(),
        })
        .collect())
}
