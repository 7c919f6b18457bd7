//! `cargo codegen migrate`.

use clap::Args;

use super::{Context, Writing};
use crate::failure::Failure;
use crate::report::Outcome;
use crate::request;
use crate::survey::{self, View};

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Write the migration
    #[arg(long)]
    write: bool,
    /// Write it also if it drops tables, columns or choices, or narrows them
    #[arg(long)]
    allow_destructive: bool,
    #[command(flatten)]
    writing: Writing,
}

pub(super) fn migrate(arguments: &Migrate, context: &Context) -> Result<Outcome, Failure> {
    if arguments.write || arguments.writing.dry_run {
        let site = context.site_to_write(arguments.writing)?;
        let addition = request::migration(arguments.allow_destructive);
        return context.write(&site, &addition, arguments.writing);
    }
    let site = context.site()?;
    let plan = context.plan(&site, &request::Addition::default(), false)?;
    Ok(Outcome {
        view: Some(View::Migration(survey::migration(&plan))),
        next: survey::migration_steps(&plan),
        sources: plan.loaded.sources,
        problems: plan.loaded.problems,
        ..Outcome::default()
    })
}
