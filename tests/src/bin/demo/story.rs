//! What the demo does over HTTP, and what it waits for.

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use codegen_tests::app::{App, Server};
use serde_json::{Value, json};

/// Files worth a newcomer's look, with what they show.
pub(crate) const READ_NEXT: [(&str, &str); 7] = [
    ("entities/contact.yaml", "the definition of a contact"),
    ("entity/src/contact.rs", "the SeaORM entity that came of it"),
    (
        "app/src/contacts/generated/use_cases.rs",
        "the transaction that publishes contact_created",
    ),
    ("events/contact_created.yaml", "the definition of the event"),
    (
        "app/src/events/generated/contact_created.rs",
        "its Rust type",
    ),
    (
        "app/src/jobs/send_welcome_email.rs",
        "the job that the event starts",
    ),
    (
        "app/src/jobs/onboarding.rs",
        "a job with steps and a child run",
    ),
];

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct Request {
    /// When the answer was there.
    pub(crate) at: DateTime<Utc>,
    /// Such as `POST /contacts`.
    pub(crate) what: String,
    /// Status of the answer.
    pub(crate) status: u16,
    /// What it was about, in words.
    pub(crate) about: String,
    /// The answer.
    pub(crate) body: Value,
}

/// What the app's tables say when everything has come to rest.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `events show` of each event, oldest first.
    pub(crate) events: Vec<Value>,
    /// `jobs show` of each run, oldest first.
    pub(crate) runs: Vec<Value>,
}

/// Creates an account and a contact, changes the contact, and shows that a wrong one is refused.
pub(crate) fn requests(server: &Server) -> Result<Vec<Request>> {
    let mut done = Vec::new();
    let mut send = |method: &str, path: &str, body: Value, status: u16, about: &str| {
        let (found, answer) = server.request(method, path, Some(&body))?;
        ensure!(
            found == status,
            "{method} {path} answered {found} instead of {status}: {answer}"
        );
        println!("      {method:<5} {path:<48} {found}  {about}");
        done.push(Request {
            at: Utc::now(),
            what: format!("{method} {path}"),
            status: found,
            about: about.to_owned(),
            body: answer.clone(),
        });
        anyhow::Ok(answer)
    };
    let account = send(
        "POST",
        "/accounts",
        json!({ "name": "Acme" }),
        201,
        "the account Acme",
    )?;
    let wrong = json!({ "name": "A\0da", "account_id": account["id"] });
    let problem = send(
        "POST",
        "/contacts",
        wrong,
        422,
        "refused, with every wrong field named",
    )?;
    ensure!(
        items(&problem["errors"])?.len() == 2,
        "not both wrong fields are named: {problem}"
    );
    let ada =
        json!({ "name": "Ada Lovelace", "email": "ada@acme.test", "account_id": account["id"] });
    let contact = send(
        "POST",
        "/contacts",
        ada.clone(),
        201,
        "the contact Ada; publishes contact_created",
    )?;
    send(
        "POST",
        "/contacts",
        ada,
        409,
        "refused: the address is taken",
    )?;
    let path = format!(
        "/contacts/{}",
        contact["id"].as_str().context("a contact has no id")?
    );
    let changed = send(
        "PATCH",
        &path,
        json!({ "name": "Ada King" }),
        200,
        "publishes contact_updated",
    )?;
    ensure!(
        changed["name"] == "Ada King",
        "the change did not stick: {changed}"
    );
    let (_, read) = server.request("GET", &path, None)?;
    ensure!(
        read == changed,
        "what was read is not what was written: {read}"
    );
    Ok(done)
}

/// Waits until every event is delivered and every run has ended, and checks that all that was promised happened.
pub(crate) fn outcome(app: &App, requests: &[Request]) -> Result<Outcome> {
    let contact = requests
        .iter()
        .find(|it| it.what == "POST /contacts" && it.status == 201)
        .context("no contact was created")?;
    let outcome = app.wait_for(
        "the delivery of the events and the end of the runs",
        |app| {
            let events = app.json(&["events", "list"])?;
            let runs = app.json(&["jobs", "list"])?;
            let delivered = every(&events, |it| it["status"] == "processed")?;
            let ended = every(&runs, |it| it["status"] == "completed")?;
            if let Some(failed) = items(&runs)?.iter().find(|it| it["status"] == "failed") {
                bail!("a run failed: {failed}");
            }
            let children = items(&runs)?
                .iter()
                .any(|it| !it["parent_run_id"].is_null());
            if !(delivered && ended && children) {
                return Ok(None);
            }
            let details = |noun: &str, list: &Value| -> Result<Vec<Value>> {
                let mut shown = Vec::new();
                for it in items(list)? {
                    let id = it["id"]
                        .as_str()
                        .with_context(|| format!("{noun} without id"))?;
                    shown.push(app.json(&[noun, "show", id])?);
                }
                Ok(shown)
            };
            Ok(Some(Outcome {
                events: details("events", &events)?,
                runs: details("jobs", &runs)?,
            }))
        },
    )?;
    check(&outcome, contact)?;
    Ok(outcome)
}

