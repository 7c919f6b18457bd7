//! Top-level blocks of `codegen.yaml`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Edited, Refused, lines};

type Blocks = BTreeMap<String, Value>;

/// Adds `<key>:` with its body at the end.
pub(super) fn add(text: &str, key: &str, body: &str) -> Edited {
    let block = if body.trim().is_empty() {
        format!("{key}: {{}}")
    } else {
        format!("{key}:\n{}", body.trim_end_matches('\n'))
    };
    let refused = |why: String| Refused::new(why, block.clone());
    let before = read(text).map_err(|why| refused(format!("the file is not valid YAML: {why}")))?;
    if before.contains_key(key) {
        return Ok(None);
    }
    let at = end_of_document(text);
    let apart = if is_set_apart(&text[..at], &block) {
        "\n"
    } else {
        ""
    };
    let edited = lines::insert_lines(text, at, &format!("{apart}{block}"));
    let mut after = read(&edited)
        .map_err(|_| refused("the file is not a plain list of `key: value` blocks".to_owned()))?;
    if after.remove(key).is_some() && after == before {
        Ok(Some(edited))
    } else {
        Err(refused(
            "the file is not a plain list of `key: value` blocks".to_owned(),
        ))
    }
}

fn read(text: &str) -> Result<Blocks, String> {
    serde_yaml::from_str::<Option<Blocks>>(text)
        .map(Option::unwrap_or_default)
        .map_err(|error| error.to_string())
}

/// Whether a blank line belongs before the block: where blocks of several lines are set apart, it or the last one
/// being such a block.
fn is_set_apart(before: &str, block: &str) -> bool {
    let last = before.trim_end().lines().last().unwrap_or_default();
    before.trim_end().contains("\n\n") && (block.contains('\n') || last.starts_with([' ', '\t']))
}

/// Where the last line of the document ends: before a `...`, if there is one.
fn end_of_document(text: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "..." {
            return at;
        }
        at += line.len();
    }
    text.len()
}
