//! What every decoder needs: typed access to a block's keys that reports instead of failing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::keys::{Keys, Use};
use super::node::{Kind, Node, shorten};
use super::problem::Problem;
use super::source::{Span, Spanned};
use super::words::{nearest, one_of, whole_number};

/// Collects what is wrong while one file is decoded.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) problems: Vec<Problem>,
    foreign: Vec<Spanned<String>>,
}

/// The entries of a block, each key once.
#[derive(Debug)]
pub(crate) struct Block<'n> {
    pub(crate) span: Span,
    entries: Vec<(&'n Spanned<String>, &'n Node)>,
}

impl<'n> Block<'n> {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|it| it.1)
    }

    /// A key and its value.
    pub(crate) fn entry(&self, key: &str) -> Option<(&'n Spanned<String>, &'n Node)> {
        self.entries.iter().copied().find(|it| it.0.value == key)
    }

    /// Every entry, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'n Spanned<String>, &'n Node)> {
        self.entries.iter().copied()
    }
}

impl Reader {
    /// Everything that was reported, with the one note about other tools' keys.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        let mut foreign = self.foreign.into_iter();
        if let Some(first) = foreign.next() {
            let others = foreign.len();
            let message = match others {
                0 => format!("`{}` is for another tool and is not used here", first.value),
                1 => format!(
                    "`{}` and one more key are for other tools and are not used here",
                    first.value
                ),
                _ => format!(
                    "`{}` and {others} more keys are for other tools and are not used here",
                    first.value
                ),
            };
            self.problems
                .push(Problem::note("foreign-key", message, first.span));
        }
        self.problems
    }

    /// Reports a problem.
    pub(crate) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The entries of a mapping whose keys the user chooses; duplicates are reported and left out.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<Block<'n>> {
        let pairs = match &node.kind {
            Kind::Map(pairs) => pairs.as_slice(),
            Kind::Null => &[],
            _ => {
                self.wrong_type(node, &format!("{what} must be a block of keys"));
                return None;
            }
        };
        let mut entries: Vec<(&Spanned<String>, &Node)> = Vec::with_capacity(pairs.len());
        let mut first_places: HashMap<&str, &Span> = HashMap::new();
        for (key, value) in pairs {
            match first_places.entry(key.value.as_str()) {
                Entry::Occupied(first) => {
                    let message = format!("`{}` is given twice", shorten(&key.value));
                    let first = (*first.get()).clone();
                    self.report(
                        Problem::error("duplicate-key", message, key.span.clone())
                            .label("given again here")
                            .also(first, "first given here")
                            .help("keep one of the two"),
                    );
                }
                Entry::Vacant(place) => {
                    place.insert(&key.span);
                    entries.push((key, value));
                }
            }
        }
        Some(Block {
            span: node.span.clone(),
            entries,
        })
    }

    /// The entries of a mapping with known keys; unknown ones are reported with the nearest known one.
    pub(crate) fn block<'n>(
        &mut self,
        node: &'n Node,
        keys: &Keys,
        what: &str,
    ) -> Option<Block<'n>> {
        let mut block = self.entries(node, what)?;
        block
            .entries
            .retain(|(key, _)| match keys.find(&key.value) {
                Some(Use::Read) => true,
                Some(Use::Foreign) => {
                    self.foreign.push((*key).clone());
                    false
                }
                Some(Use::Later) => {
                    self.problems
                        .push(not_yet(&format!("`{}`", key.value), key.span.clone()));
                    // The decoder may still want to know that it is there.
                    true
                }
                Some(Use::Refused(instead)) => {
                    let message = format!("`{}` is not supported", key.value);
                    self.problems.push(
                        Problem::error("not-supported", message, key.span.clone()).help(instead),
                    );
                    true
                }
                None => {
                    let message = format!("`{}` is no key of {}", shorten(&key.value), keys.of);
                    let problem = Problem::error("unknown-key", message, key.span.clone());
                    self.problems.push(match nearest(&key.value, keys.read) {
                        Some(near) => problem.label(format!("did you mean `{near}`?")),
                        None => problem.help(one_of(keys.read)),
                    });
                    false
                }
            });
        Some(block)
    }

    /// The items of a sequence; nothing at all is an empty one.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.kind {
            Kind::List(items) => Some(items),
            Kind::Null => Some(&[]),
            Kind::Text(text) if !text.contains(char::is_whitespace) => {
                let problem = Problem::error(
                    "wrong-type",
                    format!("{what} must be a list, not {}", node.describe()),
                    node.span.clone(),
                );
                self.report(problem.help(format!("write `[{text}]`")));
                None
            }
            _ => {
                self.wrong_type(node, &format!("{what} must be a list"));
                None
            }
        }
    }

    /// Any text, number or boolean, as written.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        match &node.kind {
            Kind::Text(text) | Kind::Literal(text) => {
                Some(Spanned::new(text.clone(), node.span.clone()))
            }
            Kind::Null => {
                self.no_value(node, what);
                None
            }
            _ => {
                self.wrong_type(node, &format!("{what} must be text"));
                None
            }
        }
    }

    /// The text of an optional key.
    pub(crate) fn text_of(&mut self, block: &Block<'_>, key: &str) -> Option<Spanned<String>> {
        let node = block.get(key)?;
        self.text(node, &format!("`{key}`"))
    }

    /// A description: text on one line.
    pub(crate) fn description_of(&mut self, block: &Block<'_>) -> Option<String> {
        let text = self.text_of(block, "description")?;
        let words: Vec<&str> = text
            .value
            .split(|it: char| it.is_whitespace() || it.is_control())
            .filter(|it| !it.is_empty())
            .collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The boolean of an optional key.
    pub(crate) fn boolean_of(&mut self, block: &Block<'_>, key: &str) -> Option<Spanned<bool>> {
        let node = block.get(key)?;
        let value = match &node.kind {
            Kind::Literal(text) if text.eq_ignore_ascii_case("true") => true,
            Kind::Literal(text) if text.eq_ignore_ascii_case("false") => false,
            Kind::Null => {
                self.no_value(node, &format!("`{key}`"));
                return None;
            }
            _ => {
                let message = format!("`{key}` must be `true` or `false`, not {}", node.describe());
                let problem = Problem::error("wrong-type", message, node.span.clone());
                let meant = match &node.kind {
                    Kind::Text(text) | Kind::Literal(text) => {
                        match text.to_ascii_lowercase().as_str() {
                            "yes" | "y" | "on" | "true" | "1" => Some(true),
                            "no" | "n" | "off" | "false" | "0" => Some(false),
                            _ => None,
                        }
                    }
                    _ => None,
                };
                self.report(match meant {
                    Some(meant) => problem.label(format!("write `{meant}`, without quotes")),
                    None => problem,
                });
                return None;
            }
        };
        Some(Spanned::new(value, node.span.clone()))
    }

    /// The whole number of an optional key, within bounds.
    pub(crate) fn number_of(
        &mut self,
        block: &Block<'_>,
        key: &str,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> Option<Spanned<u32>> {
        let node = block.get(key)?;
        self.number(node, &format!("`{key}`"), bounds)
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &mut self,
        node: &Node,
        what: &str,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> Option<Spanned<u32>> {
        let (low, high) = (bounds.start(), bounds.end());
        let message = match &node.kind {
            Kind::Null => {
                self.no_value(node, what);
                return None;
            }
            Kind::Literal(text) => match whole_number(text) {
                Ok(value) => match u32::try_from(value) {
                    Ok(value) if bounds.contains(&value) => {
                        return Some(Spanned::new(value, node.span.clone()));
                    }
                    _ => format!(
                        "{what} must be from {low} to {high}, not `{}`",
                        shorten(text)
                    ),
                },
                Err(why) => {
                    self.report(
                        Problem::error(
                            "wrong-type",
                            format!("{what} must be a whole number, not {}", node.describe()),
                            node.span.clone(),
                        )
                        .label(why),
                    );
                    return None;
                }
            },
            Kind::Text(text) if whole_number(text).is_ok() => {
                let message = format!("{what} must be a whole number, not {}", node.describe());
                let problem = Problem::error("wrong-type", message, node.span.clone());
                self.report(problem.label("write it without quotes"));
                return None;
            }
            _ => format!("{what} must be a whole number, not {}", node.describe()),
        };
        self.report(Problem::error("wrong-value", message, node.span.clone()));
        None
    }

    /// One of several words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        words: &[(&'static str, T)],
    ) -> Option<Spanned<T>> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|it| it.0 == text.value) {
            return Some(Spanned::new(*value, text.span));
        }
        let names: Vec<&str> = words.iter().map(|it| it.0).collect();
        let message = format!("{what} cannot be `{}`", shorten(&text.value));
        let problem = Problem::error("unknown-word", message, text.span).help(one_of(&names));
        self.report(match nearest(&text.value, &names) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem,
        });
        None
    }

    /// The word of an optional key.
    pub(crate) fn word_of<T: Copy>(
        &mut self,
        block: &Block<'_>,
        key: &str,
        words: &[(&'static str, T)],
    ) -> Option<Spanned<T>> {
        let node = block.get(key)?;
        self.word(node, &format!("`{key}`"), words)
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Option<Vec<Spanned<String>>> {
        let items = self.list(node, what)?;
        let item = format!("an entry of {what}");
        Some(items.iter().filter_map(|it| self.text(it, &item)).collect())
    }

    /// A key that must be there; if it is not, `place` is underlined.
    pub(crate) fn required<'n>(
        &mut self,
        block: &Block<'n>,
        key: &str,
        owner: &str,
        place: &Span,
        example: &str,
    ) -> Option<&'n Node> {
        let found = block.get(key);
        if found.is_none() {
            let message = format!("{owner} has no `{key}`");
            self.report(
                Problem::error("missing-key", message, place.clone())
                    .help(format!("add `{example}`")),
            );
        }
        found
    }

    /// Whether a file holds anything at all.
    pub(crate) fn is_empty_file(&mut self, node: &Node, example: &str) -> bool {
        let empty = node.kind == Kind::Null;
        if empty {
            let mut span = node.span.clone();
            span.range = 0..0;
            self.report(
                Problem::error("empty-file", "this file defines nothing", span)
                    .help(format!("begin with `{example}`, or delete the file")),
            );
        }
        empty
    }

    /// Reports a value of the wrong type; `expected` is a clause such as "`fields` must be a list".
    pub(crate) fn wrong_type(&mut self, node: &Node, expected: &str) {
        let message = format!("{expected}, not {}", node.describe());
        self.report(Problem::error("wrong-type", message, node.span.clone()));
    }

    fn no_value(&mut self, node: &Node, what: &str) {
        self.report(
            Problem::error(
                "no-value",
                format!("{what} has no value"),
                node.span.clone(),
            )
            .help("give it a value, or remove the line"),
        );
    }
}

/// A warning about something that this version understands and does not generate.
pub(crate) fn not_yet(what: &str, span: Span) -> Problem {
    Problem::warning(
        "not-yet",
        format!("{what} is accepted, but this version generates nothing from it"),
        span,
    )
}