/// Takes each of the operator's commands in hand that change something, on a run that is over and its event.
pub(crate) fn operate(app: &App, outcome: &Outcome) -> Result<()> {
    let run = &run_of(outcome, "send_welcome_email")?["run"];
    let text = |name: &str| {
        run[name]
            .as_str()
            .with_context(|| format!("no {name}: {run}"))
    };
    let (id, pool, event) = (text("id")?, text("pool")?, text("event_id")?);
    let is = |status: &str| -> Result<bool> {
        Ok(app.json(&["jobs", "show", id])?["run"]["status"] == status)
    };
    let then = |words: &[&str], status: &str| {
        app.run(words)?;
        println!("      {}", words.join(" "));
        ensure!(is(status)?, "after {words:?} the run is not {status}");
        anyhow::Ok(())
    };
    then(&["jobs", "pause", pool], "completed")?;
    then(&["jobs", "replay", id, "--from", "scratch"], "pending")?;
    then(&["jobs", "cancel", id], "canceled")?;
    then(&["jobs", "retry", id], "pending")?;
    app.run(&["jobs", "resume", pool])?;
    app.wait_for("the end of the retried run", |_| {
        Ok(is("completed")?.then_some(()))
    })?;
    app.run(&["jobs", "stats"])?;
    app.run(&["jobs", "prune"])?;
    ensure!(is("completed")?, "what has just ended was cleared away");
    let failed = app.json(&["events", "failed"])?;
    ensure!(items(&failed)?.is_empty(), "an event has failed: {failed}");
    app.run(&["events", "replay", event])?;
    app.wait_for("the replayed event", |app| {
        let shown = app.json(&["events", "show", event])?;
        Ok((self::event(&shown)["status"] == "processed").then_some(()))
    })
}

fn check(outcome: &Outcome, contact: &Request) -> Result<()> {
    let event_of = |event_type: &str| {
        let mut found = outcome
            .events
            .iter()
            .map(event)
            .filter(|it| it["event_type"] == event_type);
        let first = found
            .next()
            .with_context(|| format!("no {event_type} in the outbox"))?;
        ensure!(found.next().is_none(), "more than one {event_type}");
        anyhow::Ok(first)
    };
    let created = event_of("contact_created")?;
    ensure!(
        created["aggregate_id"] == contact.body["id"],
        "contact_created is not about the contact: {created}"
    );
    event_of("contact_updated")?;
    let welcome = run_of(outcome, "send_welcome_email")?;
    ensure!(
        welcome["run"]["event_id"] == created["id"],
        "send_welcome_email was not started by contact_created: {welcome}"
    );
    let onboarding = run_of(outcome, "onboarding")?;
    let steps: Vec<_> = items(&onboarding["steps"])?
        .iter()
        .filter(|it| it["kind"] == "step")
        .collect();
    ensure!(
        steps.len() == 2 && steps.iter().all(|it| it["status"] == "completed"),
        "onboarding did not complete two steps: {onboarding}"
    );
    let children = items(&onboarding["children"])?;
    ensure!(
        children.len() == 1 && children[0]["status"] == "completed",
        "onboarding has no completed child run: {onboarding}"
    );
    Ok(())
}

fn run_of<'a>(outcome: &'a Outcome, job_type: &str) -> Result<&'a Value> {
    let mut found = outcome
        .runs
        .iter()
        .filter(|it| it["run"]["job_type"] == job_type);
    let first = found
        .next()
        .with_context(|| format!("no run of {job_type}"))?;
    ensure!(found.next().is_none(), "more than one run of {job_type}");
    Ok(first)
}

/// The event's own row in what `events show` says.
pub(crate) fn event(shown: &Value) -> &Value {
    &shown["event"]
}

/// The elements of a JSON array.
pub(crate) fn items(value: &Value) -> Result<&Vec<Value>> {
    value
        .as_array()
        .with_context(|| format!("no list: {value}"))
}

fn every(list: &Value, holds: impl Fn(&Value) -> bool) -> Result<bool> {
    Ok(items(list)?.iter().all(holds))
}
