//! `cargo codegen subsystem`.

use clap::{Args, Subcommand, ValueEnum};

use super::entity::answer;
use super::{Context, Writing};
use crate::failure::Failure;
use crate::generate;
use crate::model::Subsystem;
use crate::report::{self, Outcome};
use crate::request;
use crate::survey::{self, View};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Every subsystem, and whether it is installed
    List,
    /// Install a subsystem: configuration, migration, starting files
    Install(Install),
}

#[derive(Debug, Args)]
pub(super) struct Install {
    /// Which one
    #[arg(value_enum)]
    name: SubsystemName,
    /// Install what it needs, too
    #[arg(long)]
    with_dependencies: bool,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SubsystemName {
    /// Typed events through a transactional outbox
    Events,
    /// Durable jobs; needs events
    Jobs,
    /// Event to job triggers; needs events and jobs
    Bridge,
}

impl Command {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::List => "subsystem list",
            Self::Install(_) => "subsystem install",
        }
    }
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Outcome, Failure> {
    match command {
        Command::List => list(context),
        Command::Install(arguments) => install(arguments, context),
    }
}

fn list(context: &Context) -> Result<Outcome, Failure> {
    let loaded = generate::load(&context.site()?.files())?;
    let subsystems = survey::subsystems(&loaded.model.config);
    Ok(answer(loaded, View::Subsystems { subsystems }))
}

/// The noun alone: the list, and the next step.
pub(super) fn noun(context: &Context) -> Result<Outcome, Failure> {
    let next = survey::subsystem_steps(&generate::load(&context.site()?.files())?.model);
    let outcome = list(context)?;
    Ok(Outcome { next, ..outcome })
}

fn install(arguments: &Install, context: &Context) -> Result<Outcome, Failure> {
    let site = context.site_to_write(arguments.writing)?;
    let wanted = match arguments.name {
        SubsystemName::Events => Subsystem::Events,
        SubsystemName::Jobs => Subsystem::Jobs,
        SubsystemName::Bridge => Subsystem::Bridge,
    };
    let with_dependencies = arguments.with_dependencies;
    let agree = |question: &str| {
        with_dependencies || report::confirm(question, context.options) == Some(true)
    };
    let addition = request::subsystem_install(&site, wanted, agree, context.now()?)?;
    context.write(&site, &addition, arguments.writing)
}
