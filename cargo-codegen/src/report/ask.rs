//! Questions, asked only where somebody can answer.

use std::io::IsTerminal as _;

use super::Options;

/// Asks yes or no on a terminal; `None` where nobody can answer, or the question was dismissed.
pub fn confirm(question: &str, options: Options) -> Option<bool> {
    let answered = !options.json
        && !options.quiet
        && std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal();
    if !answered {
        return None;
    }
    inquire::Confirm::new(question)
        .with_default(true)
        .prompt()
        .ok()
}
