//! Edits by hand, and what is taken out again.

use crate::NEW;
use crate::support::Session;

#[test]
fn g04_a_hand_edit_in_a_generated_file_stops_the_run() {
    let mut session = Session::new("hand_edit");
    session.prepare(NEW);
    session.enter("shop");
    session.run("-q entity new product name:string");
    session.append("entity/src/product.rs", "\n// mine\n");
    session.append("entities/product.yaml", "  # also mine\n");
    let before = session.times();
    session.run("entity new --all");
    session.run("entity new --all --dry-run");
    let object = session.json("--json entity new --all");
    assert_eq!(object["exit"]["code"], 3);
    assert_eq!(object["exit"]["reason"], "edited-by-hand");
    assert_eq!(
        object["conflicts"],
        serde_json::json!(["entity/src/product.rs"])
    );
    session.run("");
    session.run("check");
    assert_eq!(before, session.times(), "a file was touched");
    session.run("entity new --all --overwrite");
    session.run("check");
    session.finish();
}

#[test]
fn g04_an_edited_file_can_be_kept_by_ejecting_it() {
    const REQUESTS: &str = "app/src/products/generated/dto.rs";
    let mut session = Session::new("eject");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("entity new product name:string");
    session.append(REQUESTS, "// mine\n");
    let edited = session.read(REQUESTS);
    let before = session.times();
    session.run(&format!("eject {REQUESTS} --dry-run"));
    for path in [
        "app/src/products/generated/dtos.rs",
        "dto.rs",
        "Cargo.toml",
        "../elsewhere.rs",
    ] {
        session.run(&format!("eject {path}"));
    }
    assert_eq!(before, session.times(), "a file was touched");
    session.run(&format!("eject {REQUESTS}"));
    let (_, own) = edited.split_once("\n\n").expect("a first line");
    assert_eq!(session.read(REQUESTS), own);
    session.run("check");
    session.write(
        "entities/product.yaml",
        "entity: { name: product }\nfields:\n  name: { type: string, required: true }\n  code: { type: string }\n",
    );
    session.run("entity new --all");
    session.say("taken back");
    let lock = session.read("codegen.lock");
    session.write(
        "codegen.lock",
        &lock.replace(&format!("    \"{REQUESTS}\",\n"), ""),
    );
    session.run("entity new --all --dry-run --overwrite");
    session.write("codegen.lock", &lock);
    session.say("without its definition");
    session.remove("entities/product.yaml");
    session.run("entity new --all");
    assert_eq!(session.read(REQUESTS), own);
    session.finish();
}

#[test]
fn g08_an_entity_is_taken_out_with_what_was_made_of_it() {
    let mut session = Session::new("entity_remove");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("entity new product name:string");
    session.prepare("entity new note body:text product:belongs_to");
    session.prepare("entity new tag name:string:unique");
    let before = session.times();
    session.run("entity remove produkt");
    session.run("entity remove product");
    let patch = session.prepare("entity remove note --dry-run --quiet");
    assert!(patch.contains("--- a/app/src/notes/mod.rs\n+++ /dev/null\n"));
    assert_eq!(before, session.times(), "a file was touched");
    session.run("entity remove note");
    session.append("app/tests/tags.rs", "// mine\n");
    session.run("entity remove tag");
    session.append("app/src/products/mod.rs", "// mine\n");
    session.run("entity remove product");
    session.run("check");
    session.show("app/src/lib.rs");
    session.finish();
}

#[test]
fn g08_an_event_is_taken_out_unless_somebody_uses_it() {
    let mut session = Session::new("event_remove");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("entity new product name:string");
    session.prepare("subsystem install bridge --with-dependencies");
    session.write(
        "entities/product.yaml",
        "entity: { name: product }\nfields:\n  name: { type: string, required: true }\n\
         emits: [product_created]\nevents:\n  - { type: product_sold, payload: { product_id: uuid } }\n",
    );
    session.write(
        "events/product_created.yaml",
        "type: product_created\ndirection: change\naggregate: product\npayload: { product_id: uuid }\n",
    );
    session
        .prepare("event new product_seen product_id:uuid --direction change --aggregate product");
    session.prepare("event new greeted name:string --direction inbound --source mail");
    session.prepare("job new index_product product_id:uuid --on product_seen");
    let before = session.times();
    for event in ["product_sold", "product_created", "product_seen", "greet"] {
        session.run(&format!("event remove {event}"));
    }
    assert_eq!(before, session.times(), "a file was touched");
    session.run("event remove greeted");
    session.run("check");
    session.finish();
}

#[test]
fn g27_an_entity_is_renamed_with_its_table_and_all_that_speaks_of_it() {
    let mut session = Session::new("entity_rename");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("subsystem install events");
    session.prepare("entity new account name:string");
    session.prepare("entity new contact email:string:unique account:belongs_to");
    session
        .prepare("event new account_seen account_id:uuid --direction change --aggregate account");
    let before = session.times();
    session.run("entity rename acount customer");
    session.run("entity rename account contact");
    session.run("entity rename account 2nd");
    assert_eq!(before, session.times(), "a file was touched");
    session.append("app/src/accounts/mod.rs", "// mine\n");
    session.run("entity rename account customer");
    for path in [
        "entities/customer.yaml",
        "entities/contact.yaml",
        "events/account_seen.yaml",
        "app/src/customers/mod.rs",
        "app/src/lib.rs",
    ] {
        session.show(path);
    }
    let test = session.read("app/tests/contacts.rs");
    assert!(test.contains("/customers") && !test.contains("/accounts"));
    session.run("migrate");
    session.run("migrate --write");
    session.run("check");
    session.run("entity rename account customer");
    session.finish();
}
