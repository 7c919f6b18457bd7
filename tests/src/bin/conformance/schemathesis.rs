//! Schemathesis against a running app.

use std::process::Command;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use codegen_tests::tool;

/// What it looks at. Not among them: whether all is accepted that the document allows (it cannot say which ids exist),
/// whether what it does not allow is refused (`include=` is an empty list here, and one unknown name there), and whether
/// what was created stays (other requests delete it).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,allow_header_conformance,missing_required_header,\
                      use_after_free";

/// Says that it could not be installed where everything else is required.
const WITHOUT: &str = "CODEGEN_TEST_WITHOUT_SCHEMATHESIS";

/// The installed program; `None` (and a line that says so) if there is none.
///
/// # Errors
/// If there is none and `CI=true`.
pub(crate) fn find() -> Result<Option<Utf8PathBuf>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("schemathesis"))
        .find(|file| file.is_file());
    if let Some(file) = found.and_then(|it| Utf8PathBuf::from_path_buf(it).ok()) {
        return Ok(Some(file));
    }
    if std::env::var_os(WITHOUT).is_some() {
        println!("skipped: schemathesis, it is not installed");
    } else if std::env::var("CI").as_deref() == Ok("true") {
        bail!("schemathesis is not installed (`pip install schemathesis`)");
    } else {
        println!("NOT RUN: schemathesis, it is not installed (`pip install schemathesis`)");
    }
    Ok(None)
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
