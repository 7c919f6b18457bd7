//! Overviews, lists and details for the terminal.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::Options;
use crate::survey::{
    EntityDetails, EventDetails, FieldRow, Migration, Overview, SubsystemRow, View,
};

pub(super) fn render(view: &View, options: Options) -> String {
    match view {
        View::Overview(overview) => render_overview(overview, options),
        View::Entities { entities } => {
            let rows = entities.iter().map(|it| {
                vec![
                    it.name.clone(),
                    it.table.clone(),
                    it.fields.to_string(),
                    it.relations.to_string(),
                    it.emits.join(", "),
                    it.source.clone(),
                ]
            });
            let header = [
                "entity",
                "table",
                "fields",
                "relations",
                "emits",
                "definition",
            ];
            list("no entities", &header, &rows.collect::<Vec<_>>())
        }
        View::Entity(entity) => render_entity(entity),
        View::Valid { entities, events } => format!(
            "{} and {} are valid\n",
            counted(*entities, "entity", "entities"),
            counted(*events, "event", "events")
        ),
        View::Events { events } => {
            let rows = events.iter().map(|it| {
                vec![
                    it.r#type.clone(),
                    it.direction.unwrap_or("-").to_owned(),
                    it.tier.to_owned(),
                    it.aggregate.clone().unwrap_or_else(|| "-".to_owned()),
                    it.version.to_string(),
                    it.fields.to_string(),
                    it.source.clone(),
                ]
            });
            let header = [
                "event",
                "direction",
                "tier",
                "aggregate",
                "version",
                "fields",
                "definition",
            ];
            list("no events", &header, &rows.collect::<Vec<_>>())
        }
        View::Event(event) => render_event(event),
        View::EventConsumers(consumers) => super::consumers::consumers(consumers),
        View::Settings { settings } => {
            let rows = settings.iter().map(|it| {
                let note = if it.default { "default" } else { "" };
                vec![it.key.to_owned(), it.value.clone(), note.to_owned()]
            });
            list("", &["setting", "value", ""], &rows.collect::<Vec<_>>())
        }
        View::Skills { skills } => {
            let rows = skills
                .iter()
                .map(|it| format!("{}\n    {}\n", it.name.bold(), it.description));
            rows.collect()
        }
        View::Health(found) => super::health::health(found),
        View::Schema { schema } => format!("{schema:#}\n"),
        View::Completions { script } => script.clone(),
        View::Jobs { jobs } => {
            let rows = jobs.iter().map(|it| {
                vec![
                    it.job_type.clone(),
                    it.handler.clone(),
                    format!("{}:{}", it.file, it.line),
                ]
            });
            list(
                "no jobs",
                &["job", "handler", "file"],
                &rows.collect::<Vec<_>>(),
            )
        }
        View::Subsystems { subsystems } => {
            let rows = subsystems.iter().map(|it| {
                let state = if it.installed { "installed" } else { "-" };
                vec![
                    it.name.to_owned(),
                    state.to_owned(),
                    it.needs.join(", "),
                    it.purpose.to_owned(),
                ]
            });
            list(
                "",
                &["subsystem", "state", "needs", "purpose"],
                &rows.collect::<Vec<_>>(),
            )
        }
        View::Migration(migration) => render_migration(migration),
        View::Clean { files } => format!(
            "{} {} what the definitions say\n",
            counted(*files, "file", "files"),
            if *files == 1 { "is" } else { "are" }
        ),
    }
}

fn render_overview(overview: &Overview, options: Options) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", overview.root.bold());
    let mut names = |label: &str, names: &[String]| {
        let shown = if options.verbose { names.len() } else { 6 };
        let mut list = names
            .iter()
            .take(shown)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        if names.len() > shown {
            let _ = write!(list, ", and {} more", names.len() - shown);
        }
        let line = format!("  {label:<11} {:>3}  {list}", names.len());
        text += line.trim_end();
        text.push('\n');
    };
    names("entities", &overview.entities);
    names("events", &overview.events);
    names("jobs", &overview.jobs);
    if overview.consumers > 0 {
        let _ = writeln!(
            text,
            "  {:<11} {:>3}  of events",
            "consumers", overview.consumers
        );
    }
    let picked = |installed: bool| -> Vec<&str> {
        let rows = overview.subsystems.iter();
        rows.filter(|it: &&SubsystemRow| it.installed == installed)
            .map(|it| it.name)
            .collect()
    };
    let (installed, missing) = (picked(true), picked(false));
    let _ = write!(
        text,
        "  {:<11} {:>3}  {}",
        "subsystems",
        installed.len(),
        installed.join(", ")
    );
    if !missing.is_empty() {
        let gap = if installed.is_empty() { "" } else { "; " };
        let _ = write!(text, "{gap}not installed: {}", missing.join(", "));
    }
    text.push('\n');
    if !overview.edited_by_hand.is_empty() {
        let count = counted(overview.edited_by_hand.len(), "file", "files");
        let _ = writeln!(text, "  {:<11}      {count} edited by hand", "generated");
        for path in &overview.edited_by_hand {
            let _ = writeln!(text, "{:19}{path}", "");
        }
    } else if overview.pending.is_empty() {
        let _ = writeln!(text, "  {:<11}      up to date", "generated");
    } else {
        let count = counted(overview.pending.len(), "file", "files");
        let _ = writeln!(text, "  {:<11}      {count} would change", "generated");
        if options.verbose {
            for path in &overview.pending {
                let _ = writeln!(text, "{:19}{path}", "");
            }
        }
    }
    text
}

