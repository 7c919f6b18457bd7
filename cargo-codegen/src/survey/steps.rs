//! What the user will probably do next.

use super::Step;
use crate::changeset::Action;
use crate::generate::Plan;
use crate::model::{Model, Subsystem};

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
    if model.entities.is_empty() {
        return vec![Step::new(
            "cargo codegen entity new product name:string sku:string:unique price:decimal:optional",
            "",
        )];
    }
    let mut steps = Vec::new();
    let config = &model.config;
    if !config.has(Subsystem::Events) {
        steps.push(Step::new(
            "cargo codegen subsystem install events",
            "typed events through a transactional outbox",
        ));
    } else if model.events.is_empty() {
        steps.push(event_step(model));
    } else if !config.has(Subsystem::Jobs) {
        steps.push(Step::new(
            "cargo codegen subsystem install jobs",
            "durable jobs, started by hand or by an event",
        ));
    } else if plan.handlers.found.is_empty() {
        steps.push(job_step(model));
    }
    steps.push(Step::new("cargo run -- serve", ""));
    steps
}

fn event_step(model: &Model) -> Step {
    let entity = model
        .entities
        .first()
        .map_or("product", |it| it.name.snake.as_str());
    Step::new(
        format!(
            "cargo codegen event new {entity}_created {entity}_id:uuid --direction change --aggregate {entity}"
        ),
        "",
    )
}

fn job_step(model: &Model) -> Step {
    let event = model
        .events
        .iter()
        .find(|it| it.direction.is_some())
        .map_or("product_created", |it| it.name.snake.as_str());
    Step::new(
        format!("cargo codegen job new handle_{event} --on {event}"),
        "",
    )
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
