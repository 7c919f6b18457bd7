//! What is refused, and what is asked for.

use crate::NEW;
use crate::support::Session;

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
