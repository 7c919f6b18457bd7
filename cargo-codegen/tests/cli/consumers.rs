//! Who uses an event.

use crate::NEW;
use crate::support::Session;

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
