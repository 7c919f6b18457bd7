//! Whether an OpenAPI 3.1 document is one.

use anyhow::{Context, Result, ensure};
use jsonschema::Validator;
use jsonschema::meta::MetaValidator;
use serde_json::Value;

/// The meta-schema that the OpenAPI Initiative publishes for 3.1.
const META_SCHEMA: &str = include_str!("../schemas/openapi-3.1.json");

/// Checks a document by the meta-schema, each of its schemas by JSON Schema 2020-12, and that every reference leads
/// somewhere.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate(document: &Value) -> Result<()> {
    let validator = jsonschema::validator_for(&serde_json::from_str(META_SCHEMA)?)?;
    let mut found = problems(&validator, document);
    let schemas = jsonschema::draft202012::meta::validator();
    check(&schemas, document, document, "", &mut found);
    ensure!(
        found.is_empty(),
        "the OpenAPI document is not valid:\n{}",
        found.join("\n")
    );
    let version = document["openapi"].as_str().context("it has no version")?;
    ensure!(version.starts_with("3.1."), "it is of version {version}");
    Ok(())
}

fn problems(validator: &Validator, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    errors
        .map(|it| format!("{}: {it}", it.instance_path()))
        .collect()
}

/// The references and schemas in one value of the document, whose place is `path`.
fn check(
    schemas: &MetaValidator<'_>,
    document: &Value,
    value: &Value,
    path: &str,
    found: &mut Vec<String>,
) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                let target = reference
                    .strip_prefix('#')
                    .and_then(|it| document.pointer(it));
                if target.is_none() {
                    found.push(format!("{path}: `{reference}` leads nowhere"));
                }
            }
            for (name, value) in fields {
                if name == "schema" || path == "/components/schemas" {
                    let errors = schemas.iter_errors(value);
                    let place = |it: &str| format!("{path}/{name}{it}");
                    found.extend(
                        errors.map(|it| format!("{}: {it}", place(it.instance_path().as_str()))),
                    );
                }
                check(schemas, document, value, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                check(
                    schemas,
                    document,
                    item,
                    &format!("{path}/{position}"),
                    found,
                );
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "openapi": "3.1.0",
            "info": { "title": "shop", "version": "1" },
            "paths": { "/products": { "get": { "responses": {
                "200": {
                    "description": "All",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Product" } } }
                }
            } } } },
            "components": { "schemas": { "Product": { "type": ["object", "null"] } } }
        })
    }

    #[test]
    fn a_good_document_is_valid() -> Result<()> {
        validate(&document())
    }

    #[test]
    fn what_is_wrong_is_found_wherever_it_is() {
        let response = "/paths/~1products/get/responses/200";
        let schema = "/components/schemas/Product";
        for (place, wrong) in [
            ("/info", json!({ "title": "no version" })),
            ("/openapi", json!("3.0.3")),
            (response, json!({ "content": {} })),
            (schema, json!({ "type": "objekt" })),
            (
                schema,
                json!({ "properties": { "a": { "minLength": -1 } } }),
            ),
            (schema, json!({ "$ref": "#/components/schemas/Other" })),
        ] {
            let mut document = document();
            *document.pointer_mut(place).expect("a place") = wrong.clone();
            assert!(validate(&document).is_err(), "{wrong} at {place}");
        }
    }
}
