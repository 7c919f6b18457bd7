//! `cargo codegen job`.

use clap::{Args, Subcommand};

use super::entity::answer;
use super::{Context, Writing};
use crate::failure::Failure;
use crate::generate;
use crate::report::Outcome;
use crate::request::{self, JobArguments};
use crate::survey::{self, JobRow, View};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write the stub of a job handler
    New(New),
    /// Every job handler
    List,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Field words: name:type[:nullable]
  types  uuid string number integer decimal boolean datetime day json array:<type>

Example: cargo codegen job new index_product product_id:uuid --on product_created")]
pub(super) struct New {
    /// Type of the job (snake_case)
    name: String,
    /// Its input
    #[arg(value_name = "FIELD:TYPE[:nullable]")]
    words: Vec<String>,
    /// The lane of work that it runs in
    #[arg(long)]
    pool: Option<String>,
    /// The entity that its runs belong to
    #[arg(long, value_name = "ENTITY")]
    scope: Option<String>,
    /// The event that starts it
    #[arg(long, value_name = "EVENT")]
    on: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

impl Command {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::New(_) => "job new",
            Self::List => "job list",
        }
    }
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Outcome, Failure> {
    match command {
        Command::New(arguments) => new(arguments, context),
        Command::List => list(context),
    }
}

fn new(arguments: &New, context: &Context) -> Result<Outcome, Failure> {
    let site = context.site_to_write(arguments.writing)?;
    let asked = JobArguments {
        job_type: arguments.name.clone(),
        words: arguments.words.clone(),
        pool: arguments.pool.clone(),
        scope: arguments.scope.clone(),
        on: arguments.on.clone(),
    };
    let addition = request::job_new(&site, &asked, context.now()?)?;
    context.write(&site, &addition, arguments.writing)
}

fn list(context: &Context) -> Result<Outcome, Failure> {
    let files = context.site()?.files();
    let loaded = generate::load(&files)?;
    let handlers = generate::handlers(&files, &loaded.model)?;
    let jobs = handlers.found.iter().map(JobRow::new).collect();
    let mut outcome = answer(loaded, View::Jobs { jobs });
    outcome.notes = handlers.notes;
    Ok(outcome)
}

/// The noun alone: the list, and the next step.
pub(super) fn noun(context: &Context) -> Result<Outcome, Failure> {
    let next = survey::job_steps(&generate::load(&context.site()?.files())?.model);
    let outcome = list(context)?;
    Ok(Outcome { next, ..outcome })
}
