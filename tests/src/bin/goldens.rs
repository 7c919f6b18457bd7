//! `cargo goldens`: rewrites every golden file from what the tool does now.

use std::process::ExitCode;

use codegen_tests::tool;

fn main() -> anyhow::Result<ExitCode> {
    let status = tool::cargo()
        .current_dir(tool::repository())
        .env("CARGO_TARGET_DIR", tool::target_dir())
        .env("UPDATE_GOLDENS", "1")
        .args([
            "test",
            "--package",
            "cargo-codegen",
            "--package",
            "codegen-tests",
        ])
        .arg("--no-fail-fast")
        .status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
