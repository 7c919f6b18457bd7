//! The next migration.

use crate::NEW;
use crate::support::Session;

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

fn keep_both_sides(session: &Session, path: &str) {
    let text = session.read(path);
    let lines = text.lines().filter(|it| !it.starts_with(['<', '=', '>']));
    let both: Vec<&str> = lines.chain([""]).collect();
    session.write(path, &both.join("\n"));
}

#[test]
fn g25_g28_two_branches_that_each_wrote_migrations_are_merged() {
    let mut session = Session::new("two_branches");
    session.prepare(NEW);
    session.enter("shop");
    session.prepare("entity new book name:string");
    session.git("init --quiet --initial-branch main");
    session.git("add --all");
    session.git("commit --quiet --message base");
    session.git("checkout --quiet -b other");
    session.prepare("entity new tag name:string");
    session.git("add --all");
    session.git("commit --quiet --message tag");
    session.git("checkout --quiet main");
    let book = session.read("entities/book.yaml");
    let more = "fields:\n  pages: { type: integer, default: 0 }\n";
    session.write("entities/book.yaml", &book.replace("fields:\n", more));
    session.prepare("entity new label text:string");
    session.prepare("migrate --write");
    session.git("add --all");
    session.git("commit --quiet --message pages");
    session.git_fails("merge other");
    assert!(session.read("migration/schema.lock").contains("<<<<<<<"));

    session.run("entity new --all");
    session.say("the lists of modules are decided");
    keep_both_sides(&session, "entity/src/lib.rs");
    keep_both_sides(&session, "app/src/lib.rs");
    session.run("entity new --all");
    session.show("migration/schema.lock");
    session.say("and that of the migrations");
    keep_both_sides(&session, "migration/src/lib.rs");
    session.run("migrate");
    session.run("check");
    session.finish();
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
