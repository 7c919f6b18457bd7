//! What an app says about itself: its OpenAPI document and its Hurl files.

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::app::Server;
use crate::{hurl, openapi};

/// Validates the document, carries the Hurl files out, and returns how many requests these are.
///
/// # Errors
/// Everything that is wrong with the document, or the first answer that is not what a file expects.
pub fn check(server: &Server, workspace: &Utf8Path) -> Result<usize> {
    let (status, document) = server.request("GET", "/openapi.json", None)?;
    ensure!(status == 200, "GET /openapi.json answered {status}");
    openapi::validate(&document)?;
    names_all_answers(&document)?;

    let files: Vec<Utf8PathBuf> = workspace
        .join("http")
        .read_dir_utf8()?
        .map(|it| Ok(it?.into_path()))
        .collect::<Result<_>>()?;
    let mut sent = 0;
    // Once more: what a file leaves behind is in nobody's way.
    for file in files.iter().chain(&files) {
        sent += hurl::run(server, file)?;
    }
    Ok(sent)
}

/// The document names every way in which a request can end.
fn names_all_answers(document: &Value) -> Result<()> {
    let paths = document["paths"].as_object().context("it has no paths")?;
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let has_body = operation["requestBody"].is_object();
            let of_bodies: &[&str] = if has_body {
                &["400", "413", "415"]
            } else {
                &[]
            };
            for status in ["500", "503"].iter().chain(of_bodies) {
                ensure!(
                    operation["responses"][status].is_object(),
                    "{method} {path} does not document {status}"
                );
            }
        }
    }
    Ok(())
}
