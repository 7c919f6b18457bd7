//! Workspaces that the tool has not made.

use crate::NEW;
use crate::support::Session;

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
