//! `--json`: one object on standard output. The keys are stable; new ones may be added.
//!
//! | key | value |
//! |---|---|
//! | `command` | the command's words: `entity new` |
//! | `exit` | `{ "code": 0, "reason": "done" }`; reasons: `done`, `problems`, `usage`, `edited-by-hand`, `drift` |
//! | `dry_run` | nothing was written because of `--dry-run`; only with `changes` |
//! | `changes` | `[{ "path", "action" }]`; actions: `created`, `updated`, `edited`, `deleted`, `unchanged`, `kept` |
//! | `diff` | the change set as a unified diff; only with `dry_run` |
//! | `conflicts` | paths of generated files that were edited by hand |
//! | `refused` | `[{ "path", "why", "lines" }]`: entries in the user's files whose place is not certain |
//! | `notes` | sentences |
//! | `next` | `[{ "command", "why" }]` |
//! | `problems` | `[{ "severity", "code", "message", "file", "line", "column", "label", "help" }]`; severities: `note`, `warning`, `error`; columns count characters from 1 |
//! | `data` | what `list`, `show` or an overview found; its `kind` says which |
//! | `health` | `{ "findings": [{ "what", "found", "remedy" }] }`: what `doctor` looked at, well or not |
//! | `error` | `{ "message", "causes", "help" }`; only if `exit.code` is not 0 |

use serde::Serialize;

use super::changes::ACTIONS;
use super::{Outcome, diagnostics};
use crate::changeset::{self, ChangeSet, Remedy};
use crate::definition::{Problem, Severity, Sources};
use crate::failure::{Exit, Failure};
use crate::survey::{Health, Step, View};

#[derive(Serialize)]
struct Object<'a> {
    command: &'a str,
    exit: ExitObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeObject<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedObject<'a>>,
    notes: Vec<&'a str>,
    next: &'a [Step],
    problems: Vec<ProblemObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a View>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'a Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorObject<'a>>,
}

#[derive(Serialize)]
struct ExitObject {
    code: u8,
    reason: Exit,
}

#[derive(Serialize)]
struct ChangeObject<'a> {
    path: &'a str,
    action: &'static str,
}

#[derive(Serialize)]
struct RefusedObject<'a> {
    path: &'a str,
    why: &'a str,
    lines: &'a str,
}

#[derive(Serialize)]
struct ProblemObject<'a> {
    severity: &'static str,
    code: &'static str,
    message: &'a str,
    file: &'a str,
    line: usize,
    column: usize,
    label: &'a str,
    help: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: String,
    causes: Vec<String>,
    help: Option<&'a str>,
}

/// The object as text, with a final newline.
pub(super) fn object(command: &str, result: &Result<Outcome, Failure>, exit: Exit) -> String {
    let mut object = Object {
        command,
        exit: ExitObject {
            code: exit.code(),
            reason: exit,
        },
        dry_run: None,
        changes: None,
        diff: None,
        conflicts: Vec::new(),
        refused: Vec::new(),
        notes: Vec::new(),
        next: &[],
        problems: Vec::new(),
        data: None,
        health: None,
        error: None,
    };
    match result {
        Ok(outcome) => fill(&mut object, outcome),
        Err(failure) => fill_failure(&mut object, failure),
    }
    match serde_json::to_string_pretty(&object) {
        Ok(text) => text + "\n",
        Err(error) => format!(
            "{}\n",
            serde_json::json!({ "error": { "message": error.to_string() } })
        ),
    }
}

fn fill<'a>(object: &mut Object<'a>, outcome: &'a Outcome) {
    if let Some(changes) = &outcome.changes {
        object.dry_run = Some(changes.dry_run);
        fill_changes(object, &changes.set);
        object.diff = changes.dry_run.then(|| changeset::diff(&changes.set));
    }
    object
        .notes
        .extend(outcome.notes.iter().map(String::as_str));
    object.next = &outcome.next;
    object.problems = problems(&outcome.sources, &outcome.problems);
    match &outcome.view {
        Some(View::Health(health)) => object.health = Some(health),
        view => object.data = view.as_ref(),
    }
}

fn fill_failure<'a>(object: &mut Object<'a>, failure: &'a Failure) {
    match failure {
        Failure::Definitions {
            sources,
            problems: found,
        } => object.problems = problems(sources, found),
        Failure::Words(wrong) => object.problems = problems(&wrong.sources, &wrong.problems),
        Failure::Conflicts(set) | Failure::Drift(set) => fill_changes(object, set),
        Failure::Refused(refused) => {
            object.refused = refused
                .iter()
                .map(|it| RefusedObject {
                    path: it.file.as_str(),
                    why: &it.why,
                    lines: if it.remedy == Remedy::Paste {
                        &it.lines
                    } else {
                        ""
                    },
                })
                .collect();
        }
        Failure::Unmigrated(lines) | Failure::Lossy(lines) | Failure::Impossible(lines) => {
            object.notes.extend(lines.iter().map(String::as_str));
        }
        Failure::Ill(health) => object.health = Some(health),
        Failure::Usage { .. } | Failure::Workspace { .. } | Failure::Other(_) => {}
    }
    object.error = Some(ErrorObject {
        message: failure.to_string(),
        causes: failure.causes(),
        help: failure.help(),
    });
}

fn fill_changes<'a>(object: &mut Object<'a>, set: &'a ChangeSet) {
    let word = |action| {
        let entry = ACTIONS.iter().find(|(it, _)| *it == action);
        entry.map_or("", |(_, word)| *word)
    };
    let changes = set.changes.iter().map(|it| ChangeObject {
        path: it.path.as_str(),
        action: word(it.action),
    });
    object.changes = Some(changes.collect());
    object.conflicts = set.conflicts.iter().map(|it| it.path.as_str()).collect();
    object.notes.extend(set.notes.iter().map(String::as_str));
}

fn problems<'a>(sources: &'a Sources, problems: &'a [Problem]) -> Vec<ProblemObject<'a>> {
    problems
        .iter()
        .map(|problem| {
            let main = problem.labels.first();
            let place = main.map(|label| {
                let source = sources.get(label.span.source);
                let (line, column) =
                    diagnostics::line_and_column(&source.text, label.span.range.start);
                (source.path.as_str(), line, column, label.text.as_str())
            });
            let (file, line, column, label) = place.unwrap_or_default();
            ProblemObject {
                severity: match problem.severity {
                    Severity::Note => "note",
                    Severity::Warning => "warning",
                    Severity::Error => "error",
                },
                code: problem.code,
                message: &problem.message,
                file,
                line,
                column,
                label,
                help: problem.help.as_deref(),
            }
        })
        .collect()
}
