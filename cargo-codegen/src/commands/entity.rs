//! `cargo codegen entity`.

use clap::{Args, Subcommand};

use super::{Context, Writing};
use crate::failure::Failure;
use crate::generate::{self, Loaded};
use crate::report::{self, Outcome};
use crate::request;
use crate::survey::{self, EntityDetails, EntityRow, View};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Generate an entity; with field words, write its definition first
    New(New),
    /// Every entity
    List,
    /// One entity: fields, relations, queries, routes
    Show {
        /// Its name
        name: String,
    },
    /// Take an entity out: its definition and what is generated from it
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        writing: Writing,
    },
    /// Give an entity another name, and its table with it
    Rename {
        /// Its name
        from: String,
        /// Its new name (singular, snake_case)
        to: String,
        #[command(flatten)]
        writing: Writing,
    },
    /// Check every definition and write nothing
    Validate {
        /// Treat warnings as errors
        #[arg(long)]
        strict: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Field words: name:type[:modifier ...]
  types      string text integer bigint decimal float boolean uuid date time datetime json bytes
             enum:first,second   vector:dimensions=..
             belongs_to[:entity]  has_many[:entity]  has_one[:entity]
  modifiers  optional unique index default=.. max_length=.. min_length=.. min=.. max=..
             precision=.. scale=.. pattern=..

Example: cargo codegen entity new contact email:string:unique phone:string:optional account:belongs_to")]
pub(super) struct New {
    /// Name of the entity (singular, snake_case), or a definition file; asked for on a terminal
    name: Option<String>,
    /// Its fields
    #[arg(value_name = "FIELD:TYPE[:MODIFIER...]")]
    words: Vec<String>,
    /// Generate everything that the definitions describe
    #[arg(long, conflicts_with_all = ["name", "words"])]
    all: bool,
    #[command(flatten)]
    writing: Writing,
}

impl Command {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::New(_) => "entity new",
            Self::List => "entity list",
            Self::Show { .. } => "entity show",
            Self::Remove { .. } => "entity remove",
            Self::Rename { .. } => "entity rename",
            Self::Validate { .. } => "entity validate",
        }
    }
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Outcome, Failure> {
    match command {
        Command::New(arguments) => new(arguments, context),
        Command::List => list(context),
        Command::Show { name } => show(name, context),
        Command::Remove { name, writing } => {
            let site = context.site_to_write(*writing)?;
            context.remove(&site, &request::entity_remove(&site, name)?, *writing)
        }
        Command::Rename { from, to, writing } => {
            let site = context.site_to_write(*writing)?;
            let addition = request::entity_rename(&site, from, to)?;
            context.write(&site, &addition, *writing)
        }
        Command::Validate { strict } => validate(*strict, context),
    }
}

fn new(arguments: &New, context: &Context) -> Result<Outcome, Failure> {
    let site = context.site_to_write(arguments.writing)?;
    if arguments.all {
        return context.write(&site, &request::Addition::default(), arguments.writing);
    }
    let ask =
        |name: Option<&str>, entities: &[&str]| report::ask_entity(name, entities, context.options);
    let addition = request::entity_new(&site, arguments.name.as_deref(), &arguments.words, ask)?;
    context.write(&site, &addition, arguments.writing)
}

fn list(context: &Context) -> Result<Outcome, Failure> {
    let loaded = generate::load(&context.site()?.files())?;
    let entities = loaded.model.entities.iter().map(EntityRow::new).collect();
    Ok(answer(loaded, View::Entities { entities }))
}

/// The noun alone: the list, and the next step.
pub(super) fn noun(context: &Context) -> Result<Outcome, Failure> {
    let next = survey::entity_steps(&generate::load(&context.site()?.files())?.model);
    let outcome = list(context)?;
    Ok(Outcome { next, ..outcome })
}

fn show(name: &str, context: &Context) -> Result<Outcome, Failure> {
    let loaded = generate::load(&context.site()?.files())?;
    let details = EntityDetails::new(request::known_entity(&loaded.model, name)?);
    Ok(answer(loaded, View::Entity(details)))
}

fn validate(strict: bool, context: &Context) -> Result<Outcome, Failure> {
    let loaded = generate::load(&context.site()?.files())?;
    let loaded = if strict { loaded.strict()? } else { loaded };
    let view = View::Valid {
        entities: loaded.model.entities.len(),
        events: loaded.model.events.len(),
    };
    Ok(answer(loaded, view))
}

/// A view, and what the definitions' reader had to note.
pub(super) fn answer(loaded: Loaded, view: View) -> Outcome {
    Outcome {
        view: Some(view),
        sources: loaded.sources,
        problems: loaded.problems,
        ..Outcome::default()
    }
}
