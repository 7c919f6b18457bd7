//! `cargo conformance`: the CRM example as its clients and its operators see it.
//!
//! Its OpenAPI document is valid, and its Hurl files do what they say; on each database, what it answers to hundreds of
//! requests, good and bad ones, is in that document and never a 5xx (schemathesis, where it is installed); and the
//! process reads its settings, works beside others and stops as it should.
#![expect(
    clippy::print_stdout,
    reason = "this binary reports to a person or to CI"
)]

mod schemathesis;
mod shell;

use anyhow::{Context, Result, ensure};
use codegen_tests::app::{self, App};
use codegen_tests::databases::TestDatabase;
use codegen_tests::{databases, fixture, hurl, openapi, tool};
use serde_json::Value;

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
        let (status, document) = server.request("GET", "/openapi.json", None)?;
        ensure!(status == 200, "GET /openapi.json answered {status}");
        check(&document)?;
        println!("{name}: the OpenAPI document is valid: ok");
        let mut sent = 0;
        for file in workspace.join("http").read_dir_utf8()? {
            sent += hurl::run(&server, file?.path())?;
        }
        println!("{name}: the {sent} requests of the Hurl files: ok");
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
    println!("conformance: ok");
    Ok(())
}

/// The document is valid, and names every way in which a request can end.
fn check(document: &Value) -> Result<()> {
    openapi::validate(document)?;
    let paths = document["paths"].as_object().context("it has no paths")?;
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let has_body = operation["requestBody"].is_object();
            let of_bodies: &[&str] = if has_body {
                &["400", "413", "415"]
            } else {
                &[]
            };
            for status in ["500", "503"].iter().chain(of_bodies) {
                ensure!(
                    operation["responses"][status].is_object(),
                    "{method} {path} does not document {status}"
                );
            }
        }
    }
    Ok(())
}
