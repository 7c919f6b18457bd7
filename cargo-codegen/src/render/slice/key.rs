//! The primary key, as the templates of a slice spell it.

use crate::model::Entity;
use crate::render::imports::Imports;
use crate::render::{constraint, field};

/// The primary key.
#[derive(Clone)]
pub(super) struct KeyView {
    pub(super) ident: String,
    pub(super) variant: String,
    pub(super) ty: String,
    /// How the API document describes it in a path.
    pub(super) parameter: String,
}

pub(super) fn key(entity: &Entity, imports: &mut Imports) -> KeyView {
    let Some(key) = entity.key() else {
        // The model gives every entity a key; a UUID is what it gives by default.
        let ty = imports.name("uuid::Uuid");
        return KeyView {
            ident: "id".to_owned(),
            variant: "Id".to_owned(),
            parameter: format!("{ty}, Path"),
            ty,
        };
    };
    let ty = field::app_type(&key.ty, "", imports);
    let words = constraint::text_format(&key.ty);
    KeyView {
        ident: key.name.ident.clone(),
        variant: field::variant(key),
        parameter: if words.is_empty() {
            format!("{ty}, Path")
        } else {
            format!("String, Path, {}", words.join(", "))
        },
        ty,
    }
}
