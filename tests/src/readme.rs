//! The README's commands, run as a reader would.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use camino::Utf8Path;

use crate::app::App;
use crate::tool;

/// Commands that CI runs by themselves, from this repository.
const RUN_BY_CI: [&str; 2] = ["cargo demo", "cargo test --workspace"];

/// The commands of the README's shell blocks, one block after the other.
///
/// # Errors
/// If the README cannot be read.
pub fn blocks() -> Result<Vec<Vec<String>>> {
    let text = fs_err::read_to_string(tool::repository().join("README.md"))?;
    let mut blocks = Vec::new();
    for part in text.split("```sh\n").skip(1) {
        let block = part.split("```").next().unwrap_or_default();
        let lines = block
            .lines()
            .map(|line| line.split(" # ").next().unwrap_or_default().trim());
        blocks.push(
            lines
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
        );
    }
    Ok(blocks)
}

/// Runs the tour: every command of the README that is not one of CI's own, in order, in one shell's directory.
///
/// # Errors
/// If a command fails, or the served app does not answer.
pub fn tour(parent: &Utf8Path) -> Result<()> {
    let ci = fs_err::read_to_string(tool::repository().join(".ci/run"))?;
    let mut dir = tool::repository();
    let mut environment = Vec::new();
    for command in blocks()?.concat() {
        if RUN_BY_CI.contains(&command.as_str()) {
            ensure!(ci.contains(&command), "`.ci/run` does not run `{command}`");
        } else if let Some(assignment) = command.strip_prefix("export ") {
            let (name, value) = assignment
                .split_once('=')
                .context("an export without a value")?;
            environment.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        } else if command == "cargo run -- serve" {
            serve(&dir, &environment)?;
        } else if command.starts_with("cargo install --path") {
            install(&command, &parent.join("tools"))?;
            dir = parent.to_owned();
        } else {
            let (line, next) = match command.split_once(" && cd ") {
                Some((line, next)) => (line, Some(next)),
                None => (command.as_str(), None),
            };
            shell(&dir, line, &parent.join("tools/bin"), &environment)?;
            if let Some(next) = next {
                dir = dir.join(next);
                tool::pin_dependencies(&dir)?;
            } else {
                builds_without_warnings(&dir, line)?;
            }
        }
    }
    Ok(())
}

/// The reader's home is not ours to change, and an optimised build is of no use here.
fn install(command: &str, root: &Utf8Path) -> Result<()> {
    let words = command.split_whitespace().skip(1);
    tool::run(
        tool::cargo()
            .current_dir(tool::repository())
            .args(words)
            .args(["--debug", "--quiet", "--root", root.as_str()])
            .args(["--target-dir", tool::target_dir().as_str()]),
    )?;
    Ok(())
}

fn shell(
    dir: &Utf8Path,
    line: &str,
    bin: &Utf8Path,
    environment: &[(String, String)],
) -> Result<()> {
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    for attempt in ["first", "second"] {
        tool::run(
            tool::share_builds(tool::clean(&mut Command::new("sh")))
                .args(["-ec", line])
                .current_dir(dir)
                .env("PATH", &path)
                .envs(environment.iter().cloned())
                .stdin(Stdio::null()),
        )
        .with_context(|| format!("the {attempt} run"))?;
    }
    Ok(())
}

fn builds_without_warnings(dir: &Utf8Path, after: &str) -> Result<()> {
    let mut check = tool::cargo_in(dir);
    check.args(["check", "--workspace", "--all-targets", "--quiet"]);
    let output = check.output()?;
    if !output.status.success() || !output.stderr.is_empty() {
        bail!("after `{after}`: {}", tool::failure(&check, &output));
    }
    Ok(())
}

fn serve(dir: &Utf8Path, environment: &[(String, String)]) -> Result<()> {
    let url = environment.iter().find(|(name, _)| name == "DATABASE_URL");
    let (_, url) = url.context("the README sets no DATABASE_URL before it serves")?;
    let server = App {
        binary: crate::app::build(dir, dir.file_name().unwrap_or_default())?,
        workspace: dir.to_owned(),
        database_url: url.clone(),
    }
    .serve()?;
    for path in ["/products", "/openapi.json"] {
        let (status, body) = server.request("GET", path, None)?;
        ensure!(status == 200, "GET {path} answered {status}: {body}");
    }
    server.stop()
}
