//! Members of a Cargo workspace.

use glob::{MatchOptions, Pattern};
use toml_edit::{Document, Item};

use super::{Edited, Refused, lines, list};

/// Adds to `members` of `[workspace]`, unless a glob covers it.
pub(super) fn add(text: &str, member: &str) -> Edited {
    let quoted = format!("\"{member}\"");
    let refused = |why: String| Refused::new(why, format!("[workspace]\nmembers = [{quoted}]"));
    let document = Document::parse(text).map_err(|error| {
        refused(format!(
            "the manifest is not valid TOML: {}",
            error.message()
        ))
    })?;
    let Some(workspace) = document.get("workspace") else {
        let separator = if text.is_empty() || text.ends_with("\n\n") {
            ""
        } else {
            "\n"
        };
        let table = format!("{separator}[workspace]\nmembers = [{quoted}]");
        let edited = lines::insert_lines(text, text.len(), &table);
        return verified(edited).map_err(refused);
    };
    if let Some(exclude) = workspace.get("exclude").and_then(Item::as_array)
        && exclude
            .iter()
            .filter_map(|it| it.as_str())
            .any(|it| is_below(member, it))
    {
        return Err(refused(format!(
            "`exclude` of the workspace covers `{member}`"
        )));
    }
    let Some(members) = workspace.get("members") else {
        let edited = add_key(text, workspace, &format!("members = [{quoted}]"));
        let edited = edited.ok_or("the `[workspace]` table has no place of its own in the file");
        return edited
            .map_err(str::to_owned)
            .and_then(verified)
            .map_err(refused);
    };
    let Some(members) = members.as_array() else {
        return Err(refused("`members` of the workspace is no array".to_owned()));
    };
    let names: Vec<&str> = members.iter().filter_map(|it| it.as_str()).collect();
    if names.iter().any(|it| covers(it, member)) {
        return Ok(None);
    }
    list::add_string(text, &["workspace", "members"], member)
        .map(Some)
        .map_err(refused)
}

fn verified(edited: String) -> Result<Option<String>, String> {
    match Document::parse(edited.as_str()) {
        Ok(_) => Ok(Some(edited)),
        Err(error) => Err(format!(
            "the place for it could not be found: {}",
            error.message()
        )),
    }
}

/// A first key below the table's header.
fn add_key(text: &str, table: &Item, line: &str) -> Option<String> {
    let table = table
        .as_table()
        .filter(|it| !it.is_dotted() && !it.is_implicit())?;
    let header = table.span()?;
    Some(lines::insert_lines(
        text,
        lines::line_end(text, header.start),
        line,
    ))
}

fn covers(pattern: &str, member: &str) -> bool {
    let clean = |it: &str| it.trim_start_matches("./").trim_end_matches('/').to_owned();
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::default()
    };
    let pattern = clean(pattern);
    pattern == clean(member)
        || Pattern::new(&pattern).is_ok_and(|it| it.matches_with(&clean(member), options))
}

fn is_below(member: &str, excluded: &str) -> bool {
    let excluded = excluded.trim_start_matches("./").trim_end_matches('/');
    member == excluded
        || member
            .strip_prefix(excluded)
            .is_some_and(|it| it.starts_with('/'))
}
