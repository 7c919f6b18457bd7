//! `cargo codegen migrate`.

use clap::Args;

use super::{Context, Writing};
use crate::failure::Failure;
use crate::report::{self, Outcome};
use crate::request::{self, Consent};
use crate::survey::{self, View};

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Write the migration
    #[arg(long)]
    write: bool,
    /// Write it also if it drops tables, columns or choices, or narrows them
    #[arg(long)]
    allow_destructive: bool,
    /// Write none: migrations of yours make the change, which is only remembered in schema.lock
    #[arg(long, conflicts_with_all = ["write", "allow_destructive"])]
    by_hand: bool,
    #[command(flatten)]
    writing: Writing,
}

impl Migrate {
    fn consent(&self) -> Consent {
        match (self.by_hand, self.allow_destructive) {
            (true, _) => Consent::ByHand,
            (false, true) => Consent::Destructive,
            (false, false) => Consent::Safe,
        }
    }
}

pub(super) fn migrate(arguments: &Migrate, context: &Context) -> Result<Outcome, Failure> {
    if arguments.write || arguments.by_hand || arguments.writing.dry_run {
        let site = context.site_to_write(arguments.writing)?;
        let write = |consent| context.write(&site, &request::migration(consent), arguments.writing);
        return match write(arguments.consent()) {
            Err(Failure::Lossy(costs)) if report::confirm_loss(&costs, context.options) => {
                write(Consent::Destructive)
            }
            result => result,
        };
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
