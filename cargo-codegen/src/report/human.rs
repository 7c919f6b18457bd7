//! The terminal's side of a report.

use std::fmt::Write as _;

use miette::GraphicalTheme;
use owo_colors::OwoColorize as _;

use super::changes::{colored_diff, drift, table};
use super::{Options, Outcome, Text, diagnostics, views};
use crate::changeset::{self, ConflictReason, Remedy};
use crate::definition::{Problem, Sources};
use crate::failure::Failure;
use crate::survey::Step;

/// Columns of a diagnostic.
const WIDTH: usize = 100;

/// A command that worked: the view or the diff on standard output, and what goes with it.
pub(super) fn outcome(outcome: &Outcome, options: Options, color: bool) -> Text {
    let mut text = Text::default();
    if !options.quiet && !outcome.problems.is_empty() {
        text.err += &problems(&outcome.sources, &outcome.problems, color);
    }
    if let Some(view) = &outcome.view {
        text.out += &views::render(view, options);
    }
    let mut closing = String::new();
    if let Some(changes) = &outcome.changes {
        if changes.dry_run {
            text.out += &colored_diff(&changeset::diff(&changes.set));
        }
        closing += &table(&changes.set, changes.vendored.as_deref(), options.verbose);
        if changes.set.is_noop() {
            closing += "nothing to do\n";
        } else if changes.dry_run {
            closing += "nothing was written (--dry-run)\n";
        }
        notes(&mut closing, &changes.set.notes);
    }
    notes(&mut closing, &outcome.notes);
    steps(&mut closing, &outcome.next);
    if options.quiet {
        return text;
    }
    // A diff on standard output stays a patch: what is said about it goes beside it.
    if outcome.changes.as_ref().is_some_and(|it| it.dry_run) {
        text.err += &closing;
    } else {
        text.out += &closing;
    }
    text
}

/// A command that did not work: all of it on standard error.
pub(super) fn failure(failure: &Failure, color: bool) -> Text {
    let mut text = Text::default();
    let err = &mut text.err;
    match failure {
        Failure::Definitions {
            sources,
            problems: found,
        } => {
            *err += &problems(sources, found, color);
        }
        Failure::Words(wrong) => {
            *err += &problems(&wrong.sources, &wrong.problems, color);
        }
        Failure::Conflicts(set) => {
            for conflict in &set.conflicts {
                *err += &colored_diff(&changeset::diff_conflict(conflict));
            }
        }
        Failure::Drift(set) => {
            *err += &drift(set);
        }
        Failure::Refused(refused) => {
            for edit in refused {
                let _ = writeln!(err, "{}: {}", edit.file.bold(), edit.why);
                let lines = edit.lines.lines().filter(|_| edit.remedy == Remedy::Paste);
                for line in lines {
                    let _ = writeln!(err, "    {line}");
                }
            }
        }
        Failure::Unmigrated(lines) | Failure::Lossy(lines) | Failure::Impossible(lines) => {
            for line in lines {
                let _ = writeln!(err, "  {line}");
            }
        }
        Failure::Ill(health) => *err += &super::health::health(health),
        Failure::Usage { .. } | Failure::Workspace { .. } | Failure::Other(_) => {}
    }
    let _ = writeln!(err, "{} {failure}", "error:".red().bold());
    for cause in failure.causes() {
        let _ = writeln!(err, "  {} {cause}", "cause:".dimmed());
    }
    if let Failure::Conflicts(set) = failure {
        for conflict in &set.conflicts {
            let foreign = match conflict.reason {
                ConflictReason::EditedByHand => "",
                ConflictReason::NotGenerated => "  (was there before, written by hand)",
            };
            let _ = writeln!(err, "  {}{foreign}", conflict.path);
        }
        *err += "nothing was written\n";
    }
    if let Some(help) = failure.help() {
        let _ = writeln!(err, "{} {help}", "help:".cyan().bold());
    }
    text
}

/// Drawn for the terminal in hand; without colour exactly as in a pipe of the same width.
fn problems(sources: &Sources, problems: &[Problem], color: bool) -> String {
    if !color {
        return diagnostics::render(sources, problems);
    }
    diagnostics::render_with(sources, problems, GraphicalTheme::unicode(), WIDTH)
}

fn notes(text: &mut String, notes: &[String]) {
    for note in notes {
        let _ = writeln!(text, "{} {note}", "note:".cyan().bold());
    }
}

fn steps(text: &mut String, steps: &[Step]) {
    for step in steps {
        let _ = write!(text, "{} {}", "next:".green().bold(), step.command.bold());
        if step.why.is_empty() {
            text.push('\n');
        } else {
            let _ = writeln!(text, "  {}", format!("# {}", step.why).dimmed());
        }
    }
}
