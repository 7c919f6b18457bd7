//! `cargo fixtures`: every fixture workspace is formatted, clean under clippy, and on each of its databases its tests
//! pass and its migrations go up, down and up again by the real `sea-orm-cli`. Its app serves a valid OpenAPI document
//! and answers its Hurl files.
//!
//! Words name the fixtures to check; without any, all are. `readme` runs the README's tour.
#![expect(
    clippy::print_stdout,
    reason = "this binary reports to a person or to CI"
)]

use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use camino::Utf8Path;
use codegen_tests::app::{self, App};
use codegen_tests::databases::TestDatabase;
use codegen_tests::fixture::{self, Fixture, Step};
use codegen_tests::{contract, databases, evolution, readme, tool, tree};

fn main() -> Result<()> {
    let parent = tool::target_dir().join("fixtures");
    if parent.exists() {
        fs_err::remove_dir_all(&parent)?;
    }
    fs_err::create_dir_all(&parent)?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    for fixture in fixture::all()? {
        if wanted(&fixture.name) {
            timed(&fixture.name, "whole", || check(&fixture, &parent))?;
        }
    }
    if wanted("readme") {
        timed("readme", "the tour", || readme::tour(&parent))?;
    }
    println!("fixtures: ok");
    Ok(())
}

fn check(fixture: &Fixture, parent: &Utf8Path) -> Result<()> {
    let name = &fixture.name;
    let workspace = fixture.build(parent, |_, _| Ok(()))?;
    let difference = tree::diff(&fixture.expected(), &workspace)?;
    ensure!(
        difference.is_empty(),
        "{name} is not its golden:\n{difference}"
    );
    tool::pin_dependencies(&workspace)?;
    let cargo = |words: &[&str]| tool::run(tool::cargo_in(&workspace).args(words));
    timed(name, "format", || cargo(&["fmt", "--all", "--check"]))?;
    // The feature once, and what is compiled without it everywhere else: it is the same code in every new workspace.
    let (clippy, features): (_, &[_]) = match name.as_str() {
        "crm" => ("clippy with the feature otel", &["--features", "otel"]),
        _ => ("clippy", &[]),
    };
    let words = ["clippy", "--workspace", "--all-targets"];
    let words = [&words, features, &["--", "-D", "warnings"]].concat();
    timed(name, clippy, || cargo(&words))?;
    let config = fs_err::read_to_string(workspace.join("codegen.yaml"))?;
    let sqlite = supports(&config, "sqlite");
    // Its app is like any other; it is there for its migrations.
    let of_migrations = name == "evolution";
    let served = !of_migrations && is_served(fixture)?;
    // What answers is to be what the tests have built, and not left over from another run.
    let binary = app::built(name);
    if binary.exists() {
        fs_err::remove_file(binary)?;
    }
    let answers = |database: &str, url: &str| {
        if !served {
            return Ok(());
        }
        let what = format!("OpenAPI document and Hurl files on {database}");
        timed(name, &what, || keeps_its_word(name, &workspace, url)).map(drop)
    };
    if sqlite && !of_migrations {
        timed(name, "tests on SQLite", || cargo(&["test", "--workspace"]))?;
        answers("SQLite", &databases::sqlite()?.url)?;
    }
    let sea_orm_cli = tool::sea_orm_cli();
    if sea_orm_cli.is_none() && std::env::var("CI").as_deref() == Ok("true") {
        bail!("sea-orm-cli is not installed (`cargo install sea-orm-cli`)");
    }
    if sea_orm_cli.is_none() {
        println!("{name}: NOT RUN: migrations, sea-orm-cli is not installed");
    }
    let migrations = |database: &str, url: &str| match &sea_orm_cli {
        Some(sea_orm_cli) => timed(name, &format!("migrations on {database}"), || {
            migrate(sea_orm_cli, &workspace, url)
        }),
        None => Ok(()),
    };
    if sqlite {
        migrations("SQLite", &databases::sqlite()?.url)?;
    }
    if of_migrations {
        timed(name, "schemas and rows, step by step", || {
            evolution::check(&workspace, parent)
        })?;
    }
    let manifest = fs_err::read_to_string(workspace.join("Cargo.toml"))?;
    let postgres: FindDatabase = if manifest.contains("postgres-vector") {
        databases::postgres_with_pgvector
    } else {
        databases::postgres
    };
    let servers = [
        ("postgres", "PostgreSQL", postgres),
        ("mysql", "MariaDB", databases::mysql),
    ];
    let check = |database, found: FindDatabase| {
        let Some(found) = found()? else {
            return Ok(());
        };
        migrations(database, &found.url)?;
        if of_migrations {
            return Ok(());
        }
        timed(name, &format!("tests on {database}"), || {
            test_on(&workspace, &found.url)
        })?;
        answers(database, &found.url)
    };
    // At once: the tests on a server go one after the other, and wait for it.
    thread::scope(|scope| {
        let checks: Vec<_> = servers
            .into_iter()
            .filter(|(word, ..)| supports(&config, word))
            .map(|(_, database, found)| scope.spawn(move || check(database, found)))
            .collect();
        checks
            .into_iter()
            .try_for_each(|it| it.join().map_err(|_| anyhow!("{name}: a check panicked"))?)
    })
}

