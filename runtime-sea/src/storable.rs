//! Values and names as every database can store them.

use std::io;

use serde_json::Value;

/// The most that an input, an output, a step's output, or an event's payload or metadata may take as JSON.
pub(crate) const MAX_JSON_BYTES: usize = 4 * 1024 * 1024;

/// How deep arrays and objects may be nested: MariaDB takes 32 levels, and some are the runtime's own.
pub(crate) const MAX_JSON_DEPTH: usize = 28;

/// The most that an error or a backtrace may take.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The longest name or key, in characters.
pub(crate) const MAX_NAME_LENGTH: u32 = 255;

/// The longest key as it is stored, with the tenant that it belongs to.
pub(crate) const MAX_KEY_LENGTH: u32 = 2 * MAX_NAME_LENGTH + 8;

/// A value as JSON that every database can store, or what is wrong with it.
pub(crate) fn storable_json(value: &impl serde::Serialize) -> Result<Value, String> {
    let json = serde_json::to_value(value).map_err(|error| error.to_string())?;
    let bytes = size(&json);
    if bytes > MAX_JSON_BYTES {
        return Err(format!(
            "it takes {bytes} bytes as JSON, the limit is {MAX_JSON_BYTES}; store the data elsewhere and pass its id"
        ));
    }
    if depth(&json) > MAX_JSON_DEPTH {
        return Err(format!(
            "it is nested more than {MAX_JSON_DEPTH} levels deep, which not every database can store; make it flatter"
        ));
    }
    match find_nul(&json, "value") {
        Some(path) => Err(format!(
            "`{path}` contains a NUL character, which PostgreSQL cannot store"
        )),
        None => Ok(json),
    }
}

/// Refuses a name or key that one of the databases cannot store. SQLite would take it; refusing it everywhere, and
/// before anything is written, keeps the databases interchangeable and transactions whole.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    if name.contains('\0') {
        return Err(format!("{what} has a NUL character; remove it"));
    }
    let length = name.chars().count();
    if length > MAX_NAME_LENGTH as usize {
        let shown: String = name.chars().take(40).collect();
        return Err(format!(
            "{what} `{shown}...` has {length} characters, the limit is {MAX_NAME_LENGTH}; use a hash of it"
        ));
    }
    Ok(())
}

/// A text as every database can store it: bounded, without NUL characters.
pub(crate) fn stored_text(text: &str) -> String {
    let mut text = text.replace('\0', "\\0");
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.push_str(" [cut]");
    }
    text
}

/// How many bytes a value takes as JSON.
pub(crate) fn size(value: &Value) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // Neither a value nor counting can fail.
    let _counted = serde_json::to_writer(&mut count, value);
    count.0
}

/// How many arrays and objects stand inside of one another.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Where the first NUL character stands, which PostgreSQL's JSON cannot hold.
pub(crate) fn find_nul(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_nul(item, &format!("{path}[{index}]"))),
        Value::Object(fields) => fields.iter().find_map(|(key, item)| {
            let path = format!("{path}.{}", key.escape_debug());
            if key.contains('\0') {
                Some(path)
            } else {
                find_nul(item, &path)
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn r51_nul_characters_are_refused_with_their_place() {
        let error = storable_json(&json!({ "lines": [{ "text": "a\0b" }] })).unwrap_err();
        assert!(error.contains("`value.lines[0].text`"), "{error}");
        assert!(storable_json(&json!({ "text": "\\u0000" })).is_ok());
        assert!(find_nul(&json!({ "k\0": 1 }), "payload").is_some());
    }

    #[test]
    fn r50_huge_input_is_refused() {
        let error = storable_json(&"x".repeat(MAX_JSON_BYTES)).unwrap_err();
        assert!(error.contains("the limit is"), "{error}");
    }

    #[test]
    fn r50_values_that_are_nested_too_deep_are_refused() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(storable_json(&nested(MAX_JSON_DEPTH)).is_ok());
        let error = storable_json(&nested(MAX_JSON_DEPTH + 1)).unwrap_err();
        assert!(error.contains("nested more than 28 levels"), "{error}");
    }

    #[test]
    fn names_are_counted_in_characters() {
        assert!(check_name("the key", &"ä".repeat(255)).is_ok());
        let error = check_name("the key", &"ä".repeat(256)).unwrap_err();
        assert!(error.contains("has 256 characters"), "{error}");
        assert!(check_name("the key", "a\0").is_err());
    }

    #[test]
    fn r50_huge_error_texts_are_cut_at_a_character() {
        let text = stored_text(&"ä".repeat(MAX_TEXT_BYTES));
        assert!(text.len() <= MAX_TEXT_BYTES + " [cut]".len());
        assert!(text.ends_with("ä [cut]"));
    }

    #[test]
    fn r51_nul_characters_in_errors_are_escaped() {
        assert_eq!(stored_text("a\0b"), "a\\0b");
    }
}
