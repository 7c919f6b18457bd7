//! Questions, asked only where somebody can answer.

use std::io::IsTerminal as _;
use std::rc::Rc;

use inquire::validator::Validation;
use inquire::{Confirm, InquireError, MultiSelect, Select, Text};

use super::Options;

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
