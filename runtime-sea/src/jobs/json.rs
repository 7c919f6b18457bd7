//! Values as every database can store them.

use serde_json::Value;

/// The most that an input, an output or a step's output may take as JSON.
const MAX_JSON_BYTES: usize = 4 * 1024 * 1024;

/// A value as JSON that every database can store, or what is wrong with it.
pub(crate) fn storable_json(value: &impl serde::Serialize) -> Result<Value, String> {
    let json = serde_json::to_value(value).map_err(|error| error.to_string())?;
    let bytes = serde_json::to_string(&json).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_JSON_BYTES {
        return Err(format!(
            "it takes {} bytes as JSON, the limit is {MAX_JSON_BYTES}; store the data elsewhere and pass its id",
            bytes.len()
        ));
    }
    match path_of_nul(&json) {
        Some(path) => Err(format!(
            "`{path}` contains a NUL character, which PostgreSQL cannot store"
        )),
        None => Ok(json),
    }
}

fn path_of_nul(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| "value".to_owned()),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            path_of_nul(item).map(|path| join(&index.to_string(), &path))
        }),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            if name.contains('\0') {
                return Some(name.replace('\0', "\\0"));
            }
            path_of_nul(field).map(|path| join(name, &path))
        }),
        _ => None,
    }
}

fn join(outer: &str, inner: &str) -> String {
    if inner == "value" {
        outer.to_owned()
    } else {
        format!("{outer}.{inner}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn r51_nul_characters_are_refused_with_their_place() {
        let error = storable_json(&json!({ "lines": [{ "text": "a\0b" }] })).unwrap_err();
        assert!(error.contains("`lines.0.text`"), "{error}");
        assert!(storable_json(&json!({ "text": "\\u0000" })).is_ok());
    }

    #[test]
    fn r50_huge_input_is_refused() {
        let error = storable_json(&"x".repeat(MAX_JSON_BYTES)).unwrap_err();
        assert!(error.contains("the limit is"), "{error}");
    }
}
