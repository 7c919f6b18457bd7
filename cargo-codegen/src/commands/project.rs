//! `cargo codegen`, `new`, `init`, `eject`, `doctor` and `check`.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::{Context, Writing, written};
use crate::changeset;
use crate::failure::Failure;
use crate::generate;
use crate::model::Database;
use crate::report::Outcome;
use crate::request;
use crate::survey::{self, View};
use crate::workspace;

#[derive(Debug, Args)]
pub(super) struct New {
    /// Directory of the workspace; its name becomes the app's
    dir: Utf8PathBuf,
    /// Databases that the app supports
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["sqlite", "postgres"])]
    database: Vec<DatabaseName>,
    /// Where the runtime comes from: vendored, path:<dir>, git:<url>[#rev], registry:<version>
    #[arg(long, default_value = "vendored", value_name = "SOURCE")]
    runtime: String,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Directory of the package with the SeaORM entities, if it cannot be told
    #[arg(long, value_name = "DIR")]
    entity: Option<Utf8PathBuf>,
    /// Directory of the package with the migrations, if it cannot be told
    #[arg(long, value_name = "DIR")]
    migration: Option<Utf8PathBuf>,
    /// Directory of the package with the app, if it cannot be told
    #[arg(long, value_name = "DIR")]
    app: Option<Utf8PathBuf>,
    /// Databases that the app supports
    #[arg(long, value_enum, value_delimiter = ',')]
    database: Vec<DatabaseName>,
    /// Where the runtime comes from: vendored, path:<dir>, git:<url>[#rev], registry:<version>
    #[arg(long, default_value = "vendored", value_name = "SOURCE")]
    runtime: String,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DatabaseName {
    Sqlite,
    Postgres,
    /// MySQL and MariaDB
    Mysql,
}

fn databases(names: &[DatabaseName]) -> Vec<Database> {
    let mut databases: Vec<Database> = names
        .iter()
        .map(|it| match it {
            DatabaseName::Sqlite => Database::Sqlite,
            DatabaseName::Postgres => Database::Postgres,
            DatabaseName::Mysql => Database::Mysql,
        })
        .collect();
    databases.sort();
    databases.dedup();
    databases
}

pub(super) fn overview(context: &Context) -> Result<Outcome, Failure> {
    let site = context.site()?;
    let plan = context.plan(&site, &request::Addition::default(), false)?;
    let uses = generate::event_uses(&site, &plan.loaded.model)?;
    let next = survey::next_steps(&plan);
    let view = View::Overview(survey::overview(site.root(), &plan, &uses));
    Ok(Outcome {
        view: Some(view),
        sources: plan.loaded.sources,
        problems: plan.loaded.problems,
        next,
        ..Outcome::default()
    })
}

pub(super) fn new(arguments: &New, context: &Context) -> Result<Outcome, Failure> {
    let runtime = request::runtime_source(&arguments.runtime, &arguments.dir)?;
    let (site, addition) = request::new_workspace(
        &arguments.dir,
        &databases(&arguments.database),
        &runtime,
        arguments.writing.dry_run,
    )?;
    context.write(&site, &addition, arguments.writing)
}

pub(super) fn init(arguments: &Init, context: &Context) -> Result<Outcome, Failure> {
    let site = context.bare_site()?.recovered(arguments.writing.dry_run)?;
    let asked = request::InitArguments {
        entity: arguments.entity.clone(),
        migration: arguments.migration.clone(),
        app: arguments.app.clone(),
        databases: databases(&arguments.database),
        runtime: request::runtime_source(&arguments.runtime, site.root())?,
    };
    let addition = request::init(&site, &asked)?;
    context.write(&site, &addition, arguments.writing)
}

#[derive(Debug, Args)]
pub(super) struct Eject {
    /// The generated file
    file: Utf8PathBuf,
    /// Print what would be written as a unified diff, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn eject(arguments: &Eject, context: &Context) -> Result<Outcome, Failure> {
    let site = context
        .bare_site()?
        .recovered(arguments.dry_run)?
        .configured()?;
    let set = request::eject(&site, &arguments.file)?;
    written(&site, set, arguments.dry_run)
}

pub(super) fn config(context: &Context) -> Result<Outcome, Failure> {
    let files = context.site()?.files();
    let loaded = generate::load(&files)?;
    let written = generate::written_config(&files)?;
    let settings = survey::settings(&loaded.model.config, &written);
    Ok(Outcome {
        view: Some(View::Settings { settings }),
        ..Outcome::default()
    })
}

pub(super) fn doctor(context: &Context) -> Result<Outcome, Failure> {
    let site = context.site()?;
    let health = survey::health(
        &workspace::machine::machine(site.root()),
        &context.plan(&site, &request::Addition::default(), false),
        survey::locked_sea_orm(&site.files())
            .map_err(Failure::other)?
            .as_deref(),
        changeset::is_interrupted(site.root()),
    );
    if !health.is_well() {
        return Err(Failure::Ill(health));
    }
    Ok(Outcome {
        view: Some(View::Health(health)),
        ..Outcome::default()
    })
}

pub(super) fn check(context: &Context) -> Result<Outcome, Failure> {
    let site = context.site()?;
    let plan = context.plan(&site, &request::Addition::default(), false)?;
    let files = generate::clean(&plan)?;
    Ok(Outcome {
        view: Some(View::Clean { files }),
        sources: plan.loaded.sources,
        problems: plan.loaded.problems,
        notes: plan.set.notes,
        ..Outcome::default()
    })
}
