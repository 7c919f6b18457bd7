//! The app as its operators see it: shutdown, settings and traces.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use anyhow::{Context, Result, bail, ensure};
use camino::Utf8Path;
use codegen_tests::app::{self, App, Server};
use codegen_tests::databases;
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

    let said = app.work(&["--pool", "bacth"])?.refused()?;
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

    let delivers = app.work(&["--pool", "events_change"])?;
    app.wait_for("the delivery by a worker apart", |_| {
        Ok((shown()?["event"]["status"] == "processed").then_some(()))
    })?;
    delivers.stop()?;
    let about = format!("contact:{id}");
    let runs = |status| -> Result<usize> {
        let found = app.json(&["jobs", "list", "--status", status, "--about", &about])?;
        Ok(found.as_array().context("no list of runs")?.len())
    };
    let waiting = runs("pending")?;
    ensure!(waiting > 0, "a worker for a lane has executed the runs");
    let executes = app.work(&[])?;
    app.wait_for("the end of the runs", |_| {
        Ok((runs("completed")? >= waiting).then_some(()))
    })?;
    executes.stop()?;
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

/// With the feature `otel` a collector gets the spans of a request and of what it causes, in the trace of the client; the
/// last ones when the program ends.
pub(crate) fn exports_traces(workspace: &Utf8Path) -> Result<()> {
    let database = databases::sqlite()?;
    let app = App {
        binary: app::build_with(workspace, "crm", &["--features", "otel"])?,
        workspace: workspace.to_owned(),
        database_url: database.url.clone(),
    };
    let (collector, received) = collect()?;
    app.run(&["migrate", "up"])?;
    let server = app.serve_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector)])?;
    let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128;
    let parent = 0x00f0_67aa_0ba9_02b7_u64;
    let traceparent = format!("00-{trace:032x}-{parent:016x}-01");
    let body = json!({ "name": "Ada", "email": "traced@example.test" });
    let headers = [("traceparent", traceparent.as_str())];
    let (status, contact) = server.request_with("POST", "/contacts", &headers, Some(&body))?;
    ensure!(status == 201, "POST /contacts answered {status}: {contact}");
    app.wait_for("the delivery of the contact's event", |_| {
        let published = app.json(&["events", "list", "--type", "contact_created"])?;
        Ok((published[0]["status"] == "processed").then_some(()))
    })?;
    server.stop()?;

    let spans: Vec<u8> = received.try_iter().flatten().collect();
    // Protobuf has texts and ids as they are.
    for (what, bytes) in [
        ("the service", b"service.name\x12\x05\n\x03crm".as_slice()),
        ("the span of the request", b"POST /contacts"),
        ("the span of the delivery", b"event.deliver"),
        ("the client's trace", &trace.to_be_bytes()),
        ("the client's span", &parent.to_be_bytes()),
    ] {
        let is_there = spans.windows(bytes.len()).any(|it| it == bytes);
        ensure!(
            is_there,
            "{what} is not among the {} bytes of traces",
            spans.len()
        );
    }
    Ok(())
}

/// Where a collector listens, and the bodies that it gets.
fn collect() -> Result<(String, mpsc::Receiver<Vec<u8>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // One that sends no traces is told nothing, and missed in the end.
            let Ok(body) = traces(&connection) else {
                continue;
            };
            // Nobody listens any more where the check has failed.
            let _ = sender.send(body);
            let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let _ = (&connection).write_all(answer.as_bytes());
        }
    });
    Ok((address, received))
}

/// The body of a request that sends traces.
fn traces(connection: &TcpStream) -> Result<Vec<u8>> {
    let mut request = BufReader::new(connection);
    let mut line = String::new();
    request.read_line(&mut line)?;
    ensure!(line.starts_with("POST /v1/traces "), "{line}");
    let mut length = 0;
    while !line.trim().is_empty() {
        line.clear();
        request.read_line(&mut line)?;
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    request.read_exact(&mut body)?;
    Ok(body)
}

fn is(server: &Server, path: &str, expected: u16) -> Result<()> {
    let (status, body) = server.request("GET", path, None).context("no answer")?;
    ensure!(status == expected, "GET {path} answered {status}: {body}");
    Ok(())
}
