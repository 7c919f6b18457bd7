//! What the manifests of the user's packages have to list.

use super::http::{has_bytes, has_pages, has_patterns};
use crate::changeset::Edit;
use crate::model::{CrateLocation, Model, Pages};

/// Dependencies that the files of this model need beyond those that every workspace has.
pub fn dependencies(model: &Model) -> Vec<Edit> {
    let config = &model.config;
    let dependency = |manifest: &CrateLocation, name: &str, spec: &str| Edit::Dependency {
        file: manifest.file("Cargo.toml"),
        name: name.to_owned(),
        spec: spec.to_owned(),
        dev: false,
    };
    let (app, entity) = (&config.app_crate, &config.entity_crate);
    let mut edits = Vec::new();
    if has_bytes(model) || has_pages(model, Pages::Keyset) {
        edits.push(dependency(app, "base64", "\"0.22\""));
    }
    if has_patterns(model) {
        edits.push(dependency(app, "regex", "\"1\""));
    }
    // Where no entity has a vector, nothing of pgvector's is compiled.
    if has_vectors(model) {
        let spec =
            r#"{ version = "2.0", default-features = false, features = ["postgres-vector"] }"#;
        edits.push(dependency(entity, "sea-orm", spec));
    }
    // What the types of the user's that JSON is read as derive from; their crate has its own.
    if has_own_json(model) {
        for (name, spec) in [("serde_json", "\"1.0\""), ("utoipa", "\"6.0\"")] {
            edits.push(dependency(entity, name, spec));
        }
    }
    edits
}

/// Whether JSON is read as a type of the entity crate.
fn has_own_json(model: &Model) -> bool {
    let entity_crate = model.config.entity_crate.ident();
    let fields = model.entities.iter().flat_map(|it| &it.fields);
    let mut types = fields.filter_map(|it| it.constraints.json.as_ref());
    types.any(|it| it.in_entity_crate(&entity_crate).starts_with("crate::"))
}

/// Whether an entity has a column of pgvector's type.
fn has_vectors(model: &Model) -> bool {
    let mut fields = model.entities.iter().flat_map(|it| &it.fields);
    fields.any(|it| it.ty.is_vector())
}
