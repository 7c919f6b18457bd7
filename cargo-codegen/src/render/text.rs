//! User's words inside generated text.

/// A description as `///` lines, each indented and ended; empty without one.
pub(super) fn doc_lines(description: Option<&str>, indent: &str) -> String {
    description
        .into_iter()
        .flat_map(str::lines)
        .map(str::trim_end)
        .map(|line| {
            if line.is_empty() {
                format!("{indent}///\n")
            } else {
                format!("{indent}/// {line}\n")
            }
        })
        .collect()
}

/// A string literal, as TOML and YAML both read it.
pub(super) fn literal(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// With its first letter in upper case.
pub(super) fn sentence_case(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
