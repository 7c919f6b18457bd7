//! The command line as its user meets it: transcripts of sessions, compared with `tests/cli/*.txt`.
//!
//! `UPDATE_GOLDENS=1 cargo test -p cargo-codegen --test cli` rewrites them; read the difference.

mod adoption;
mod consumers;
mod leaving;
mod migrations;
mod skills;
#[path = "../support/mod.rs"]
mod support;
mod wrong;

use support::Session;

/// A runtime from the registry keeps the transcripts free of the vendored files.
const NEW: &str = "new shop --runtime registry:0.1";

#[test]
fn the_tour_works_and_a_second_run_touches_nothing() {
    let mut session = Session::new("tour");
    session.run(NEW);
    session.enter("shop");
    let steps = [
        "entity new product name:string sku:string:unique price:decimal:optional status:enum:draft,active",
        "subsystem install events",
        "subsystem install jobs",
        "event new product_created product_id:uuid --direction change --aggregate product",
        "job new index_product product_id:uuid --on product_created",
    ];
    for step in steps {
        session.run(step);
    }
    session.run("");
    session.run("check");
    session.say("again");
    let before = session.times();
    for step in steps {
        session.run(step);
    }
    session.leave();
    session.run(NEW);
    session.enter("shop");
    assert_eq!(before, session.times(), "a file was touched");
    session.finish();
}

#[test]
fn nouns_lists_and_details() {
    let mut session = Session::new("lists");
    session.prepare(NEW);
    session.enter("shop");
    session.run("project config");
    session.write(
        "entities/account.yaml",
        "entity: { name: account, description: Who buys. }\n\
         fields:\n  name: { type: string, required: true, max_length: 200 }\n\
         relationships:\n  contacts: { type: has_many, target: contact, foreign_key: account_id }\n",
    );
    session.write(
        "entities/contact.yaml",
        "entity: { name: contact }\n\
         fields:\n  email: { type: string, required: true, unique: true }\n\
         \x20 status: { type: enum, choices: [active, inactive], default: active }\n\
         behaviors: [timestamps, soft_delete]\n\
         relationships:\n  account: { type: belongs_to, target: account, foreign_key: account_id, on_delete: cascade }\n\
         queries:\n  - { by: [account_id], order: created_at desc }\n\
         \x20 - { name: search, filters: [status], search: email, sort: [email, created_at], paginate: true }\n\
         emits: [contact_created]\n\
         events:\n  - { type: contact_created, body: { contact_id: uuid } }\n",
    );
    session.run("");
    session.prepare("subsystem install events");
    for noun in ["entity", "event", "job", "subsystem"] {
        session.run(noun);
    }
    session.run("entity show contact");
    session.run("entity show account");
    session.run("event show contact_created");
    session.run("entity validate --strict");
    session.run("--json event list");
    session.run("--json entity show account");
    session.finish();
}

#[test]
fn a_dry_run_prints_a_patch_and_writes_nothing() {
    let mut session = Session::new("dry_run");
    let empty = session.times();
    let patch = session.prepare("new shop --runtime registry:0.1 --dry-run");
    assert!(patch.starts_with("--- /dev/null\n+++ b/"), "{patch}");
    assert!(patch.contains("+++ b/Cargo.toml\n"), "{patch}");
    assert_eq!(empty, session.times(), "a file was touched");
    session.prepare(NEW);
    session.enter("shop");
    let before = session.times();
    let patch = session.prepare("subsystem install events --dry-run");
    assert!(patch.contains("\n+events: {}\n"), "{patch}");
    session.run("entity new product --dry-run");
    session.run("--json entity new product --dry-run");
    assert_eq!(before, session.times(), "a file was touched");
    session.finish();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut session = Session::new("broken_pipe");
    session.prepare(NEW);
    session.enter("shop");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = session
        .command("entity list --json")
        .stdout(writer)
        .output()
        .expect("the tool runs");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
