//! The words as a source file of their own, so that a wrong one is underlined like a wrong definition.

use std::collections::HashMap;

use crate::definition::{self, Problem, SourceId, Sources, Span, Spanned};
use crate::model::{Name, name};

/// Modifiers of a field or a relation that have a value.
pub(super) const SETTINGS: [&str; 10] = [
    "default",
    "max_length",
    "min_length",
    "min",
    "max",
    "precision",
    "scale",
    "dimensions",
    "pattern",
    "on_delete",
];

/// Words that cannot be read.
#[derive(Debug)]
pub struct Wrong {
    /// Holds the command line.
    pub sources: Sources,
    /// At least one error.
    pub problems: Vec<Problem>,
}

/// The words of one command, joined by blanks.
#[derive(Debug)]
pub(super) struct Line {
    sources: Sources,
    id: SourceId,
    problems: Vec<Problem>,
}

/// A part of a word and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) span: Span,
}

impl Line {
    /// Lays the words out, and gives the pieces between the colons of each. `max=9` and `max:9` are one
    /// piece, and `default` and `pattern` take the rest of their word.
    pub(super) fn new(words: &[String]) -> (Self, Vec<Vec<Piece<'_>>>) {
        let mut sources = Sources::default();
        let id = sources.add("command line", words.join(" "));
        let mut start = 0;
        let mut split = Vec::with_capacity(words.len());
        for word in words {
            split.push(pieces(id, start, word));
            start += word.len() + 1;
        }
        let line = Self {
            sources,
            id,
            problems: Vec::new(),
        };
        (line, split)
    }

    /// Notes a mistake and goes on.
    pub(super) fn wrong(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A place in the words, by offsets into the joined line.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        Span {
            source: self.id,
            range: start..end,
        }
    }

    /// The value, unless a mistake was noted.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Wrong> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        Err(Wrong {
            sources: self.sources,
            problems: self.problems,
        })
    }

    /// Checks a name as the same name in a definition is checked.
    pub(super) fn check_name(&mut self, what: &str, name: &Piece<'_>) -> bool {
        let written = Spanned::new(name.text.to_owned(), name.span.clone());
        self.take(name::check(&written, what))
    }

    fn take(&mut self, checked: Result<Name, Problem>) -> bool {
        match checked {
            Ok(_) => true,
            Err(problem) => {
                self.wrong(problem);
                false
            }
        }
    }
}

/// Reads each word `name:type[:more ..]` with `one`, which is given the name, the type and the rest.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub(super) fn fields<T>(
    words: &[String],
    one: impl Fn(&mut Line, &Piece<'_>, &Piece<'_>, &[Piece<'_>]) -> Option<T>,
) -> Result<Vec<T>, Wrong> {
    let (mut line, split) = Line::new(words);
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut found = Vec::new();
    for pieces in split {
        let Some((name, rest)) = pieces.split_first() else {
            continue;
        };
        if !line.check_name("a field", name) {
            continue;
        }
        if let Some(first) = seen.get(name.text) {
            line.wrong(
                Problem::error(
                    "duplicate-field",
                    format!("`{}` is given twice", name.text),
                    name.span.clone(),
                )
                .also(first.clone(), "first here"),
            );
            continue;
        }
        seen.insert(name.text.to_owned(), name.span.clone());
        match rest.split_first().filter(|(ty, _)| !ty.text.is_empty()) {
            Some((ty, rest)) => found.extend(one(&mut line, name, ty, rest)),
            None => line.wrong(
                Problem::error(
                    "missing-type",
                    format!("`{}` has no type", name.text),
                    name.span.clone(),
                )
                .help(format!("write `{}:string`, or another type", name.text)),
            ),
        }
    }
    line.finish(found)
}

/// Checks the name of a definition or handler given on the command line; `taken` are names of files that the
/// generated code needs itself.
///
/// # Errors
/// If it is not snake_case, or no file can have it.
pub fn name_word(what: &str, name: &str, taken: &[&str]) -> Result<(), Wrong> {
    let words = [name.to_owned()];
    let (mut line, _) = Line::new(&words);
    let written = Spanned::new(name.to_owned(), line.span(0, name.len()));
    line.take(name::check_file(&written, what, taken));
    line.finish(())
}

/// Where the piece that starts here ends. A modifier with a value may hold colons.
fn piece_end(rest: &str, position: usize) -> usize {
    let colon = |from: usize| rest[from..].find(':').map_or(rest.len(), |at| from + at);
    // A field may be called `default`, and so on: only behind the type is it a modifier.
    if position < 2 {
        return colon(0);
    }
    let key_end = rest.find(['=', ':']).unwrap_or(rest.len());
    match &rest[..key_end] {
        "default" | "pattern" => rest.len(),
        key if SETTINGS.contains(&key) && key_end < rest.len() => colon(key_end + 1),
        _ => colon(0),
    }
}

fn pieces(id: SourceId, start: usize, word: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let rest = &word[at..];
        let length = piece_end(rest, found.len());
        found.push(Piece {
            text: &rest[..length],
            span: Span {
                source: id,
                range: start + at..start + at + length,
            },
        });
        at += length + 1;
        if at > word.len() {
            return found;
        }
    }
}

/// The candidate that a misspelt word was probably meant to be.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    definition::nearest(word, &candidates)
}
