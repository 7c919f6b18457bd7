//! One file per noun; each wires the stages and holds no logic.

mod entity;
mod event;
mod job;
mod migrate;
mod project;
mod shell;
mod skills;
mod subsystem;

use std::ffi::OsString;
use std::process::ExitCode;

use anstream::ColorChoice;
use camino::Utf8PathBuf;
use chrono::NaiveDateTime;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::changeset::ChangeSet;
use crate::failure::Failure;
use crate::generate::{self, Input, Plan, Site};
use crate::report::{self, Changes, Options, Outcome, Progress};
use crate::request::Addition;
use crate::survey;

/// Turns YAML definitions and Rust job handlers into a SeaORM backend.
#[derive(Debug, Parser)]
#[command(name = "cargo codegen", bin_name = "cargo codegen", version)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Globals {
    /// Cargo.toml of the workspace, or of a package in it
    #[arg(long, global = true, value_name = "PATH")]
    manifest_path: Option<Utf8PathBuf>,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        env = "CARGO_TERM_COLOR"
    )]
    color: Color,
    /// Print results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Name unchanged files too
    #[arg(long, short, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Do without the network
    #[arg(long, global = true)]
    offline: bool,
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// What every command takes that writes.
#[derive(Debug, Clone, Copy, Args)]
struct Writing {
    /// Print what would be written as a unified diff, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Discard edits made by hand in generated files
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new workspace that builds, migrates and serves at once
    New(project::New),
    /// Adopt the workspace in hand
    Init(project::Init),
    /// Entities: tables and their vertical slices
    Entity {
        #[command(subcommand)]
        command: Option<entity::Command>,
    },
    /// Events: immutable facts, published with the change that they tell of
    Event {
        #[command(subcommand)]
        command: Option<event::Command>,
    },
    /// Jobs: durable work in Rust
    Job {
        #[command(subcommand)]
        command: Option<job::Command>,
    },
    /// Installable parts of the runtime
    Subsystem {
        #[command(subcommand)]
        command: Option<subsystem::Command>,
    },
    /// What the next migration would contain, in words; or the migration
    Migrate(migrate::Migrate),
    /// A generated file becomes yours: no run writes it any more
    Eject(project::Eject),
    /// The workspace as a whole
    Project {
        #[command(subcommand)]
        command: ProjectCommand,
    },
    /// Guides for coding assistants
    Skills {
        #[command(subcommand)]
        command: Option<skills::Command>,
    },
    /// What is missing on this machine and in this workspace, and what mends it
    Doctor,
    /// The JSON Schema of a kind of definition file, for editors
    Schema {
        /// Which
        #[arg(value_enum)]
        of: shell::SchemaOf,
    },
    /// What a shell completes: source it, or put it where the shell looks
    Completions {
        /// Which
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Exit with 4 if a run would change anything
    Check,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ProjectCommand {
    /// What holds, and whether codegen.yaml says so
    Config,
}

impl Command {
    /// The command's words, for reports.
    fn words(&self) -> &'static str {
        match self {
            Self::New(_) => "new",
            Self::Init(_) => "init",
            Self::Entity { command } => command.as_ref().map_or("entity", entity::Command::words),
            Self::Event { command } => command.as_ref().map_or("event", event::Command::words),
            Self::Job { command } => command.as_ref().map_or("job", job::Command::words),
            Self::Subsystem { command } => command
                .as_ref()
                .map_or("subsystem", subsystem::Command::words),
            Self::Migrate(_) => "migrate",
            Self::Eject(_) => "eject",
            Self::Skills { command } => command.as_ref().map_or("skills", skills::Command::words),
            Self::Project {
                command: ProjectCommand::Config,
            } => "project config",
            Self::Doctor => "doctor",
            Self::Schema { .. } => "schema",
            Self::Completions { .. } => "completions",
            Self::Check => "check",
        }
    }
}

/// What a command needs besides its own arguments.
struct Context {
    manifest_path: Option<Utf8PathBuf>,
    offline: bool,
    options: Options,
}

impl Context {
    /// The workspace in hand, with its `codegen.yaml`.
    fn site(&self) -> Result<Site, Failure> {
        self.bare_site()?.configured()
    }

    /// The workspace in hand, adopted or not.
    fn bare_site(&self) -> Result<Site, Failure> {
        Site::discover(self.manifest_path.as_deref(), self.offline)
    }

    /// The workspace in hand, to be written into: what an interrupted run has left is put right first.
    fn site_to_write(&self, writing: Writing) -> Result<Site, Failure> {
        self.bare_site()?.recovered(writing.dry_run)?.configured()
    }

    /// The date of new migrations.
    fn now(&self) -> Result<NaiveDateTime, Failure> {
        generate::now()
    }

