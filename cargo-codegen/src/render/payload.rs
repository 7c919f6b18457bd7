//! Payload fields of events and inputs of jobs as Rust struct fields.

use crate::model::{PayloadField, PayloadType};

use super::imports::Imports;
use super::text;

/// One field of a struct.
#[derive(Debug, Clone)]
pub(super) struct StructField {
    /// Doc lines, each with its `///`; empty if there is nothing to say.
    pub(super) docs: String,
    /// `#[serde(rename = "..")]` where the Rust name is not the JSON key; else empty.
    pub(super) rename: String,
    /// The Rust name.
    pub(super) ident: String,
    /// The Rust type.
    pub(super) ty: String,
}

/// The fields of a payload; what their types need is added to `imports`.
pub(super) fn struct_fields(fields: &[PayloadField], imports: &mut Imports) -> Vec<StructField> {
    fields
        .iter()
        .map(|field| {
            let ty = rust_type(&field.ty, imports);
            let json_key = &field.name.snake;
            let renamed = field.name.ident.trim_start_matches("r#") != json_key;
            StructField {
                docs: match field.description.as_deref() {
                    Some(description) => text::doc_lines(Some(description), "    "),
                    None => format!("    /// {}.\n", text::sentence_case(&field.name.human)),
                },
                rename: if renamed {
                    format!("    #[serde(rename = {json_key:?})]\n")
                } else {
                    String::new()
                },
                ident: field.name.ident.clone(),
                ty: if field.nullable {
                    format!("Option<{ty}>")
                } else {
                    ty
                },
            }
        })
        .collect()
}

fn rust_type(ty: &PayloadType, imports: &mut Imports) -> String {
    match ty {
        PayloadType::Uuid => imports.name("uuid::Uuid"),
        PayloadType::String => "String".to_owned(),
        PayloadType::Number => "f64".to_owned(),
        PayloadType::Integer => "i64".to_owned(),
        PayloadType::Decimal => imports.name("rust_decimal::Decimal"),
        PayloadType::Boolean => "bool".to_owned(),
        PayloadType::DateTime => {
            let utc = imports.name("chrono::Utc");
            format!("{}<{utc}>", imports.name("chrono::DateTime"))
        }
        PayloadType::Day => imports.name("chrono::NaiveDate"),
        PayloadType::Json => imports.name("serde_json::Value"),
        PayloadType::Array(items) => format!("Vec<{}>", rust_type(items, imports)),
    }
}

/// Whether values of this type are copied rather than cloned.
pub(super) fn is_copy(ty: &PayloadType) -> bool {
    !matches!(
        ty,
        PayloadType::String | PayloadType::Json | PayloadType::Array(_)
    )
}
