//! Lines and their endings.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::Edited;

const MARK: char = '\u{feff}';

/// Runs an edit on the text with `\n` endings and without a byte order mark, and gives every untouched line its own
/// ending back.
pub(super) fn preserving(text: &str, edit: impl FnOnce(&str) -> Edited) -> Edited {
    let body = text.strip_prefix(MARK).unwrap_or(text);
    let edited = if body.contains("\r\n") {
        edit(&body.replace("\r\n", "\n"))?.map(|edited| restore(body, &edited))
    } else {
        edit(body)?
    };
    Ok(edited.map(|mut edited| {
        if !body.is_empty() && !body.ends_with('\n') {
            edited.truncate(edited.trim_end_matches(['\r', '\n']).len());
        }
        if body.len() < text.len() {
            format!("{MARK}{edited}")
        } else {
            edited
        }
    }))
}

/// The line ending that most lines have.
pub(crate) fn dominant_ending(text: &str) -> &'static str {
    let crlf = text.matches("\r\n").count();
    if crlf * 2 > text.matches('\n').count() {
        "\r\n"
    } else {
        "\n"
    }
}

fn restore(original: &str, edited: &str) -> String {
    let old: Vec<(&str, &str)> = original.split_inclusive('\n').map(split_ending).collect();
    let new: Vec<(&str, &str)> = edited.split_inclusive('\n').map(split_ending).collect();
    let old_lines: Vec<&str> = old.iter().map(|it| it.0).collect();
    let new_lines: Vec<&str> = new.iter().map(|it| it.0).collect();
    let dominant = dominant_ending(original);
    let mut endings: Vec<&str> = vec![dominant; new.len()];
    for op in capture_diff_slices(Algorithm::Myers, &old_lines, &new_lines) {
        if let DiffOp::Equal {
            old_index,
            new_index,
            len,
        } = op
        {
            for step in 0..len {
                let ending = old[old_index + step].1;
                if !ending.is_empty() {
                    endings[new_index + step] = ending;
                }
            }
        }
    }
    new.iter()
        .zip(endings)
        .map(|((line, ending), kept)| {
            let ending = if ending.is_empty() { "" } else { kept };
            format!("{line}{ending}")
        })
        .collect()
}

fn split_ending(line: &str) -> (&str, &str) {
    let content = line
        .strip_suffix('\n')
        .map_or(line, |it| it.strip_suffix('\r').unwrap_or(it));
    line.split_at(content.len())
}

/// Offset at which the line of `at` begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |it| it + 1)
}

/// Offset just behind the line of `at`, its ending included.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |it| at + it + 1)
}

/// The whitespace before the first character of the line of `at`.
pub(super) fn indent(text: &str, at: usize) -> &str {
    let start = line_start(text, at);
    let line = &text[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Whether nothing but whitespace stands before `at` in its line.
pub(super) fn begins_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim().is_empty()
}

/// Whether nothing but whitespace and a comment stands behind `at` in its line.
pub(super) fn ends_line(text: &str, at: usize, comment: &str) -> bool {
    let rest = text[at..line_end(text, at)].trim();
    rest.is_empty() || rest.starts_with(comment)
}

/// Beginning of the line of `at`, or of the first of the comment lines directly above it, but not before `floor`.
pub(super) fn with_comments_above(text: &str, at: usize, floor: usize, comment: &str) -> usize {
    let mut start = line_start(text, at);
    while start > floor {
        let previous = line_start(text, start - 1);
        if previous < floor || !text[previous..start].trim_start().starts_with(comment) {
            break;
        }
        start = previous;
    }
    start
}

/// `text` with `range` replaced.
pub(super) fn splice(text: &str, range: Range<usize>, replacement: &str) -> String {
    [&text[..range.start], replacement, &text[range.end..]].concat()
}

/// `text` with whole lines put in at the beginning of a line, or at the end of a text without a final newline.
pub(super) fn insert_lines(text: &str, at: usize, lines: &str) -> String {
    if at == text.len() && !text.is_empty() && !text.ends_with('\n') {
        splice(text, at..at, &format!("\n{lines}"))
    } else {
        splice(text, at..at, &format!("{lines}\n"))
    }
}
