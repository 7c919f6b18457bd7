//! How machine and workspace are.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::survey::Health;

/// What is well, and what mends the rest.
pub(super) fn health(health: &Health) -> String {
    let mut text = String::new();
    for finding in &health.findings {
        let mark = match finding.remedy {
            None => "ok".green().to_string(),
            Some(_) => "!!".red().to_string(),
        };
        let _ = writeln!(text, "{mark}  {}: {}", finding.what.bold(), finding.found);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "    {remedy}");
        }
    }
    text
}