    fn plan(&self, site: &Site, addition: &Addition, overwrite: bool) -> Result<Plan, Failure> {
        let progress = Progress::new(self.options);
        generate::plan(&Input {
            files: &site.files(),
            formatter: &site.formatter(),
            addition,
            now: self.now()?,
            overwrite,
            stage: &|name| progress.stage(name),
        })
    }

    /// Plans, writes unless told not to, and says what was done.
    fn write(
        &self,
        site: &Site,
        addition: &Addition,
        writing: Writing,
    ) -> Result<Outcome, Failure> {
        let plan = self.plan(site, addition, writing.overwrite)?;
        self.carry_out(site, addition, plan, writing)
    }

    /// The same for a command that deletes files: on a terminal, asks first.
    fn remove(
        &self,
        site: &Site,
        addition: &Addition,
        writing: Writing,
    ) -> Result<Outcome, Failure> {
        let plan = self.plan(site, addition, writing.overwrite)?;
        if !writing.dry_run {
            report::confirm_deletions(&plan.set, self.options)?;
        }
        self.carry_out(site, addition, plan, writing)
    }

    fn carry_out(
        &self,
        site: &Site,
        addition: &Addition,
        plan: Plan,
        writing: Writing,
    ) -> Result<Outcome, Failure> {
        if writing.dry_run {
            generate::unedited(&plan.set)?;
        } else {
            generate::carry_out(site, &plan.set)?;
        }
        let mut next = addition.next.clone();
        next.extend(survey::after_writing(&plan));
        let vendored = plan.loaded.model.config.vendored().map(ToOwned::to_owned);
        Ok(Outcome {
            changes: Some(Changes {
                set: plan.set,
                dry_run: writing.dry_run,
                vendored,
            }),
            sources: plan.loaded.sources,
            problems: plan.loaded.problems,
            notes: site
                .notes()
                .iter()
                .chain(&addition.notes)
                .cloned()
                .collect(),
            next,
            ..Outcome::default()
        })
    }
}

/// Writes a change set that is no plan of the whole workspace, unless told not to, and says what was done.
fn written(site: &Site, set: ChangeSet, dry_run: bool) -> Result<Outcome, Failure> {
    if !dry_run {
        generate::carry_out(site, &set)?;
    }
    Ok(Outcome {
        changes: Some(Changes {
            set,
            dry_run,
            vendored: None,
        }),
        notes: site.notes().to_vec(),
        ..Outcome::default()
    })
}

/// Runs the command that the arguments name and prints how it ended.
///
/// Cargo starts the binary as `cargo-codegen codegen ..`; that first word is dropped.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_some_and(|it| it == "codegen") {
        args.remove(1);
    }
    let json = args.iter().any(|it| it == "--json");
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return report::usage(&error, json).code().into(),
    };
    let options = Options {
        json: cli.globals.json,
        quiet: cli.globals.quiet,
        verbose: cli.globals.verbose > 0,
        color: match cli.globals.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        },
    };
    let context = Context {
        manifest_path: cli.globals.manifest_path,
        offline: cli.globals.offline,
        options,
    };
    let words = cli.command.as_ref().map_or("", Command::words);
    let result = run(cli.command, &context);
    report::finish(words, &result, options).code().into()
}

fn run(command: Option<Command>, context: &Context) -> Result<Outcome, Failure> {
    match command {
        None => project::overview(context),
        Some(Command::New(new)) => project::new(&new, context),
        Some(Command::Init(init)) => project::init(&init, context),
        Some(Command::Entity { command: None }) => entity::noun(context),
        Some(Command::Entity {
            command: Some(command),
        }) => entity::run(&command, context),
        Some(Command::Event { command: None }) => event::noun(context),
        Some(Command::Event {
            command: Some(command),
        }) => event::run(&command, context),
        Some(Command::Job { command: None }) => job::noun(context),
        Some(Command::Job {
            command: Some(command),
        }) => job::run(&command, context),
        Some(Command::Subsystem { command: None }) => subsystem::noun(context),
        Some(Command::Subsystem {
            command: Some(command),
        }) => subsystem::run(&command, context),
        Some(Command::Migrate(arguments)) => migrate::migrate(&arguments, context),
        Some(Command::Eject(arguments)) => project::eject(&arguments, context),
        Some(Command::Skills { command }) => skills::run(command.as_ref(), context),
        Some(Command::Project {
            command: ProjectCommand::Config,
        }) => project::config(context),
        Some(Command::Doctor) => project::doctor(context),
        Some(Command::Schema { of }) => Ok(shell::schema(of)),
        Some(Command::Completions { shell }) => Ok(shell::completions(shell)),
        Some(Command::Check) => project::check(context),
    }
}
