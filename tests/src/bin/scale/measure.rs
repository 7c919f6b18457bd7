//! How long commands take, and how much code there is.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use camino::Utf8Path;
use codegen_tests::tool;
use walkdir::WalkDir;

/// What something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// On the clock.
    pub(crate) clock: Duration,
    /// Of all processors, by the commands that were started; other load does not change it much.
    pub(crate) processor: Option<Duration>,
}

impl Cost {
    /// Seconds of the processors; of the clock where nothing else is known.
    pub(crate) fn seconds(&self) -> f64 {
        self.processor.unwrap_or(self.clock).as_secs_f64()
    }
}

/// What it takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Cost, T)> {
    let (start, before) = (Instant::now(), processor_time());
    let done = work()?;
    let cost = Cost {
        clock: start.elapsed(),
        processor: processor_time()
            .zip(before)
            .map(|(now, before)| now - before),
    };
    Ok((cost, done))
}

/// The time of all processors that ended commands have used; `None` where the system has no `/proc`.
fn processor_time() -> Option<Duration> {
    let stat = fs_err::read_to_string("/proc/self/stat").ok()?;
    // Behind the name in parentheses: the 14th and the 15th field, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks(13)? + ticks(14)?)))
}

/// What a cargo command takes when the named packages are compiled from scratch and all that they depend on is there.
pub(crate) fn compile(workspace: &Utf8Path, packages: &[&str], words: &[&str]) -> Result<Cost> {
    for package in packages {
        cargo(workspace, &["clean", "--quiet", "--package", package])?;
    }
    Ok(timed(|| cargo(workspace, words))?.0)
}

/// Runs cargo as [`command`] has it.
pub(crate) fn cargo(workspace: &Utf8Path, words: &[&str]) -> Result<String> {
    tool::run(command(workspace).args(words))
}

/// Cargo with the profile that the workspace has, and without the leftovers of earlier compilations.
pub(crate) fn command(workspace: &Utf8Path) -> Command {
    let mut command = tool::cargo_in(workspace);
    command
        .env_remove("CARGO_PROFILE_DEV_DEBUG")
        .env("CARGO_INCREMENTAL", "0");
    command
}

/// Lines of Rust below a directory.
pub(crate) fn lines(dir: &Utf8Path) -> Result<usize> {
    let mut lines = 0;
    for entry in WalkDir::new(dir) {
        let entry = entry?;
        if entry.path().extension().is_some_and(|it| it == "rs") {
            lines += fs_err::read_to_string(entry.path())?.lines().count();
        }
    }
    Ok(lines)
}
