//! Definitions of a test as a model.

use camino::Utf8Path;
use cargo_codegen::model::{self, Entity, Model};
use cargo_codegen::report::diagnostics;
use cargo_codegen::workspace::{Disk, Files, Overlay};

pub(crate) const ACCOUNT: &str =
    "entity: { name: account }\nfields: { name: { type: string, required: true } }\n";

pub(crate) const DEFINITIONS: (&str, &str) = (
    "entities/field_definition.yaml",
    include_str!("../definitions/reference/field_definition.yaml"),
);
pub(crate) const VALUES: (&str, &str) = (
    "entities/field_value.yaml",
    include_str!("../definitions/reference/field_value.yaml"),
);

/// Loads definitions that must have no error; the notes and warnings come rendered.
pub(crate) fn load(files: &[(&str, &str)]) -> (Model, String) {
    let nothing = Disk::new("no/such/directory");
    let mut overlay = Overlay::new(&nothing);
    overlay.insert("codegen.yaml", "events: {}\n");
    for (path, text) in files {
        overlay.insert(*path, *text);
    }
    resolved(&overlay)
}

pub(crate) fn resolved(files: &dyn Files) -> (Model, String) {
    let loaded = model::load(files);
    match loaded.result {
        Ok((model, notes)) => (model, diagnostics::render(&loaded.sources, &notes)),
        Err(problems) => panic!("{}", diagnostics::render(&loaded.sources, &problems)),
    }
}

pub(crate) fn entity<'m>(model: &'m Model, name: &str) -> &'m Entity {
    model.entity(name).expect(name)
}

pub(crate) fn columns(entity: &Entity) -> Vec<&str> {
    entity
        .fields
        .iter()
        .map(|it| it.name.snake.as_str())
        .collect()
}

pub(crate) fn fixture(name: &str) -> (Model, String) {
    let dir = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures")
        .join(name)
        .join("input");
    let disk = Disk::new(dir);
    let mut files = Overlay::new(&disk);
    files.insert("codegen.yaml", "events: {}\njobs: {}\nbridge: {}\n");
    resolved(&files)
}
