//! `cargo codegen skills`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{Context, written};
use crate::failure::Failure;
use crate::render;
use crate::report::Outcome;
use crate::request;
use crate::survey::{SkillRow, View};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Every guide, and what it is for
    List,
    /// Write guides into the workspace
    Install(Install),
}

#[derive(Debug, Args)]
pub(super) struct Install {
    /// Which; all unless one is named
    names: Vec<String>,
    /// Where assistants look for them
    #[arg(long, value_name = "DIR", default_value = ".claude/skills")]
    dir: Utf8PathBuf,
    /// Print what would be written as a unified diff, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Command {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::List => "skills list",
            Self::Install(_) => "skills install",
        }
    }
}

pub(super) fn run(command: Option<&Command>, context: &Context) -> Result<Outcome, Failure> {
    match command {
        None | Some(Command::List) => list(),
        Some(Command::Install(arguments)) => install(arguments, context),
    }
}

fn list() -> Result<Outcome, Failure> {
    let skills = render::skills().map_err(Failure::other)?;
    let skills = skills.iter().map(SkillRow::new).collect();
    Ok(Outcome {
        view: Some(View::Skills { skills }),
        ..Outcome::default()
    })
}

fn install(arguments: &Install, context: &Context) -> Result<Outcome, Failure> {
    let site = context.bare_site()?.recovered(arguments.dry_run)?;
    let set = request::skills_install(&site, &arguments.names, &arguments.dir)?;
    written(&site, set, arguments.dry_run)
}
