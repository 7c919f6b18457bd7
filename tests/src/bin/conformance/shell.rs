//! The app as its operators see it: shutdown and settings.

use anyhow::{Context, Result, bail, ensure};
use codegen_tests::app::{App, Server};
use serde_json::json;

/// Told to stop, it says that it is not ready, goes on answering, and ends by itself with its worker.
pub(crate) fn stops_in_order(app: &App) -> Result<()> {
    let server = app.serve_with(&[("APP_HTTP__SHUTDOWN_DELAY_SECONDS", "3")])?;
    is(&server, "/health/ready", 200)?;
    server.terminate()?;
    app.wait_for("saying that it is not ready", |_| {
        let (status, _) = server.request("GET", "/health/ready", None)?;
        Ok((status == 503).then_some(()))
    })?;
    is(&server, "/health/live", 200)?;
    let (status, answer) = server.request("POST", "/accounts", Some(&json!({ "name": "Last" })))?;
    ensure!(status == 201, "POST /accounts answered {status}: {answer}");
    server.stop()
}

/// The environment wins over the profile's file, which wins over the default one; a wrong setting is named, a secret not.
pub(crate) fn reads_settings(app: &App) -> Result<()> {
    let profile = app.workspace.join("config/test.toml");
    fs_err::write(&profile, "[http]\ndocs = false\nbody_limit = 100\n")?;
    let server = app.serve_with(&[("APP_PROFILE", "test"), ("APP_HTTP__BODY_LIMIT", "10")])?;
    is(&server, "/openapi.json", 404)?;
    let (status, problem) =
        server.request("POST", "/accounts", Some(&json!({ "name": "Acme" })))?;
    ensure!(
        status == 413,
        "11 bytes and more are allowed: {status} {problem}"
    );
    server.stop()?;
    fs_err::remove_file(profile)?;

    for (name, value, told) in [
        ("APP_PROFILE", "nowhere", "nowhere"),
        ("APP_HTTP__BODY_LIMT", "10", "body_limt"),
        ("PORT", "many", "port"),
        ("APP_HTTP__CORS_ORIGINS", "a\nb", "origin"),
        ("DATABASE_URL", "postgres://ada:secret@127.0.0.1:1/none", ""),
    ] {
        let Err(error) = app.run_with(&["migrate", "status"], &[(name, value)]) else {
            bail!("`{name}={value}` is accepted");
        };
        let said = format!("{error:#}");
        ensure!(said.contains(told), "`{told}` is not named:\n{said}");
        ensure!(!said.contains("secret"), "a password is printed:\n{said}");
    }
    Ok(())
}

fn is(server: &Server, path: &str, expected: u16) -> Result<()> {
    let (status, body) = server.request("GET", path, None).context("no answer")?;
    ensure!(status == expected, "GET {path} answered {status}: {body}");
    Ok(())
}
