//! Definitions that load, and what the model says about them.

use cargo_codegen::model::{self, Model};
use cargo_codegen::report::diagnostics;
use cargo_codegen::workspace::{Disk, Overlay};

/// Loads definitions that must have no error; the notes and warnings come rendered.
fn load(files: &[(&str, &str)]) -> (Model, String) {
    let nothing = Disk::new("no/such/directory");
    let mut overlay = Overlay::new(&nothing);
    overlay.insert("codegen.yaml", "events: {}\n");
    for (path, text) in files {
        overlay.insert(*path, *text);
    }
    let loaded = model::load(&overlay);
    match loaded.result {
        Ok((model, notes)) => (model, diagnostics::render(&loaded.sources, &notes)),
        Err(problems) => panic!("{}", diagnostics::render(&loaded.sources, &problems)),
    }
}

#[test]
fn the_reference_entity_loads_unchanged() {
    let (model, notes) = load(&[
        (
            "entities/contact.yaml",
            include_str!("definitions/reference/contact.yaml"),
        ),
        (
            "entities/account.yaml",
            "entity: { name: account }\nfields: { name: { type: string, required: true } }\n",
        ),
        (
            "events/contact_created.yaml",
            include_str!("definitions/reference/contact_created.yaml"),
        ),
        (
            "events/contact_updated.yaml",
            "type: contact_updated\ndirection: change\naggregate: contact\npayload: { contact_id: { type: uuid } }\n",
        ),
        (
            "events/contact_deleted.yaml",
            "type: contact_deleted\ndirection: change\naggregate: contact\npayload: { contact_id: { type: uuid } }\n",
        ),
    ]);
    println!("{notes}");
    println!("{model:#?}");
}