type FindDatabase = fn() -> Result<Option<TestDatabase>>;

/// Whether the `databases` of a `codegen.yaml` have this word.
fn supports(config: &str, word: &str) -> bool {
    let mut lines = config.lines();
    let list = lines.find_map(|it| it.strip_prefix("databases:"));
    list.is_some_and(|it| it.contains(word))
}

/// Whether the app is a program that serves: `cargo codegen init` leaves `main` to its owner.
fn is_served(fixture: &Fixture) -> Result<bool> {
    let steps = fixture.steps()?;
    Ok(matches!(steps.first(), Some(Step::Codegen(words)) if words[0] == "new"))
}

/// The app as a process, asked for its OpenAPI document and by its Hurl files.
fn keeps_its_word(name: &str, workspace: &Utf8Path, url: &str) -> Result<usize> {
    let app = App {
        binary: app::built(name),
        workspace: workspace.to_owned(),
        database_url: url.to_owned(),
    };
    app.run(&["migrate", "fresh"])?;
    let server = app.serve()?;
    let sent = contract::check(&server, workspace)?;
    server.stop()?;
    Ok(sent)
}

/// The generated tests, one after the other: they share the database.
fn test_on(workspace: &Utf8Path, url: &str) -> Result<String> {
    let mut cargo = tool::cargo_in(workspace);
    cargo.env("TEST_DATABASE_URL", url);
    tool::run(cargo.args(["test", "--workspace", "--", "--test-threads=1"]))
}

/// Up, down to nothing, up again, and `fresh`.
fn migrate(sea_orm_cli: &Utf8Path, workspace: &Utf8Path, url: &str) -> Result<()> {
    let dir = ["migration", "crates/migration"]
        .into_iter()
        .find(|dir| workspace.join(dir).exists())
        .context("the workspace has no migration crate")?;
    let run = |words: &[&str]| {
        tool::run(
            tool::share_builds(tool::clean(&mut Command::new(sea_orm_cli)))
                .current_dir(workspace)
                .env("DATABASE_URL", url)
                .args(["migrate", "--migration-dir", dir])
                .args(words),
        )
    };
    let files = fs_err::read_dir(workspace.join(dir).join("src"))?;
    let count = files
        .filter_map(Result::ok)
        .filter(|it| it.file_name().to_string_lossy().starts_with('m'))
        .filter(|it| it.file_name() != "main.rs")
        .count();
    let pending = |words: &[&str]| -> Result<usize> {
        run(words)?;
        Ok(run(&["status"])?.matches("Pending").count())
    };
    ensure!(pending(&["up"])? == 0, "`up` leaves migrations pending");
    ensure!(
        pending(&["down", "--num", &count.to_string()])? == count,
        "`down` does not revert all {count} migrations"
    );
    ensure!(
        pending(&["up"])? == 0,
        "a second `up` leaves migrations pending"
    );
    ensure!(
        pending(&["fresh"])? == 0,
        "`fresh` leaves migrations pending"
    );
    Ok(())
}

fn timed<T>(name: &str, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work().with_context(|| format!("{name}: {what}"))?;
    println!(
        "{name}: {what}: ok ({:.0} s)",
        start.elapsed().as_secs_f64()
    );
    Ok(done)
}
