//! Whether a block of a page is an excerpt of a file.
//!
//! Comments, blank lines and spaces do not matter. `..` or `...` on a line of its own leaves something out, and so does
//! `...` within a line, or `..` alone between brackets. What is left out of Rust has its brackets in pairs, and what is
//! left out of YAML is not less indented than what follows: so the pieces of a block belong together in the file too.

use crate::{rust, yaml};

/// Checks a block against the text of the file that it names.
///
/// # Errors
/// What was not found.
pub(crate) fn check(language: &str, block: &str, file: &str) -> Result<(), String> {
    match language {
        "rust" => rust::check(block, file),
        "toml" => yaml::check(&yaml::of_toml(block), &yaml::of_toml(file)),
        _ => yaml::check(block, file),
    }
}

/// Whether a line stands for what is left out.
pub(crate) fn leaves_out(line: &str) -> bool {
    matches!(line.trim(), ".." | "...")
}

/// A block in pieces, and the file that they are looked for in.
pub(crate) trait Pieces {
    /// How many there are.
    fn count(&self) -> usize;

    /// The last place of the file.
    fn end(&self) -> usize;

    /// How much of a piece stands at a place of the file, and how much there is of it.
    fn matched(&self, piece: usize, place: usize) -> (usize, usize);

    /// Whether what lies between two places may be left out before a piece; `None` if nothing that goes on may be.
    fn may_skip(&self, piece: usize, from: usize, to: usize) -> Option<bool>;

    /// How a part of a piece is shown.
    fn shown(&self, piece: usize, part: usize) -> String;
}

/// Finds every piece behind the one before, the first one anywhere.
///
/// # Errors
/// What was not found, where the search got furthest.
pub(crate) fn find(pieces: &impl Pieces) -> Result<(), String> {
    if pieces.count() == 0 {
        return Err("it shows nothing".to_owned());
    }
    let mut furthest = (0, 0);
    if behind(pieces, 0, 0, &mut furthest) {
        return Ok(());
    }
    let (piece, part) = furthest;
    Err(format!("not found: {}", pieces.shown(piece, part)))
}

fn behind(pieces: &impl Pieces, piece: usize, from: usize, furthest: &mut (usize, usize)) -> bool {
    if piece == pieces.count() {
        return true;
    }
    for place in from..=pieces.end() {
        match pieces.may_skip(piece, from, place) {
            _ if piece == 0 => {}
            Some(true) => {}
            Some(false) => continue,
            None => return false,
        }
        let (matched, length) = pieces.matched(piece, place);
        if matched < length {
            *furthest = (*furthest).max((piece, matched));
        } else if behind(pieces, piece + 1, place + length, furthest) {
            return true;
        }
    }
    false
}
