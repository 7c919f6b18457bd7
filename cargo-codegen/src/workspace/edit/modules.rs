//! `mod` declarations in a Rust file.

use std::ops::Range;

use syn::{Attribute, Item, ItemMod, Visibility};

use super::{Edited, Refused, lines};
use crate::workspace::rust_file::{self, RustFile};

/// `mod x;` as it stands in the file.
struct Declaration {
    name: String,
    public: bool,
    attributes: Attributes,
    range: Range<usize>,
}

/// What stands above a declaration, from the usual to the odd.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Attributes {
    /// Nothing but docs.
    Plain,
    /// `#[path]`, `#[macro_use]` and the like.
    Special,
    /// `#[cfg]`.
    Conditional,
}

/// Adds `mod <ident>;`.
pub(super) fn add(text: &str, ident: &str, public: bool) -> Edited {
    let line = declaration(ident, public);
    let file = parse(text, &line)?;
    let name = rust_file::plain_text(ident);
    if declares(&file, name) {
        return Ok(None);
    }
    if let Some(Item::Macro(found)) = file.ast.items.iter().find(|it| is_include(it)) {
        return Err(Refused::new(
            format!(
                "line {} includes another file, which may declare `{ident}`",
                file.line(found)
            ),
            line,
        ));
    }
    let edited = insert(text, &file, name, public, &line);
    match RustFile::parse(&edited) {
        Ok(after)
            if after.ast.items.len() == file.ast.items.len() + 1 && declares(&after, name) =>
        {
            Ok(Some(edited))
        }
        _ => Err(Refused::new("the place for it could not be found", line)),
    }
}

/// Takes `mod <ident>;` out again.
pub(super) fn remove(text: &str, ident: &str) -> Edited {
    let name = rust_file::plain_text(ident);
    let refused = |why: String| Refused::new(why, format!("(remove `mod {ident};`)"));
    let file = RustFile::parse(text).map_err(|error| {
        refused(format!(
            "line {} is not valid Rust: {}",
            error.line, error.message
        ))
    })?;
    let mut found = Vec::new();
    for item in &file.ast.items {
        if let Item::Mod(module) = item
            && rust_file::plain(&module.ident) == name
        {
            if module.content.is_some() || module.attrs.iter().any(|it| !it.path().is_ident("doc"))
            {
                return Err(refused(format!("`mod {ident}` is not a plain declaration")));
            }
            found.push(file.range(module));
        }
    }
    let range = match found.as_slice() {
        [] => return Ok(None),
        [range] => range.clone(),
        _ => return Err(refused(format!("`{ident}` is declared more than once"))),
    };
    let whole_lines =
        lines::begins_line(text, range.start) && lines::ends_line(text, range.end, "//");
    let range = if whole_lines {
        let range = lines::line_start(text, range.start)..lines::line_end(text, range.end);
        let stands_alone = range.start == 0 || text[..range.start].ends_with("\n\n");
        // Alone in its paragraph, it goes with the blank line that set it apart.
        if !stands_alone {
            range
        } else if text[range.end..].starts_with('\n') {
            range.start..range.end + 1
        } else if range.end == text.len() {
            range.start.saturating_sub(1)..range.end
        } else {
            range
        }
    } else {
        range
    };
    let mut edited = lines::splice(text, range.clone(), "");
    if range.end == text.len() && !text.ends_with('\n') && whole_lines {
        edited.truncate(edited.trim_end_matches('\n').len());
    }
    let mentions = |text: &str| {
        text.parse::<proc_macro2::TokenStream>()
            .is_ok_and(|tokens| rust_file::has_sequence(&tokens, &[name]))
    };
    if mentions(&edited) {
        return Err(refused(format!("the file still names `{ident}` elsewhere")));
    }
    if RustFile::parse(&edited).is_err() {
        return Err(refused("it could not be taken out of its line".to_owned()));
    }
    Ok(Some(edited))
}

/// Whether the file declares the module at its top level, in any way that can be seen.
pub(super) fn declares(file: &RustFile, name: &str) -> bool {
    file.ast.items.iter().any(|item| match item {
        Item::Mod(module) => rust_file::plain(&module.ident) == name,
        Item::Macro(call) => rust_file::has_sequence(&call.mac.tokens, &["mod", name]),
        Item::Verbatim(tokens) => rust_file::has_sequence(tokens, &["mod", name]),
        _ => false,
    })
}

pub(super) fn declaration(ident: &str, public: bool) -> String {
    format!("{}mod {ident};", if public { "pub " } else { "" })
}

/// The text with the declaration, wherever it belongs.
pub(super) fn insert(text: &str, file: &RustFile, name: &str, public: bool, line: &str) -> String {
    let runs = runs(text, file);
    let Some(run) = best_run(&runs, public) else {
        // Odd declarations keep a place of their own.
        let odd = runs
            .iter()
            .flatten()
            .rfind(|it| it.attributes == Attributes::Special);
        return match odd {
            Some(last) => insert_after(text, last.range.end, &format!("\n{line}")),
            None => insert_first(text, file, line),
        };
    };
    let alike: Vec<&Declaration> = run.iter().filter(|it| it.public == public).collect();
    let all: Vec<&Declaration> = run.iter().collect();
    let (list, position) = if is_sorted(&all) {
        let position = all.iter().position(|it| it.name.as_str() > name);
        (all, position)
    } else if is_sorted(&alike) && is_contiguous(run, public) {
        let position = alike.iter().position(|it| it.name.as_str() > name);
        (alike, position)
    } else if alike.is_empty() {
        (all, None)
    } else {
        (alike, None)
    };
    match position {
        Some(position) => insert_before(text, &list, position, line),
        None => list.last().map_or_else(
            || insert_first(text, file, line),
            |last| insert_after(text, last.range.end, line),
        ),
    }
}

