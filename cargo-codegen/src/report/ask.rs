//! Questions, asked only where somebody can answer.

use std::io::IsTerminal as _;
use std::rc::Rc;

use inquire::validator::Validation;
use inquire::{Confirm, InquireError, MultiSelect, Select, Text};

use super::Options;
use crate::changeset::{Action, ChangeSet};
use crate::failure::Failure;

/// Whether somebody reads the questions and can answer them.
pub(super) fn somebody(options: Options) -> bool {
    !options.json
        && !options.quiet
        && std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal()
}

/// Asks yes or no on a terminal; `None` where nobody can answer, or the question was dismissed.
pub fn confirm(question: &str, options: Options) -> Option<bool> {
    if !somebody(options) {
        return None;
    }
    Confirm::new(question).with_default(true).prompt().ok()
}

/// Asks whether what would be lost may be lost; no, where nobody can answer.
pub fn confirm_loss(costs: &[String], options: Options) -> bool {
    if !somebody(options) {
        return false;
    }
    let lost = format!("{}\nWrite the migration all the same?", costs.join("\n"));
    let answer = Confirm::new(&lost).with_default(false).prompt();
    answer.unwrap_or(false)
}

/// Asks on a terminal whether files may be deleted; where nobody can answer, the command itself has asked for it.
///
/// # Errors
/// If the answer is no.
pub fn confirm_deletions(set: &ChangeSet, options: Options) -> Result<(), Failure> {
    let deleted = set.changes.iter().filter(|it| it.action == Action::Deleted);
    let deleted: Vec<&str> = deleted.map(|it| it.path.as_str()).collect();
    if deleted.is_empty() || !somebody(options) {
        return Ok(());
    }
    let question = format!("{}\nDelete these files?", deleted.join("\n"));
    match Confirm::new(&question).with_default(false).prompt() {
        Ok(true) => Ok(()),
        _ => Err(Failure::usage(
            "nothing was deleted",
            "`--dry-run` shows all that would change",
        )),
    }
}

/// Says what is wrong with an answer.
pub(super) type Check = Rc<dyn Fn(&str) -> Result<(), String>>;

/// The user does not want to be asked any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dismissed;

impl From<InquireError> for Dismissed {
    fn from(_: InquireError) -> Self {
        Self
    }
}

/// Who answers.
pub(super) trait Questions {
    /// A line that passes the check.
    fn line(&mut self, question: &str, help: &str, check: Check) -> Result<String, Dismissed>;

    /// One of the options.
    fn one(&mut self, question: &str, options: Vec<String>) -> Result<String, Dismissed>;

    /// Any of the options.
    fn any(&mut self, question: &str, options: Vec<String>) -> Result<Vec<String>, Dismissed>;
}

/// Whoever sits at the terminal.
pub(super) struct Terminal;

impl Questions for Terminal {
    fn line(&mut self, question: &str, help: &str, check: Check) -> Result<String, Dismissed> {
        let validator = move |answer: &str| {
            Ok(match check(answer) {
                Ok(()) => Validation::Valid,
                Err(wrong) => Validation::Invalid(wrong.into()),
            })
        };
        let text = Text::new(question).with_help_message(help);
        Ok(text.with_validator(validator).prompt()?)
    }

    fn one(&mut self, question: &str, options: Vec<String>) -> Result<String, Dismissed> {
        Ok(Select::new(question, options).prompt()?)
    }

    fn any(&mut self, question: &str, options: Vec<String>) -> Result<Vec<String>, Dismissed> {
        Ok(MultiSelect::new(question, options).prompt()?)
    }
}
