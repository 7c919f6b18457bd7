//! Building the generated workspace, with progress.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use codegen_tests::tool;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line of progress every so many crates, where no terminal shows the bar.
const EVERY: usize = 50;

/// Builds the app and returns its executable.
pub(crate) fn app(workspace: &Utf8Path, name: &str) -> Result<Utf8PathBuf> {
    let mut child = tool::cargo_in(workspace)
        .args(["build", "--color", "never", "--bin", name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let stderr = child.stderr.take().context("cargo has no standard error")?;
    let terminal = std::io::stderr().is_terminal();
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(
        "      {spinner} {elapsed} {pos} crates  {msg}",
    )?);
    let mut text = String::new();
    let mut crates = 0;
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if let Some(compiled) = line.trim_start().strip_prefix("Compiling ") {
            crates += 1;
            bar.inc(1);
            bar.set_message(compiled.to_owned());
            if !terminal && crates % EVERY == 0 {
                println!("      {crates} crates, {compiled}");
            }
        }
        text += &line;
        text.push('\n');
    }
    bar.finish_and_clear();
    ensure!(
        child.wait()?.success(),
        "the generated workspace does not build:\n{text}"
    );
    ensure!(
        !text.contains("warning:"),
        "the generated workspace builds with warnings:\n{text}"
    );
    println!("      built, without a warning");
    Ok(tool::generated_target_dir().join("debug").join(name))
}