fn parse(text: &str, line: &str) -> Result<RustFile, Refused> {
    RustFile::parse(text).map_err(|error| {
        Refused::new(
            format!("line {} is not valid Rust: {}", error.line, error.message),
            line,
        )
    })
}

fn is_include(item: &Item) -> bool {
    matches!(item, Item::Macro(call) if call.mac.path.segments.last().is_some_and(|it| it.ident == "include"))
}

/// Declarations that follow each other without a blank line or another item between them.
fn runs(text: &str, file: &RustFile) -> Vec<Vec<Declaration>> {
    let mut runs: Vec<Vec<Declaration>> = Vec::new();
    let mut previous_end = None;
    for item in &file.ast.items {
        let Item::Mod(module) = item else {
            previous_end = None;
            continue;
        };
        if module.content.is_some() {
            previous_end = None;
            continue;
        }
        let found = read_declaration(file, module);
        let joined = previous_end.is_some_and(|end| !has_blank_line(&text[end..found.range.start]));
        previous_end = Some(found.range.end);
        match runs.last_mut() {
            Some(run) if joined => run.push(found),
            _ => runs.push(vec![found]),
        }
    }
    runs
}

fn read_declaration(file: &RustFile, module: &ItemMod) -> Declaration {
    Declaration {
        name: rust_file::plain(&module.ident),
        public: matches!(module.vis, Visibility::Public(_)),
        attributes: module
            .attrs
            .iter()
            .map(kind)
            .max()
            .unwrap_or(Attributes::Plain),
        range: file.range(module),
    }
}

fn kind(attribute: &Attribute) -> Attributes {
    let path = attribute.path();
    if path.is_ident("doc") {
        Attributes::Plain
    } else if path.is_ident("cfg") || path.is_ident("cfg_attr") {
        Attributes::Conditional
    } else {
        Attributes::Special
    }
}

fn has_blank_line(between: &str) -> bool {
    let mut lines = between.split('\n');
    lines.next();
    let mut lines = lines.rev();
    lines.next();
    lines.any(|it| it.trim().is_empty())
}

/// The last list with a plain declaration of the same visibility, or of any.
fn best_run(runs: &[Vec<Declaration>], public: bool) -> Option<&Vec<Declaration>> {
    let plain = |it: &Declaration| it.attributes == Attributes::Plain;
    let alike = runs
        .iter()
        .rfind(|run| run.iter().any(|it| plain(it) && it.public == public));
    alike.or_else(|| runs.iter().rfind(|run| run.iter().any(plain)))
}

fn is_sorted(list: &[&Declaration]) -> bool {
    !list.is_empty() && list.is_sorted_by(|a, b| a.name <= b.name)
}

fn is_contiguous(run: &[Declaration], public: bool) -> bool {
    let changes = run
        .windows(2)
        .filter(|it| it[0].public != it[1].public)
        .count();
    changes <= 1
        || run
            .iter()
            .skip_while(|it| it.public != public)
            .skip_while(|it| it.public == public)
            .all(|it| it.public != public)
}

fn insert_before(text: &str, list: &[&Declaration], position: usize, line: &str) -> String {
    let next = &list[position].range;
    if !lines::begins_line(text, next.start) {
        return lines::splice(text, next.start..next.start, &format!("{line}\n"));
    }
    let floor = match position {
        0 => 0,
        _ => lines::line_end(text, list[position - 1].range.end),
    };
    let at = lines::with_comments_above(text, next.start, floor, "//");
    // A comment above the first declaration is as likely the heading of the whole list.
    let at = if position == 0 {
        lines::line_start(text, next.start)
    } else {
        at
    };
    let indent = lines::indent(text, next.start);
    lines::insert_lines(text, at, &format!("{indent}{line}"))
}

fn insert_after(text: &str, end: usize, line: &str) -> String {
    let indent = lines::indent(text, end);
    if lines::ends_line(text, end, "//") {
        lines::insert_lines(text, lines::line_end(text, end), &format!("{indent}{line}"))
    } else {
        lines::splice(text, end..end, &format!("\n{indent}{line}"))
    }
}

/// The first declaration of a file: behind the leading `use` items, or before the first item.
fn insert_first(text: &str, file: &RustFile, line: &str) -> String {
    let leading = file
        .ast
        .items
        .iter()
        .take_while(|it| matches!(it, Item::Use(_) | Item::ExternCrate(_)))
        .last();
    if let Some(last) = leading {
        return insert_after(text, file.range(last).end, &format!("\n{line}"));
    }
    let Some(first) = file.ast.items.first() else {
        let separator = if text.trim().is_empty() || text.ends_with("\n\n") {
            ""
        } else {
            "\n"
        };
        return lines::insert_lines(text, text.len(), &format!("{separator}{line}"));
    };
    let start = file.range(first).start;
    let floor = file
        .ast
        .attrs
        .last()
        .map_or(0, |it| lines::line_end(text, file.range(it).end).min(start));
    if !lines::begins_line(text, start) {
        return lines::splice(text, start..start, &format!("{line}\n"));
    }
    let at = lines::with_comments_above(text, start, floor, "//");
    lines::insert_lines(text, at, &format!("{line}\n"))
}
