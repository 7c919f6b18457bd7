//! `cargo conformance`: the CRM example as its clients and its operators see it.
//!
//! Its OpenAPI document is valid, and its Hurl files do what they say; on each database, what it answers to hundreds of
//! requests, good and bad ones, is in that document and never a 5xx (schemathesis, where it is installed); and the
//! process reads its settings, works beside others, stops as it should and exports traces.
#![expect(
    clippy::print_stdout,
    reason = "this binary reports to a person or to CI"
)]

mod schemathesis;
mod shell;

use std::time::Instant;

use anyhow::{Context, Result};
use codegen_tests::app::{self, App};
use codegen_tests::databases::TestDatabase;
use codegen_tests::{contract, databases, fixture, tool};

type FindDatabase = fn() -> Result<Option<TestDatabase>>;

const DATABASES: [(&str, FindDatabase); 3] = [
    ("SQLite", || databases::sqlite().map(Some)),
    ("PostgreSQL", databases::postgres),
    ("MariaDB", databases::mysql),
];

fn main() -> Result<()> {
    let parent = tool::target_dir().join("conformance");
    if parent.exists() {
        fs_err::remove_dir_all(&parent)?;
    }
    fs_err::create_dir_all(&parent)?;
    let workspace = fixture::named("crm")?.build(&parent, |_, _| Ok(()))?;
    tool::pin_dependencies(&workspace)?;
    let binary = app::build(&workspace, "crm")?;

    let schemathesis = schemathesis::find()?;
    for (name, find) in DATABASES {
        let Some(database) = find()? else { continue };
        let app = App {
            binary: binary.clone(),
            workspace: workspace.clone(),
            database_url: database.url.clone(),
        };
        app.run(&["migrate", "up"])?;
        let server = app.serve()?;
        let sent = contract::check(&server, &workspace).with_context(|| name.to_owned())?;
        println!("{name}: the OpenAPI document and {sent} requests of the Hurl files: ok");
        if let Some(schemathesis) = &schemathesis {
            schemathesis::run(schemathesis, &server.address, &workspace)
                .with_context(|| format!("schemathesis on {name}"))?;
            println!("{name}: schemathesis: ok");
        }
        server.stop()?;
        shell::works_apart(&app).with_context(|| format!("a worker apart on {name}"))?;
        println!("{name}: server and worker in processes of their own: ok");
        shell::stops_in_order(&app).with_context(|| format!("shutdown on {name}"))?;
        println!("{name}: stops in order: ok");
        shell::reads_settings(&app).with_context(|| format!("settings on {name}"))?;
        println!("{name}: reads its settings: ok");
    }
    let start = Instant::now();
    shell::exports_traces(&workspace).context("traces for OpenTelemetry")?;
    println!(
        "exports traces: ok ({:.0} s)",
        start.elapsed().as_secs_f64()
    );
    println!("conformance: ok");
    Ok(())
}
