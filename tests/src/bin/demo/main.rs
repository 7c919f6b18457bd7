//! `cargo demo`: the main job, end to end, on the CRM example.
//!
//! Scaffolds a workspace, builds it, migrates it, serves it, uses it over HTTP, and shows what the runtime made
//! of that. Ends with `demo: ok`, or with the reason why not and a status that is not zero.
#![expect(clippy::print_stdout, reason = "the demo talks to a person")]

mod build;
mod story;
mod timeline;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use codegen_tests::app::App;
use codegen_tests::{databases, fixture, tool};

/// Describe, generate, migrate, run: on an example CRM.
#[derive(Debug, Parser)]
#[command(name = "cargo demo")]
struct Arguments {
    /// Where the CRM keeps its data.
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    database: Database,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    /// A file in the demo's workspace; nothing to install.
    Sqlite,
    /// The server of `DATABASE_URL`, a local one, or one started from installed binaries.
    Postgres,
    /// The same with MySQL or MariaDB.
    Mysql,
}

fn main() -> ExitCode {
    match demo(&Arguments::parse()) {
        Ok(()) => {
            println!("\ndemo: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\ndemo: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo(arguments: &Arguments) -> Result<()> {
    let parent = tool::target_dir().join("demo");
    if parent.exists() {
        fs_err::remove_dir_all(&parent)?;
    }
    fs_err::create_dir_all(&parent)?;

    heading("1/5", "Scaffold and generate", "from fixtures/crm");
    let workspace = fixture::named("crm")?.build(&parent, |step, _| {
        match step {
            fixture::Step::Codegen(words) => println!("      cargo codegen {}", words.join(" ")),
            fixture::Step::Overlay(dir) => {
                println!("      copy fixtures/crm/{dir} into the workspace");
            }
        }
        Ok(())
    })?;

    heading(
        "2/5",
        "Build",
        "SeaORM and axum take a few minutes the first time",
    );
    tool::pin_dependencies(&workspace)?;
    let binary = build::app(&workspace, "crm")?;

    let database = match arguments.database {
        Database::Sqlite => None,
        Database::Postgres => Some(
            databases::postgres_from_environment()?
                .context("no PostgreSQL: set DATABASE_URL, or install PostgreSQL")?,
        ),
        Database::Mysql => Some(
            databases::mysql_from_environment()?
                .context("no MySQL or MariaDB: set DATABASE_URL, or install MariaDB")?,
        ),
    };
    let app = App {
        binary,
        database_url: database.as_ref().map_or_else(
            || format!("sqlite://{}?mode=rwc", workspace.join("crm.db")),
            |database| database.url.clone(),
        ),
        workspace: workspace.clone(),
    };
    heading("3/5", "Migrate", &app.database_url);
    for line in app.run(&["migrate", "up"])?.lines() {
        println!("      {line}");
    }

    let server = app.serve()?;
    heading("4/5", "Use it over HTTP", &server.address);
    let requests = story::requests(&server)?;
    let outcome = story::outcome(&app, &requests)?;
    story::operate(&app, &outcome)?;
    server.stop()?;

    heading(
        "5/5",
        "What happened",
        "read back from the app's own tables",
    );
    timeline::print(&requests, &outcome)?;
    let shown = workspace
        .strip_prefix(tool::repository())
        .unwrap_or(&workspace);
    println!("\nRead next:");
    for (path, what) in story::READ_NEXT {
        println!("      {:<62} {what}", shown.join(path));
    }
    Ok(())
}

fn heading(number: &str, title: &str, detail: &str) {
    println!("\n{number}  {title} ({detail})");
}
