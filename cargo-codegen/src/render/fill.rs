//! Placeholders of the scaffold files: `{{ name }}`, and nothing else.

use super::{RenderError, Result};

/// Replaces every `{{ name }}` by its value.
///
/// # Errors
/// If a placeholder is none of `values`.
pub(super) fn fill(file: &str, text: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{ ") {
        let unknown = |name: &str| RenderError::Placeholder {
            file: file.to_owned(),
            name: name.to_owned(),
        };
        let (name, after) = after.split_once(" }}").ok_or_else(|| unknown(after))?;
        let (_, value) = values
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| unknown(name))?;
        filled += before;
        filled += value;
        rest = after;
    }
    filled += rest;
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_places_of_their_names() {
        let values = [("a", "1"), ("b", "{{ a }}")];
        let filled = fill("f", "{{ a }}{{ b }} {a} {{a}}", &values).unwrap();
        assert_eq!(filled, "1{{ a }} {a} {{a}}");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_the_file() {
        let error = fill("main.rs", "x {{ nmae }}", &[("name", "")]).unwrap_err();
        assert!(error.to_string().contains("main.rs"), "{error}");
        assert!(error.to_string().contains("`nmae`"), "{error}");
    }
}
