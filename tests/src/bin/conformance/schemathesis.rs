//! Schemathesis against a running app.

use std::process::Command;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use codegen_tests::tool;

/// What it looks at. Not among them: whether all is accepted that the document allows (it cannot say which ids exist),
/// and whether what was created stays (other requests delete it).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,missing_required_header,use_after_free";

/// The installed program, if there is one.
pub(crate) fn find() -> Option<Utf8PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join("schemathesis"))
        .find(|file| file.is_file())
        .and_then(|file| Utf8PathBuf::from_path_buf(file).ok())
}

/// Sends what the document allows and what it does not, in single requests and in sequences.
///
/// # Errors
/// If an answer is a 5xx or not in the document; with the requests that lead to it.
pub(crate) fn run(schemathesis: &Utf8Path, address: &str, workspace: &Utf8Path) -> Result<()> {
    tool::run(
        Command::new(schemathesis)
            .current_dir(workspace)
            .args(["run", &format!("{address}/openapi.json")])
            .args(["--checks", CHECKS])
            .args(["--max-examples", "25", "--seed", "1", "--workers", "1"])
            .args([
                "--suppress-health-check",
                "all",
                "--warnings",
                "off",
                "--no-color",
            ]),
    )?;
    Ok(())
}
