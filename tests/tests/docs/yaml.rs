//! Excerpts of YAML and of what else has a meaning by its lines.

use crate::excerpt::{self, Pieces, leaves_out};

/// Checks a block against a file.
///
/// # Errors
/// What was not found.
pub(crate) fn check(block: &str, file: &str) -> Result<(), String> {
    let file: Vec<Line<'_>> = file.lines().filter_map(Line::read).collect();
    let mut pieces: Vec<Vec<Line<'_>>> = vec![Vec::new()];
    for line in block.lines() {
        match pieces.last_mut() {
            Some(piece) if !leaves_out(line) => piece.extend(Line::read(line)),
            _ => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|it| !it.is_empty());
    // The block may start further left than in the file, as a whole.
    let first = pieces.first().and_then(|it| it.first());
    let start = first.map_or(0, |it| it.indent);
    let mut shifts: Vec<usize> = file
        .iter()
        .filter_map(|it| it.indent.checked_sub(start))
        .collect();
    shifts.sort_unstable();
    shifts.dedup();
    let mut missing = "it shows nothing, or the file is empty".to_owned();
    for shift in shifts {
        match excerpt::find(&Lines {
            pieces: &pieces,
            file: &file,
            shift,
        }) {
            Ok(()) => return Ok(()),
            // Most excerpts are indented as in the file.
            Err(error) if shift == 0 => missing = error,
            Err(_) => {}
        }
    }
    Err(missing)
}

/// TOML with its keys indented below their tables, which is what belongs together in it.
pub(crate) fn of_toml(text: &str) -> String {
    let nested = text.lines().map(|line| match line.starts_with('[') {
        true => format!("{line}\n"),
        false => format!("  {line}\n"),
    });
    nested.collect()
}

/// A line without its comment.
#[derive(Debug, Clone)]
struct Line<'t> {
    indent: usize,
    words: Vec<&'t str>,
}

impl<'t> Line<'t> {
    /// `None` if nothing is left.
    fn read(line: &'t str) -> Option<Self> {
        let text = without_comment(line);
        let words: Vec<&str> = text.split_whitespace().collect();
        (!words.is_empty()).then(|| Self {
            indent: text.len() - text.trim_start().len(),
            words,
        })
    }

    /// Whether a line of a file is this one of a block, in which `...` stands for any words.
    fn is(&self, file: &[&str]) -> bool {
        let pattern = self.words.join(" ");
        let line = file.join(" ");
        let Some((head, tail)) = pattern.split_once("...") else {
            return pattern == line;
        };
        let Some(mut rest) = line.strip_prefix(head.trim_end()) else {
            return false;
        };
        let mut parts: Vec<&str> = tail.split("...").collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            match rest.find(part.trim()) {
                Some(place) => rest = &rest[place + part.trim().len()..],
                None => return false,
            }
        }
        rest.ends_with(last.trim_start())
    }
}

/// Without what stands behind a `#` that starts a word and is in no quotation marks.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (index, it) in line.char_indices() {
        match quote {
            Some(mark) if it == mark => quote = None,
            Some(_) => {}
            None if it == '#' && before.is_whitespace() => return &line[..index],
            // An apostrophe within a word quotes nothing.
            None if matches!(it, '"' | '\'') && !before.is_alphanumeric() => quote = Some(it),
            None => {}
        }
        before = it;
    }
    line
}

struct Lines<'t> {
    pieces: &'t [Vec<Line<'t>>],
    file: &'t [Line<'t>],
    /// How much less the block is indented than the file.
    shift: usize,
}

impl Pieces for Lines<'_> {
    fn count(&self) -> usize {
        self.pieces.len()
    }

    fn end(&self) -> usize {
        self.file.len()
    }

    fn matched(&self, piece: usize, place: usize) -> (usize, usize) {
        let piece = &self.pieces[piece];
        let pairs = piece.iter().zip(&self.file[place..]);
        let matched = pairs
            .take_while(|(a, b)| a.indent + self.shift == b.indent && a.is(&b.words))
            .count();
        (matched, piece.len())
    }

    fn may_skip(&self, piece: usize, from: usize, to: usize) -> Option<bool> {
        let indent = self.pieces[piece].first()?.indent + self.shift;
        let inside = self.file[from..to].iter().all(|it| it.indent >= indent);
        inside.then_some(true)
    }

    fn shown(&self, piece: usize, part: usize) -> String {
        let line = &self.pieces[piece][part];
        format!(
            "`{}`, indented by {}",
            line.words.join(" "),
            line.indent + self.shift
        )
    }
}

#[cfg(test)]
const FILE: &str = r"
entity:
  name: contact
  # Whom events name.
  scopeable: true
fields:
  name: { type: string, required: true, min_length: 1 }
  status:
    type: enum
    choices: [lead, active, '#1']
behaviors: [timestamps]
queries:
  - by: [email]
    unique: true
  - by: [account_id]
    order: name asc
    limit: true
";

#[test]
fn an_excerpt_is_found_with_its_parents() {
    for block in [
        "entity:\n  name: contact\n  scopeable: true",
        "fields:\n  name: { type: string, required: true,   min_length: 1 }   # not empty",
        "entity:\n  name: contact\n...\nbehaviors: [timestamps]",
        "queries:\n  ...\n  - by: [account_id]\n    order: name asc\n    ...",
        "- by: [email]\n  unique: true\n- by: [account_id]",
        "    choices: [lead, active, '#1']",
        "fields:\n  name: { type: string, ... }\n  ..\nbehaviors: [timestamps]",
        "name: { type: string, ..., min_length: 1 }",
    ] {
        assert_eq!(check(block, FILE), Ok(()), "{block}");
    }
}

#[test]
fn a_block_that_differs_in_a_word_or_a_parent_fails_and_names_it() {
    for (block, shown) in [
        ("entity:\n  name: contacts", "`name: contacts`"),
        (
            "entity:\n    name: contact",
            "`name: contact`, indented by 4",
        ),
        (
            "fields:\n  name: { type: string, required: true }",
            "`name: {",
        ),
        ("name: { type: text, ... }", "`name: {"),
        ("fields:\n  name: { type: ..., min_length: 2 }", "`name: {"),
        ("choices: [lead, active, '#2']", "`choices"),
        ("entity:\n  name: contact\nfields:", "`fields:`"),
        // Of another parent.
        ("entity:\n  ...\n  status:", "`status:`"),
        ("behaviors: [timestamps]\n...\nentity:", "`entity:`"),
        ("# Nothing.", "it shows nothing"),
    ] {
        let error = check(block, FILE).unwrap_err();
        assert!(error.contains(shown), "{block}: {error}");
    }
}

#[test]
fn a_key_of_toml_belongs_to_its_table() {
    let file = of_toml("name = 'a'\n\n[http]\nport = 1\nhost = 'b'\n\n[limits]\nbody = 2\n");
    let holds = |block: &str| check(&of_toml(block), &file).is_ok();
    assert!(holds("[http]\n...\nhost = 'b'"));
    assert!(holds("[http]\nport = 1\n...\n[limits]\nbody = 2"));
    assert!(!holds("[http]\n...\nbody = 2"));
}
