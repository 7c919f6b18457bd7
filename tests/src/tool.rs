//! Running `cargo codegen`, cargo, and the programs that they make.

use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};

/// The moment that goldens are generated at.
pub const GOLDEN_NOW: &str = "2026-11-23T10:15:00Z";

/// The root of this repository.
pub fn repository() -> Utf8PathBuf {
    let manifest_dir = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir).to_owned()
}

/// Where this repository's build output goes.
pub fn target_dir() -> Utf8PathBuf {
    std::env::var("CARGO_TARGET_DIR").map_or_else(
        |_| repository().join("target"),
        |dir| repository().join(dir),
    )
}

/// A cargo command that does not inherit what the cargo around us set.
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    clean(&mut command);
    command
}

/// Takes from a command's environment what the cargo around us set, so that a cargo that it starts neither
/// mixes up packages nor invalidates the user's build.
pub fn clean(command: &mut Command) -> &mut Command {
    // What the user chose for every build.
    let kept = ["CARGO_HOME", "CARGO_INCREMENTAL", "CARGO_NET_OFFLINE"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO_") && !kept.contains(&&*text);
        if ours || text == "RUSTFLAGS" {
            command.env_remove(&name);
        }
    }
    command
}

/// Gives a generated workspace the dependency versions that the fixtures are tested with.
///
/// # Errors
/// If the lock file cannot be copied.
pub fn pin_dependencies(workspace: &Utf8Path) -> Result<()> {
    let pinned = repository().join("fixtures/Cargo.lock");
    if pinned.exists() {
        fs_err::copy(pinned, workspace.join("Cargo.lock"))?;
    }
    Ok(())
}

/// Cargo in a generated workspace, with the build directory of all of them.
pub fn cargo_in(workspace: &Utf8Path) -> Command {
    let mut command = cargo();
    share_builds(command.current_dir(workspace));
    command
}

/// Lets the cargo that a command starts use the build directory of all generated workspaces: SeaORM is compiled once,
/// whatever their profiles say of debug information.
pub fn share_builds(command: &mut Command) -> &mut Command {
    command
        .env("CARGO_TARGET_DIR", generated_target_dir())
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
}

/// The build directory of generated workspaces.
pub fn generated_target_dir() -> Utf8PathBuf {
    target_dir().join("generated")
}

/// The `cargo-codegen` binary, built once per process.
///
/// # Errors
/// If it does not build.
pub fn binary() -> Result<&'static Utf8Path> {
    static BINARY: OnceLock<Result<Utf8PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| build("cargo-codegen", "cargo-codegen").map_err(|it| format!("{it:#}")))
        .as_deref()
        .map_err(|it| anyhow::anyhow!("{it}"))
}

/// `sea-orm-cli` on the `PATH`; `None` if there is none.
pub fn sea_orm_cli() -> Option<Utf8PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("sea-orm-cli"))
        .find(|file| file.exists());
    found.and_then(|file| Utf8PathBuf::from_path_buf(file).ok())
}

/// Builds one binary of this repository and returns its path.
///
/// # Errors
/// If it does not build.
pub fn build(package: &str, bin: &str) -> Result<Utf8PathBuf> {
    let output = cargo()
        .current_dir(repository())
        .env("CARGO_TARGET_DIR", target_dir())
        .args(["build", "--quiet", "--package", package, "--bin", bin])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "{package} does not build");
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|it| it["target"]["name"] == bin)
        .find_map(|it| it["executable"].as_str().map(Utf8PathBuf::from))
        .with_context(|| format!("cargo named no executable for {bin}"))
}

/// `cargo codegen` with these words, in this directory, at a fixed moment.
///
/// # Errors
/// If the binary does not build.
pub fn codegen(dir: &Utf8Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .arg("codegen")
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::null())
        .env("CARGO_CODEGEN_NOW", GOLDEN_NOW)
        .env("NO_COLOR", "1");
    Ok(command)
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// If it cannot be started or fails; the error holds all that it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", words(command)))?;
    if !output.status.success() {
        bail!("{}", failure(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a failed command was, and what it printed.
pub fn failure(command: &Command, output: &Output) -> String {
    format!(
        "`{}` failed with {}\n{}{}",
        words(command),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn words(command: &Command) -> String {
    let program = Utf8PathBuf::from(command.get_program().to_string_lossy().into_owned());
    let mut text = program.file_name().unwrap_or_default().to_owned();
    for word in command.get_args() {
        text.push(' ');
        text += &word.to_string_lossy();
    }
    text
}
