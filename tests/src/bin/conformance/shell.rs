//! The app as its operators see it: shutdown and settings.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use codegen_tests::app::{App, Server};
use serde_json::json;

/// A server without a worker leaves what is published to a process that is one; that ends in order, too.
pub(crate) fn works_apart(app: &App) -> Result<()> {
    let server = app.serve_only()?;
    let body = json!({ "name": "Ada", "email": "apart@example.test" });
    let (status, contact) = server.request("POST", "/contacts", Some(&body))?;
    ensure!(status == 201, "POST /contacts answered {status}: {contact}");
    let id = contact["id"].as_str().context("a contact has no id")?;
    let published = app.json(&["events", "list", "--type", "contact_created"])?;
    let event = published
        .as_array()
        .into_iter()
        .flatten()
        .find(|it| it["payload"]["contact_id"] == id)
        .context("the contact has published no event")?;
    let event = event["id"].as_str().context("an event has no id")?;
    let shown = || app.json(&["events", "show", event]);

    let Err(error) = app.run(&["worker", "--pool", "bacth"]) else {
        bail!("a pool that does not exist is accepted");
    };
    let said = format!("{error:#}");
    ensure!(
        said.contains("`bacth`") && said.contains("interactive"),
        "the pools are not named:\n{said}"
    );
    // An idle worker would have taken it long since.
    let waiting = shown()?;
    ensure!(
        waiting["event"]["dispatched_at"].is_null(),
        "a server without a worker has delivered an event: {waiting}"
    );

    let worker = app.work()?;
    app.wait_for("the delivery by a worker apart", |_| {
        Ok((shown()?["event"]["status"] == "processed").then_some(()))
    })?;
    worker.stop()?;
    server.stop()
}

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
    server.stop()?;
    finishes_what_it_has_begun(app)
}

/// A request whose body is still on its way when the server is told to stop is answered.
fn finishes_what_it_has_begun(app: &App) -> Result<()> {
    let body = json!({ "name": "Slow" }).to_string();
    let server = app.serve()?;
    let mut request = TcpStream::connect(server.address.trim_start_matches("http://"))?;
    write!(
        request,
        "POST /accounts HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )?;
    // The handler has asked for the body, so it is at work.
    let mut asked = [0; 12];
    request.read_exact(&mut asked)?;
    ensure!(&asked == b"HTTP/1.1 100", "the body was not asked for");
    server.terminate()?;
    app.wait_for("the end of listening", |_| {
        Ok(server
            .request("GET", "/health/live", None)
            .is_err()
            .then_some(()))
    })?;
    request.write_all(body.as_bytes())?;
    let mut answer = String::new();
    request.read_to_string(&mut answer)?;
    ensure!(
        answer.contains("HTTP/1.1 201"),
        "a request that was under way got: {answer}"
    );
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
