//! What the user will probably do next.

use super::{Consumers, Step};
use crate::changeset::Action;
use crate::generate::Plan;
use crate::model::{EventTier, Model, Subsystem};
use crate::schema::{Change, Risk};

/// The next steps of a workspace at rest; one or two.
pub fn next_steps(plan: &Plan) -> Vec<Step> {
    let model = &plan.loaded.model;
    if !plan.set.conflicts.is_empty() {
        return vec![Step::new(
            "cargo codegen entity new --all",
            "shows what was edited by hand in generated files",
        )];
    }
    if !plan.set.is_noop() {
        return vec![Step::new(
            "cargo codegen entity new --all",
            "brings the generated files up to date",
        )];
    }
    if !plan.pending.is_empty() {
        return vec![Step::new(
            "cargo codegen migrate",
            "what the next migration would contain",
        )];
    }
    if model.entities.is_empty() {
        return entity_steps(model);
    }
    let config = &model.config;
    let mut steps = if !config.has(Subsystem::Events) || model.events.is_empty() {
        event_steps(model)
    } else if !config.has(Subsystem::Jobs) || plan.handlers.found.is_empty() {
        job_steps(model)
    } else {
        Vec::new()
    };
    steps.push(Step::new("cargo run -- serve", ""));
    steps
}

/// The next step with changes of the schema.
pub fn migration_steps(plan: &Plan) -> Vec<Step> {
    let risks: Vec<Risk> = plan.pending.iter().map(Change::risk).collect();
    if risks.is_empty() || risks.iter().any(|it| matches!(it, Risk::Impossible(_))) {
        return Vec::new();
    }
    if risks.iter().all(|it| *it == Risk::Safe) {
        return vec![Step::new("cargo codegen migrate --write", "")];
    }
    vec![Step::new(
        "cargo codegen migrate --write --allow-destructive",
        "if nobody needs what is lost",
    )]
}

/// The next step with entities.
pub fn entity_steps(model: &Model) -> Vec<Step> {
    let step = match model.entities.first() {
        None => Step::new(
            "cargo codegen entity new product name:string sku:string:unique price:decimal:optional",
            "",
        ),
        Some(entity) => Step::new(
            format!("cargo codegen entity show {}", entity.name.snake),
            "its fields, relations and routes",
        ),
    };
    vec![step]
}

/// The next step with events.
pub fn event_steps(model: &Model) -> Vec<Step> {
    if !model.config.has(Subsystem::Events) {
        return vec![Step::new(
            "cargo codegen subsystem install events",
            "typed events through a transactional outbox",
        )];
    }
    if let Some(event) = model.events.first() {
        return vec![Step::new(
            format!("cargo codegen event show {}", event.name.snake),
            "its route and payload",
        )];
    }
    let entity = model.entities.first();
    let entity = entity.map_or("product", |it| it.name.snake.as_str());
    vec![Step::new(
        format!(
            "cargo codegen event new {entity}_created {entity}_id:uuid --direction change --aggregate {entity}"
        ),
        "",
    )]
}

/// The next step with an event that nobody consumes.
pub fn consumer_steps(model: &Model, consumers: &Consumers) -> Vec<Step> {
    let event = model.event(&consumers.event);
    let can_start_jobs = event.is_some_and(|it| it.tier == EventTier::Domain);
    if !can_start_jobs || !consumers.consumers.is_empty() || !model.config.has(Subsystem::Bridge) {
        return Vec::new();
    }
    let event = &consumers.event;
    vec![Step::new(
        format!("cargo codegen job new handle_{event} --on {event}"),
        "a handler that the event starts",
    )]
}

/// The next step with jobs.
pub fn job_steps(model: &Model) -> Vec<Step> {
    if !model.config.has(Subsystem::Jobs) {
        return vec![Step::new(
            "cargo codegen subsystem install jobs --with-dependencies",
            "durable jobs, started by hand or by an event",
        )];
    }
    let event = model
        .events
        .iter()
        .find(|it| it.tier == EventTier::Domain)
        .map(|it| it.name.snake.as_str());
    vec![match event {
        Some(event) => Step::new(
            format!("cargo codegen job new handle_{event} --on {event}"),
            "a handler that the event starts",
        ),
        None => Step::new("cargo codegen job new clean_up before:datetime", ""),
    }]
}

/// The next step with subsystems.
pub fn subsystem_steps(model: &Model) -> Vec<Step> {
    let missing = Subsystem::ALL.into_iter().find(|it| !model.config.has(*it));
    missing
        .map(|it| Step::new(format!("cargo codegen subsystem install {}", it.name()), ""))
        .into_iter()
        .collect()
}

/// The next steps after a command wrote something.
pub fn after_writing(plan: &Plan) -> Vec<Step> {
    let migrations = plan.loaded.model.config.migration_crate.file("src");
    let migrates = plan.set.changes.iter().any(|it| {
        let name = it.path.file_name().unwrap_or_default();
        it.action == Action::Created
            && it.path.starts_with(&migrations)
            && name.starts_with('m')
            && name != "main.rs"
    });
    if migrates {
        vec![Step::new(
            "sea-orm-cli migrate up",
            "applies the new migrations",
        )]
    } else {
        Vec::new()
    }
}
