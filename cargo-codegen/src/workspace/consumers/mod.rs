//! Who publishes and who consumes events, read from the code.

mod calls;
mod functions;
mod infer;
mod names;
mod scope;
mod sources;
mod walk;

use camino::Utf8PathBuf;

use self::calls::Calls;
use self::functions::Functions;
use self::names::Names;
use super::{FileError, Files};

/// What code does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UseKind {
    /// `.subscribe(name, handler)`
    Subscription,
    /// `.on::<E>(..)` and `.on_named::<E>(name, ..)`
    Trigger,
    /// `.publish_and_start(..)` and its variant
    Start,
    /// `.wait_for_event::<E>(..)`
    Wait,
    /// `.publish(..)` and its variants, and `RawEvent::new(..)`
    Publish,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the workspace root.
    pub file: Utf8PathBuf,
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
}

/// One use of events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventUse {
    /// What it does.
    pub kind: UseKind,
    /// Where.
    pub place: Place,
    /// The event's type; `None` for a subscription to all of them.
    pub event: Option<String>,
    /// Name of the subscription, id of the trigger, or type of the job; `None` if it cannot be told.
    pub name: Option<String>,
}

/// A place that may use any event, because the code does not say which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownUse {
    /// Where.
    pub place: Place,
    /// What stands there: a call such as `.subscribe(..)`, or the file.
    pub what: String,
    /// Why the event cannot be told.
    pub why: String,
    /// The events that it can be; empty for any.
    pub candidates: Vec<String>,
}

impl UnknownUse {
    /// Whether it may use this event.
    pub fn may_be(&self, event: &str) -> bool {
        self.candidates.is_empty() || self.candidates.iter().any(|it| it == event)
    }
}

/// Every use of events in some directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventUses {
    /// Those whose event is known, by kind and place.
    pub found: Vec<EventUse>,
    /// The others, by place.
    pub unknown: Vec<UnknownUse>,
    /// Types of events that the code implements, sorted.
    pub implemented: Vec<String>,
}

impl EventUses {
    /// The consumers of an event, without its publishers.
    pub fn consumers<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a EventUse> {
        let of_event = self.of(event);
        of_event.filter(|it| it.kind != UseKind::Publish)
    }

    /// How many consumers there are, of whatever event.
    pub fn count_consumers(&self) -> usize {
        let consumers = self.found.iter().filter(|it| it.kind != UseKind::Publish);
        consumers.count()
    }

    /// Where an event is published.
    pub fn publishers<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a EventUse> {
        let of_event = self.of(event);
        of_event.filter(|it| it.kind == UseKind::Publish)
    }

    fn of<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a EventUse> {
        let is_of = move |it: &&EventUse| it.event.as_deref().is_none_or(|it| it == event);
        self.found.iter().filter(is_of)
    }
}

/// Finds every use of events below some directories, tests aside. The code need not compile: a file that does not
/// parse is an unknown use.
///
/// `known` has the Rust name and the type of each event of the definitions.
///
/// # Errors
/// If a file cannot be read.
pub fn scan<'a>(
    files: &dyn Files,
    dirs: &[Utf8PathBuf],
    known: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<EventUses, FileError> {
    let read = sources::read(files, dirs)?;
    let mut names = Names::new(known);
    for source in &read.parsed {
        names.add(&source.file.ast);
    }
    let mut functions = Functions::default();
    for source in &read.parsed {
        functions.add(source, &names);
    }
    let mut uses = EventUses {
        unknown: read.unknown,
        implemented: names.implemented(),
        ..EventUses::default()
    };
    for source in &read.parsed {
        Calls::new(source, &names, &functions, &mut uses).file();
    }
    uses.found.sort();
    uses.unknown.sort();
    Ok(uses)
}
