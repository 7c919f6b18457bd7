//! A new item in a bracketed list, whatever its layout.

use std::ops::Range;

use toml_edit::{Document, Value};

use super::lines;

/// A list in a text, found by a parser.
pub(super) struct List<'t> {
    pub(super) text: &'t str,
    /// What stands between the brackets.
    pub(super) inner: Range<usize>,
    /// The items, in their order.
    pub(super) items: Vec<Range<usize>>,
    /// What begins a comment to the end of the line.
    pub(super) comment: &'static str,
}

impl List<'_> {
    /// The text with `item` at `index` (the number of items: at the end), laid out as its neighbours are.
    pub(super) fn insert(&self, index: usize, item: &str) -> String {
        match (self.items.get(index), self.items.last()) {
            (Some(next), _) => self.insert_before(index, next, item),
            (None, Some(last)) => self.append(last, item),
            (None, None) => self.insert_first(item),
        }
    }

    fn insert_before(&self, index: usize, next: &Range<usize>, item: &str) -> String {
        if lines::begins_line(self.text, next.start) {
            let floor = match index {
                0 => lines::line_end(self.text, self.inner.start),
                _ => lines::line_end(self.text, self.items[index - 1].end),
            };
            let at = lines::with_comments_above(self.text, next.start, floor, self.comment);
            let indent = lines::indent(self.text, next.start);
            lines::insert_lines(self.text, at, &format!("{indent}{item},"))
        } else {
            lines::splice(self.text, next.start..next.start, &format!("{item}, "))
        }
    }

    fn append(&self, last: &Range<usize>, item: &str) -> String {
        let text = self.text;
        let comma = self.comma_after(last.end);
        if !lines::begins_line(text, last.start) {
            return match comma {
                Some(comma) => lines::splice(text, comma + 1..comma + 1, &format!(" {item},")),
                None => lines::splice(text, last.end..last.end, &format!(", {item}")),
            };
        }
        let indent = lines::indent(text, last.start);
        let end = comma.map_or(last.end, |it| it + 1);
        let trailing = if comma.is_some() { "," } else { "" };
        let line = format!("{indent}{item}{trailing}");
        if lines::line_end(text, end) > self.inner.end || !lines::ends_line(text, end, self.comment)
        {
            let separator = if comma.is_some() { "" } else { "," };
            return lines::splice(text, end..end, &format!("{separator}\n{line}"));
        }
        let with_item = lines::insert_lines(text, lines::line_end(text, end), &line);
        match comma {
            Some(_) => with_item,
            None => lines::splice(&with_item, last.end..last.end, ","),
        }
    }

    fn insert_first(&self, item: &str) -> String {
        let inner = &self.text[self.inner.clone()];
        if inner.contains('\n') {
            let indent = format!("{}    ", lines::indent(self.text, self.inner.end));
            let at = lines::line_start(self.text, self.inner.end);
            lines::insert_lines(self.text, at, &format!("{indent}{item},"))
        } else {
            lines::splice(self.text, self.inner.clone(), item)
        }
    }

    fn comma_after(&self, from: usize) -> Option<usize> {
        let mut at = from;
        while at < self.inner.end {
            let rest = &self.text[at..self.inner.end];
            if rest.starts_with(',') {
                return Some(at);
            }
            if rest.starts_with(self.comment) {
                at = lines::line_end(self.text, at);
            } else if rest.starts_with("/*") && self.comment == "//" {
                at += rest.find("*/").map_or(rest.len(), |it| it + 2);
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        None
    }
}

/// A TOML document with one string more in the array at `path`; sorted arrays stay sorted.
pub(super) fn add_string(text: &str, path: &[&str], item: &str) -> Result<String, String> {
    let parse = |text: &str| {
        Document::parse(text.to_owned())
            .map_err(|error| format!("the file is not valid TOML: {}", error.message()))
    };
    let document = parse(text)?;
    let array = path
        .iter()
        .try_fold(document.as_item(), |item, key| item.get(key))
        .and_then(toml_edit::Item::as_array)
        .ok_or_else(|| format!("`{}` is no array", path.join(".")))?;
    let items: Option<Vec<Range<usize>>> = array.iter().map(Value::span).collect();
    let (Some(items), Some(whole)) = (items, array.span()) else {
        return Err(format!(
            "the place of `{}` could not be found",
            path.join(".")
        ));
    };
    let names: Vec<&str> = array.iter().filter_map(Value::as_str).collect();
    let sorted = names.len() > 1 && names.len() == items.len() && names.is_sorted();
    let index = names
        .iter()
        .position(|it| sorted && *it > item)
        .unwrap_or(items.len());
    let list = List {
        text,
        inner: whole.start + 1..whole.end - 1,
        items,
        comment: "#",
    };
    let edited = list.insert(index, &Value::from(item).to_string());
    parse(&edited).map(|_| edited)
}
