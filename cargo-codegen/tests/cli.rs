//! The command line as its user meets it: transcripts of sessions, compared with `tests/cli/*.txt`.
//!
//! `UPDATE_GOLDENS=1 cargo test -p cargo-codegen --test cli` rewrites them; read the difference.

mod support;

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
fn consumers_of_an_event_are_found_in_code_that_does_not_compile() {
    let mut session = Session::new("consumers");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("subsystem install bridge --with-dependencies");
    session.prepare("entity new product name:string");
    for event in ["product_created", "product_updated", "product_deleted"] {
        session.prepare(&format!(
            "event new {event} product_id:uuid --direction change --aggregate product"
        ));
    }
    session.append("entities/product.yaml", "emits: [product_created]\n");
    session.prepare("entity new --all");
    session.run("event consumers product_created");
    session.prepare("job new index_product product_id:uuid --on product_created");
    for (path, text) in CONSUMERS {
        session.write(path, text);
    }
    for event in ["product_created", "product_updated", "product_deleted"] {
        session.run(&format!("event consumers {event}"));
    }
    session.run("--json event consumers product_updated");
    session.run("event show product_created");
    session.run("event consumers written_by_hand");
    session.run("event consumers product_creatd");
    session.run("event consumers nothing_like_it");
    session.write("app/src/broken.rs", "fn broken( {\n");
    session.run("event consumers product_deleted");
    session.finish();
}

/// Every way to say which event is meant; nothing here compiles as it stands.
const CONSUMERS: [(&str, &str); 5] = [
    (
        "app/src/events/mod.rs",
        include_str!("consumers/events.rs.txt"),
    ),
    ("app/src/mailer.rs", include_str!("consumers/mailer.rs.txt")),
    (
        "app/src/jobs/report.rs",
        include_str!("consumers/report.rs.txt"),
    ),
    (
        "app/src/products/restock.rs",
        include_str!("consumers/restock.rs.txt"),
    ),
    (
        "app/src/jobs/report/tests.rs",
        "fn only_a_test(worker: WorkerBuilder) { worker.subscribe::<ProductCreated, _, _>(\"test\", nothing); }\n",
    ),
];

#[test]
fn wrong_words_are_underlined_and_write_nothing() {
    let mut session = Session::new("words");
    session.prepare(NEW);
    session.enter("shop");
    let before = session.times();
    for line in [
        "entity new product name:strng Email:string sku:string:uniqe status:enum name:text",
        "entity new Product name:string",
        "entity new ../product name:string",
        "entity new product count:integer:max owner:belongs_to:optionl lines:has_many:unique",
        "--json entity new product name:strng",
        "entity new",
        "--json subsystem install everything",
        "entity new --all product",
        "entity shwo product",
        "event new created id:uuid",
        "job new mod",
        "job new con",
        "new 2fast",
        "new other --runtime somewhere",
    ] {
        session.run(line);
    }
    assert_eq!(before, session.times(), "a file was touched");
    session.finish();
}

#[test]
fn a_definition_is_edited_in_its_file() {
    let mut session = Session::new("words_again");
    session.prepare(NEW);
    session.enter("shop");
    session.run("entity new product name:string:max_length=80 price:decimal:optional");
    session.run("-q entity new product name:string:max_length=80 price:decimal:optional");
    session.run("entity new product price:decimal:optional");
    session.run("entity new product name:text price:decimal weight:float");
    session.run("entity new product name:string:max_length=90");
    session.run("entity new entities/product.yaml");
    session.run("entity new entities/product.yaml name:string");
    session.run("entity new prodct");
    session.run("entity show prodcts");
    session.finish();
}

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
fn skills_are_installed_once_and_never_overwritten() {
    const EXTEND: &str = ".claude/skills/codegen-extend/SKILL.md";
    let mut session = Session::new("skills");
    session.prepare(NEW);
    session.enter("shop");
    session.run("skills list");
    session.run("skills install codegen-extent");
    session.run("skills install codegen-repair --dir ../elsewhere");
    session.run("skills install codegen-extend");
    session.append(EXTEND, "mine\n");
    let mine = session.read(EXTEND);
    session.run("skills install");
    assert_eq!(session.read(EXTEND), mine);
    session.run("check");
    session.finish();
}

