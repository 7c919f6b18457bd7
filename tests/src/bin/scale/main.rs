//! `cargo scale 300`: how long a model of so many entities takes to generate and to compile, beside what
//! `sea-orm-cli generate entity` makes of the same tables. Several numbers are measured one after the other.
#![expect(
    clippy::print_stdout,
    reason = "this binary reports to a person or to CI"
)]

mod measure;
mod model;
mod peer;

use anyhow::{Context, Result, ensure};
use camino::Utf8Path;
use codegen_tests::tool;

use measure::{Cost, cargo, compile, lines, timed};

/// The crates of a generated workspace that grow with the model.
const CRATES: [&str; 3] = ["entity", "migration", "scale"];

const ENTITY: &[&str] = &["check", "--package", "entity"];
const ENTITY_CLIPPY: &[&str] = &["clippy", "--package", "entity"];
const MIGRATION: &[&str] = &["build", "--package", "migration"];
const WORKSPACE: &[&str] = &["check", "--workspace"];
const CLIPPY: &[&str] = &["clippy", "--workspace", "--", "-D", "warnings"];
const CLIPPY_ALL: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--",
    "-D",
    "warnings",
];

fn main() -> Result<()> {
    let counts: Vec<usize> = std::env::args()
        .skip(1)
        .map(|it| {
            it.parse()
                .with_context(|| format!("`{it}` is no number of entities"))
        })
        .collect::<Result<_>>()?;
    ensure!(
        !counts.is_empty(),
        "say how many entities: `cargo scale 300`"
    );
    let sea_orm_cli = tool::sea_orm_cli();
    for count in counts {
        let dir = tempfile::tempdir()?;
        let dir = Utf8Path::from_path(dir.path()).context("the directory is not UTF-8")?;
        run(count, sea_orm_cli.as_deref(), dir)?;
    }
    Ok(())
}

fn run(count: usize, sea_orm_cli: Option<&Utf8Path>, dir: &Utf8Path) -> Result<()> {
    println!("{count} entities");
    tool::run(&mut tool::codegen(dir, &["new", "scale"])?)?;
    let workspace = dir.join("scale");
    tool::pin_dependencies(&workspace)?;
    // What every model depends on is compiled while there is none.
    for words in [ENTITY, WORKSPACE, CLIPPY_ALL, MIGRATION] {
        cargo(&workspace, words)?;
    }
    model::write(&workspace.join("entities"), count)?;
    let generate = || tool::run(&mut tool::codegen(&workspace, &["entity", "new", "--all"])?);
    row("generate", timed(generate)?.0, count);
    row("generate again, nothing to do", timed(generate)?.0, count);

    let ours = entity_crate("entity crate", &workspace, count)?;

    let database = dir.join("scale.db");
    let url = format!("sqlite://{database}?mode=rwc");
    row(
        "build of the migrations",
        timed(|| cargo(&workspace, MIGRATION))?.0,
        count,
    );
    let migrate = || {
        let mut cargo = measure::command(&workspace);
        cargo.env("DATABASE_URL", &url);
        tool::run(cargo.args(["run", "--package", "migration", "--", "up"]))
    };
    row("migrate up on SQLite", timed(migrate)?.0, count);
    match sea_orm_cli {
        Some(sea_orm_cli) => {
            let generate = || peer::generate(sea_orm_cli, &url, &workspace, dir);
            let (took, peer) = timed(generate)?;
            row("generate by sea-orm-cli", took, count);
            let theirs = entity_crate("sea-orm-cli's entity crate", &peer, count)?;
            println!(
                "  ratio of the entity crates: check {:.2}, clippy {:.2}, lines {:.2}",
                ours.check / theirs.check,
                ours.clippy / theirs.clippy,
                ours.lines as f64 / theirs.lines as f64
            );
        }
        None => println!("  NOT RUN: the comparison, sea-orm-cli is not installed"),
    }

    println!(
        "  lines of the app crate: {}",
        lines(&workspace.join("app/src"))?
    );
    let all = |words| compile(&workspace, &CRATES, words);
    row("check of the workspace", all(WORKSPACE)?, count);
    row("clippy of the workspace", all(CLIPPY)?, count);
    row(
        "clippy of the workspace and its tests",
        all(CLIPPY_ALL)?,
        count,
    );
    Ok(())
}

/// How large an entity crate is, and the processors' seconds for it.
struct EntityCrate {
    lines: usize,
    check: f64,
    clippy: f64,
}

fn entity_crate(name: &str, workspace: &Utf8Path, count: usize) -> Result<EntityCrate> {
    let lines = lines(&workspace.join("entity/src"))?;
    println!("  lines of the {name}: {lines}");
    let check = compile(workspace, &["entity"], ENTITY)?;
    row(&format!("check of the {name}"), check, count);
    let clippy = compile(workspace, &["entity"], ENTITY_CLIPPY)?;
    row(&format!("clippy of the {name}"), clippy, count);
    Ok(EntityCrate {
        lines,
        check: check.seconds(),
        clippy: clippy.seconds(),
    })
}

fn row(what: &str, cost: Cost, count: usize) {
    let clock = cost.clock.as_secs_f64();
    let seconds = cost.seconds();
    let each = 1_000.0 * seconds / count as f64;
    println!(
        "  {what}: {clock:.1} s, {seconds:.1} s of processors, {each:.0} ms of them an entity"
    );
}