fn render_migration(migration: &Migration) -> String {
    if migration.changes.is_empty() {
        return "nothing to do: the migrations make the schema that is described\n".to_owned();
    }
    let mut text = String::new();
    for change in &migration.changes {
        let _ = writeln!(text, "- {}", change.what);
        if let Some(costs) = &change.costs {
            let risk = format!("{}:", change.risk);
            let _ = writeln!(text, "  {} {costs}", risk.yellow());
        }
    }
    text
}

fn render_entity(entity: &EntityDetails) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  table {}  {}",
        entity.name.bold(),
        entity.table,
        entity.source
    );
    if let Some(description) = &entity.description {
        let _ = writeln!(text, "{description}");
    }
    if !entity.behaviors.is_empty() {
        let _ = writeln!(text, "behaviors: {}", entity.behaviors.join(", "));
    }
    text.push('\n');
    let rows: Vec<_> = entity.fields.iter().map(field_cells).collect();
    text += &list("", &["field", "type", "", ""], &rows);
    if !entity.relations.is_empty() {
        text.push('\n');
        let rows = entity.relations.iter().map(|it| {
            let on_delete = it.on_delete.map(|it| format!("on delete {it}"));
            vec![
                it.name.clone(),
                format!("{} {}", it.r#type, it.target),
                format!("by {}", it.foreign_key),
                on_delete.unwrap_or_default(),
            ]
        });
        text += &list("", &["relation", "type", "", ""], &rows.collect::<Vec<_>>());
    }
    if !entity.queries.is_empty() {
        text.push('\n');
        let rows = entity.queries.iter().map(|it| {
            let unique = if it.unique { "unique" } else { "" };
            vec![
                it.name.clone(),
                it.by.join(", "),
                unique.to_owned(),
                it.order.join(", "),
            ]
        });
        text += &list("", &["query", "by", "", "order"], &rows.collect::<Vec<_>>());
    }
    if !entity.named_queries.is_empty() {
        text.push('\n');
        let rows = entity.named_queries.iter().map(|it| {
            vec![
                it.name.clone(),
                it.filters.join(", "),
                it.search.join(", "),
                it.sort.join(", "),
                it.order.join(", "),
            ]
        });
        let titles = ["query", "filters", "search", "sort", "order"];
        text += &list("", &titles, &rows.collect::<Vec<_>>());
    }
    if !entity.emits.is_empty() {
        text.push('\n');
        let rows = entity
            .emits
            .iter()
            .map(|(event, on)| vec![event.clone(), (*on).to_owned()]);
        text += &list("", &["emits", "on"], &rows.collect::<Vec<_>>());
    }
    if !entity.routes.is_empty() {
        text.push('\n');
        let rows = entity.routes.iter().map(|it| vec![it.clone()]);
        text += &list("", &["routes"], &rows.collect::<Vec<_>>());
    }
    text
}

fn field_cells(field: &FieldRow) -> Vec<String> {
    let null = if field.nullable {
        "null"
    } else if field.required {
        "required"
    } else {
        ""
    };
    let mut rest: Vec<String> = Vec::new();
    if field.origin != "declared" {
        rest.push(field.origin.to_owned());
    }
    if field.unique {
        rest.push("unique".to_owned());
    }
    if field.index {
        rest.push("index".to_owned());
    }
    if let Some(default) = &field.default {
        rest.push(format!("default {default}"));
    }
    vec![
        field.name.clone(),
        field.r#type.clone(),
        null.to_owned(),
        rest.join(", "),
    ]
}

fn render_event(event: &EventDetails) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  version {}  {}",
        event.r#type.bold(),
        event.version,
        event.source
    );
    if let Some(description) = &event.description {
        let _ = writeln!(text, "{description}");
    }
    text.push('\n');
    let facts = [
        ("direction", event.direction.map(str::to_owned)),
        ("tier", Some(event.tier.to_owned())),
        ("aggregate", event.aggregate.clone()),
        ("source", event.source_system.clone()),
        ("destination", event.destination.clone()),
        ("ordering", Some(event.ordering.to_owned())),
        ("retry", event.retry.clone()),
        (
            "schedule",
            event
                .schedule
                .as_ref()
                .map(|it| format!("{}, {}; missed slots: {}", it.cron, it.timezone, it.misfire)),
        ),
        (
            "emitted by",
            (!event.emitted_by.is_empty()).then(|| event.emitted_by.join(", ")),
        ),
        ("consumers", Some(event.consumers.to_string())),
    ];
    for (label, value) in facts {
        if let Some(value) = value {
            let _ = writeln!(text, "{label:<12} {value}");
        }
    }
    if !event.payload.is_empty() {
        text.push('\n');
        let rows = event.payload.iter().map(|it| {
            let null = if it.nullable { "null" } else { "" };
            vec![it.name.clone(), it.r#type.clone(), null.to_owned()]
        });
        text += &list("", &["payload", "type", ""], &rows.collect::<Vec<_>>());
    }
    text
}

/// Columns as wide as their widest cell; no line ends in blanks.
pub(super) fn list(empty: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return format!("{empty}\n");
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut text = format!("{}\n", line(&mut header.iter().copied()).dimmed());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
        text.push('\n');
    }
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
