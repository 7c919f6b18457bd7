//! The README's commands, run as a reader would.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use camino::Utf8Path;

use crate::app::App;
use crate::tool;

/// Commands that CI runs by themselves, from this repository.
const RUN_BY_CI: [&str; 2] = ["cargo demo", "cargo test --workspace"];

/// What a reader does.
enum Act {
    /// Types a command.
    Command(String),
    /// Edits files as a patch shows it.
    Edit(String),
}

/// The commands and patches of the README, in order.
fn acts() -> Result<Vec<Act>> {
    let text = fs_err::read_to_string(tool::repository().join("README.md"))?;
    let mut acts = Vec::new();
    for block in text.split("\n```").skip(1).step_by(2) {
        match block.split_once('\n') {
            Some(("sh", lines)) => {
                let commands = lines
                    .lines()
                    .map(|line| line.split(" # ").next().unwrap_or_default().trim())
                    .filter(|it| !it.is_empty());
                acts.extend(commands.map(|it| Act::Command(it.to_owned())));
            }
            Some(("diff", patch)) => acts.push(Act::Edit(format!("{patch}\n"))),
            _ => {}
        }
    }
    Ok(acts)
}

/// Runs the tour: every command of the README that is not one of CI's own, and every edit, in order, in one shell's
/// directory.
///
/// # Errors
/// If a command fails, or the served app does not answer.
pub fn tour(parent: &Utf8Path) -> Result<()> {
    let ci = fs_err::read_to_string(tool::repository().join(".ci/run"))?;
    let mut dir = tool::repository();
    let mut environment = Vec::new();
    for act in acts()? {
        let command = match act {
            Act::Command(command) => command,
            Act::Edit(patch) => {
                edit(&dir, &patch)?;
                continue;
            }
        };
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

fn edit(dir: &Utf8Path, patch: &str) -> Result<()> {
    let mut git = Command::new("git");
    // The workspace is in no repository, even where it lies within this one.
    git.env("GIT_CEILING_DIRECTORIES", dir.parent().unwrap_or(dir))
        .args(["apply", "-"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = git.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(patch.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "{patch}{}",
        tool::failure(&git, &output)
    );
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
