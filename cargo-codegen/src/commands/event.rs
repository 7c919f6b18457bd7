//! `cargo codegen event`.

use clap::{Args, Subcommand, ValueEnum};

use super::entity::answer;
use super::{Context, Writing};
use crate::failure::Failure;
use crate::generate;
use crate::model::{Direction, EventTier};
use crate::report::Outcome;
use crate::request::{self, EventArguments};
use crate::survey::{self, Consumers, EventDetails, EventRow, View};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Generate an event; with field words, write its definition first
    New(New),
    /// Every event
    List,
    /// One event: route, payload, who emits it
    Show {
        /// Its type
        name: String,
    },
    /// Take an event out: its definition and what is generated from it
    Remove {
        /// Its type
        name: String,
        #[command(flatten)]
        writing: Writing,
    },
    /// What the code does with an event: subscriptions, triggers, starts, waits, and who publishes it
    Consumers {
        /// Its type
        name: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Field words: name:type[:nullable]
  types  uuid string number integer decimal boolean datetime day json array:<type>

Example: cargo codegen event new product_created product_id:uuid --direction change --aggregate product")]
pub(super) struct New {
    /// Type of the event (snake_case)
    name: String,
    /// Its payload
    #[arg(value_name = "FIELD:TYPE[:nullable]")]
    words: Vec<String>,
    /// Its lane
    #[arg(long, value_enum)]
    direction: Option<DirectionName>,
    /// The entity that it is about
    #[arg(long, value_name = "ENTITY")]
    aggregate: Option<String>,
    /// `audit` for what is only observed and starts no job
    #[arg(long, value_enum)]
    tier: Option<TierName>,
    /// Where an inbound event comes from
    #[arg(long, value_name = "SYSTEM")]
    source: Option<String>,
    /// Where an outbound event goes
    #[arg(long, value_name = "SYSTEM")]
    destination: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DirectionName {
    Inbound,
    Change,
    Outbound,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TierName {
    Domain,
    Audit,
}

impl Command {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::New(_) => "event new",
            Self::List => "event list",
            Self::Show { .. } => "event show",
            Self::Remove { .. } => "event remove",
            Self::Consumers { .. } => "event consumers",
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
            context.remove(&site, &request::event_remove(&site, name)?, *writing)
        }
        Command::Consumers { name } => consumers(name, context),
    }
}

fn new(arguments: &New, context: &Context) -> Result<Outcome, Failure> {
    let site = context.site_to_write(arguments.writing)?;
    let asked = EventArguments {
        event_type: arguments.name.clone(),
        words: arguments.words.clone(),
        direction: arguments.direction.map(|it| match it {
            DirectionName::Inbound => Direction::Inbound,
            DirectionName::Change => Direction::Change,
            DirectionName::Outbound => Direction::Outbound,
        }),
        tier: arguments.tier.map(|it| match it {
            TierName::Domain => EventTier::Domain,
            TierName::Audit => EventTier::Audit,
        }),
        aggregate: arguments.aggregate.clone(),
        source: arguments.source.clone(),
        destination: arguments.destination.clone(),
    };
    let addition = request::event_new(&site, asked)?;
    context.write(&site, &addition, arguments.writing)
}

fn list(context: &Context) -> Result<Outcome, Failure> {
    let loaded = generate::load(&context.site()?.files())?;
    let events = loaded.model.events.iter().map(EventRow::new).collect();
    Ok(answer(loaded, View::Events { events }))
}

/// The noun alone: the list, and the next step.
pub(super) fn noun(context: &Context) -> Result<Outcome, Failure> {
    let next = survey::event_steps(&generate::load(&context.site()?.files())?.model);
    let outcome = list(context)?;
    Ok(Outcome { next, ..outcome })
}

fn show(name: &str, context: &Context) -> Result<Outcome, Failure> {
    let site = context.site()?;
    let loaded = generate::load(&site.files())?;
    let event = request::known_event(&loaded.model, name)?;
    let uses = generate::event_uses(&site, &loaded.model)?;
    let details = EventDetails::new(event, &loaded.model, &uses);
    Ok(answer(loaded, View::Event(details)))
}

fn consumers(name: &str, context: &Context) -> Result<Outcome, Failure> {
    let site = context.site()?;
    let loaded = generate::load(&site.files())?;
    let uses = generate::event_uses(&site, &loaded.model)?;
    request::known_event_type(&loaded.model, &uses.implemented, name)?;
    let consumers = Consumers::new(name, &uses);
    let next = survey::consumer_steps(&loaded.model, &consumers);
    let outcome = answer(loaded, View::EventConsumers(consumers));
    Ok(Outcome { next, ..outcome })
}