/// What a guide tells an assistant to run is understood: the words, if not what they would do here.
#[test]
fn every_command_of_a_skill_exists() {
    let session = Session::new("skill_commands");
    let skills = session.json("--json skills list");
    let skills = skills["data"]["skills"].as_array().expect("skills");
    let mut commands = Vec::new();
    for skill in skills {
        let name = skill["name"].as_str().expect("a name");
        let path = format!(
            "{}/../scaffolds/skills/{name}/SKILL.md",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = fs_err::read_to_string(path).expect("read");
        let blocks = text.split("```sh\n").skip(1);
        let lines = blocks.flat_map(|it| it.split("```").next().unwrap_or_default().lines());
        let own = lines.filter_map(|it| it.strip_prefix("cargo codegen "));
        commands.extend(own.map(|it| it.split(" #").next().unwrap_or(it).trim().to_owned()));
        let inline = text.split("`cargo codegen ").skip(1);
        let inline = inline.filter_map(|it| it.split('`').next());
        commands.extend(inline.map(str::to_owned));
    }
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        // There is no workspace: what is understood fails for that, what is not is wrong usage.
        let output = session.command(&command).output().expect("the tool runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(2), "{command}: {error}");
    }
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
fn subsystems_need_one_another() {
    let mut session = Session::new("subsystems");
    session.prepare(NEW);
    session.enter("shop");
    session.run("event new product_created product_id:uuid --direction change --aggregate product");
    session.run("job new index_product");
    session.run("subsystem install bridge");
    session.run("subsystem install everything");
    session.run("subsystem install bridge --with-dependencies");
    session.run("subsystem");
    session.run("job new index_product product_id:uuid --on product_creatd");
    session.run("job new index_product product_id:uuid --pool bach");
    session.run("job new index_product product_id:uuid --pool events_change");
    session.run("event new product_created product_id:uuid --direction change --aggregate prodct");
    session.run("event new seen --tier audit at:datetime");
    session.run("job new watch at:datetime --on seen");
    session.finish();
}

#[test]
fn tenants_are_asked_for_where_multi_tenancy_is_on() {
    let mut session = Session::new("tenants");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("subsystem install events");
    session.prepare("entity new product name:string");
    session.prepare(
        "event new product_created product_id:uuid --direction change --aggregate product",
    );
    session.append("entities/product.yaml", "emits: [product_created]\n");
    let config = session.read("codegen.yaml");
    session.write(
        "codegen.yaml",
        &config.replace("events: {}", "events: { multi_tenant: true }"),
    );
    session.run("entity new --all");
    for file in ["generated/runtime", "products/generated/use_cases"] {
        session.show(&format!("app/src/{file}.rs"));
    }
    let routes = session.read("app/src/products/generated/routes.rs");
    assert!(
        routes.contains("tenant_events(&state.runtime, context.tenant.as_deref())"),
        "{routes}"
    );
    let state = session.read("app/src/state.rs");
    session.write(
        "app/src/state.rs",
        &state
            .replace("runtime(db.clone()).build()", "Runtime::new(db.clone())")
            .replace("use crate::generated::runtime;\n", ""),
    );
    session.run("entity new --all");
    session.finish();
}

#[test]
fn wrong_definitions_are_shown_and_write_nothing() {
    let mut session = Session::new("definitions");
    session.prepare(NEW);
    session.enter("shop");
    session.write(
        "entities/product.yaml",
        "entity:\n  name: product\nfields:\n  name:\n    type: strng\n  price:\n    typ: decimal\n",
    );
    let before = session.times();
    session.run("entity new --all");
    session.run("entity validate");
    session.run("check");
    session.run("");
    session.run("--json check");
    assert_eq!(before, session.times(), "a file was touched");
    session.finish();
}

#[test]
fn g21_an_entry_without_a_certain_place_stops_the_run() {
    let mut session = Session::new("refused");
    session.prepare(NEW);
    session.enter("shop");
    session.write(
        "migration/src/lib.rs",
        "use sea_orm_migration::*;\npub struct Migrator;\nimpl MigratorTrait for Migrator {\n    \
         fn migrations() -> Vec<Box<dyn MigrationTrait>> {\n        Vec::new()\n    }\n}\n",
    );
    session.write("app/src/lib.rs", "include!(\"modules.rs\");\n");
    let before = session.times();
    session.run("entity new product name:string");
    session.run("--json entity new product name:string");
    session.write("app/src/lib.rs", "mod generated;\n");
    session.run("entity new product name:string");
    assert_eq!(before.len(), session.times().len(), "a file was written");
    session.finish();
}

#[test]
fn without_its_snapshot_no_migration_is_written() {
    let mut session = Session::new("snapshot_gone");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("entity new product name:string");
    session.remove("migration/schema.lock");
    session.run("entity new --all");
    session.run("check");
    session.finish();
}

#[test]
fn a_package_is_adopted_without_a_touch_of_main() {
    let mut session = Session::new("init");
    session.write(
        "Cargo.toml",
        "# mine\n[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n",
    );
    session.write("src/main.rs", "fn main() {}\n");
    session.run("");
    session.run("init --runtime registry:0.1");
    let manifest = session.read("Cargo.toml");
    assert!(
        manifest.starts_with("# mine\n[package]\nname = \"shop\"\n"),
        "{manifest}"
    );
    assert!(
        manifest.contains("\nentity = { path = \"entity\" }\n"),
        "{manifest}"
    );
    assert!(
        manifest.ends_with("\n[workspace]\nmembers = [\"entity\", \"migration\"]\n"),
        "{manifest}"
    );
    session.show("codegen.yaml");
    session.show("src/lib.rs");
    session.show("src/main.rs");
    session.run("init --runtime registry:0.1");
    session.run("entity new product name:string");
    session.run("check");
    session.run("subsystem install events");
    session.finish();
}

#[test]
fn what_cannot_be_adopted_is_refused() {
    let mut session = Session::new("init_refused");
    session.run("init");
    session.write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"a\", \"b\", \"c\"]\n",
    );
    for name in ["a", "b", "c"] {
        session.write(
            &format!("{name}/Cargo.toml"),
            &format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
        );
    }
    session.write("c/src/lib.rs", "");
    session.write("a/src/main.rs", "fn main() {}\n");
    session.write("b/src/main.rs", "fn main() {}\n");
    session.run("init");
    session.run("init --app d");
    session.write("b/src/generated.rs", "");
    session.run("init --app b");
    session.append("c/Cargo.toml", "\n[dependencies]\nsea-orm = \"1.1\"\n");
    session.run("init --app a");
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

#[test]
fn g08_g27_a_changed_definition_makes_the_next_migration() {
    let mut session = Session::new("migrate");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("entity new product name:string:max_length=80 price:decimal:optional");
    session.prepare("entity new note body:text");
    session.run("migrate");
    session.write(
        "entities/product.yaml",
        "entity: { name: product }\nfields:\n  title: { type: string, required: true, max_length: 200, previously: name }\n\
         \x20 price: { type: decimal, nullable: true }\n\
         \x20 stock: { type: integer, required: true, backfill: 0 }\n  sku: { type: string, unique: true }\n",
    );
    session.remove("entities/note.yaml");
    session.run("entity new --all");
    session.run("check");
    session.run("");
    session.run("migrate");
    session.run("--json migrate");
    let before = session.times();
    session.run("migrate --write");
    session.run("migrate --write --allow-destructive --dry-run");
    assert_eq!(before, session.times(), "a file was touched");
    session.run("migrate --write --allow-destructive");
    session.show("migration/src/m20261123_101503_change_notes_and_products.rs");
    session.show("migration/schema.lock");
    session.show("migration/src/lib.rs");
    let before = session.times();
    session.run("migrate");
    session.run("migrate --write");
    session.run("check");
    assert_eq!(before, session.times(), "a file was touched");
    let product = session.read("entities/product.yaml");
    session.write(
        "entities/product.yaml",
        &product.replace(", backfill: 0", "").replace(
            "  sku: { type: string, unique: true }",
            "  weight: { type: float, required: true }",
        ),
    );
    session.prepare("entity new --all");
    session.run("migrate --write --allow-destructive");
    session.run("migrate --by-hand");
    session.run("check");
    session.finish();
}
