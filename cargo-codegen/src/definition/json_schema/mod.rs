//! JSON Schemas of the definition files, for editors: what they complete, explain and underline.
//!
//! They say what can be said of one file by itself; whether names fit together, only the tool knows. Keys come from the
//! same tables as the reader's, so that a key that one of the two knows is known to the other.

mod config;
mod entity;
mod event;

use serde_json::{Map, Value, json};

use super::keys::{Keys, Use};

/// A kind of definition file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinitionFile {
    /// `entities/<name>.yaml`.
    Entity,
    /// `events/<type>.yaml`.
    Event,
    /// `patterns/<name>.yaml`.
    Pattern,
    /// `codegen.yaml`.
    Config,
}

/// The JSON Schema (draft 2020-12) of a kind of definition file.
#[must_use]
pub fn json_schema(file: DefinitionFile) -> Value {
    let (title, mut schema) = match file {
        DefinitionFile::Entity => ("An entity of cargo codegen", entity::entity()),
        DefinitionFile::Event => ("An event of cargo codegen", event::event()),
        DefinitionFile::Pattern => ("A pattern of cargo codegen", entity::pattern()),
        DefinitionFile::Config => ("The configuration of cargo codegen", config::config()),
    };
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema
}

/// A key of a block, what an editor says of it, and what it takes.
type Property = (&'static str, &'static str, Value);

/// A block with these keys; those that the reader knows otherwise are taken from its table.
fn block(keys: &Keys, required: &[&str], properties: Vec<Property>) -> Value {
    let mut known = Map::new();
    for (key, description, mut schema) in properties {
        schema["description"] = json!(description);
        known.insert(key.to_owned(), schema);
    }
    for (key, treatment) in keys.other {
        let schema = match treatment {
            Use::Read => continue,
            Use::Foreign => {
                json!({ "description": "Another tool's; nothing is generated from it." })
            }
            Use::Later => json!({ "description": "This version generates nothing from it." }),
            Use::Refused(instead) => {
                json!({ "not": {}, "description": format!("Not supported: {instead}.") })
            }
        };
        known.insert((*key).to_owned(), schema);
    }
    json!({
        "type": if required.is_empty() { json!(["object", "null"]) } else { json!("object") },
        "properties": known,
        "patternProperties": { "^ui_": {} },
        "required": required,
        "additionalProperties": false,
    })
}

/// A block whose keys the user chooses.
fn entries(value: &Value) -> Value {
    json!({ "type": ["object", "null"], "additionalProperties": value })
}

/// Text, which YAML may take for a number or a truth value.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn number(least: u32, most: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

fn list(of: &Value) -> Value {
    json!({ "type": ["array", "null"], "items": of })
}

/// One of them, or a list.
fn one_or_more() -> Value {
    json!({ "type": ["string", "array", "null"], "items": text() })
}

fn words<T>(words: &[(&'static str, T)]) -> Value {
    let words: Vec<&str> = words.iter().map(|it| it.0).collect();
    json!({ "enum": words })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every block of a schema that names its keys.
    fn blocks(schema: &Value, found: &mut Vec<Vec<String>>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            found.push(properties.keys().cloned().collect());
        }
        let inner: Vec<&Value> = match schema {
            Value::Object(entries) => entries.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        for schema in inner {
            blocks(schema, found);
        }
    }

    #[test]
    fn each_block_has_the_keys_that_its_reader_knows() {
        use crate::definition::keys as of;
        let mut found = Vec::new();
        for file in [
            DefinitionFile::Entity,
            DefinitionFile::Event,
            DefinitionFile::Pattern,
            DefinitionFile::Config,
        ] {
            blocks(&json_schema(file), &mut found);
        }
        for keys in [
            of::ENTITY_FILE,
            of::ENTITY,
            of::PATTERN_FILE,
            of::PATTERN,
            of::FIELD,
            of::FIELD_JSON,
            of::RELATION,
            of::QUERY,
            of::LIMIT,
            of::GENERATE,
            of::EVENT_FILE,
            of::INLINE_EVENT,
            of::PAYLOAD_FIELD,
            of::RETRY,
            of::SCHEDULE,
            of::CONFIG,
            of::CONFIG_PATHS,
            of::CONFIG_CRATES,
            of::CONFIG_APP,
            of::CONFIG_ENTITY,
            of::CONFIG_RUNTIME,
            of::CONFIG_RUNTIME_SOURCE,
            of::CONFIG_EVENTS,
            of::CONFIG_JOBS,
            of::CONFIG_BRIDGE,
        ] {
            let others = keys.other.iter().map(|it| it.0);
            let mut wanted: Vec<&str> = keys.read.iter().copied().chain(others).collect();
            wanted.sort_unstable();
            let is_there = found.iter().any(|it| *it == wanted);
            assert!(is_there, "{}: no block has the keys {wanted:?}", keys.of);
        }
    }
}
