//! The state of a workspace as data: what bare nouns, `list` and `show` answer.
//!
//! Every type here is also part of the `--json` output: its keys are stable.

mod consumers;
mod doctor;
mod entity;
mod event;
mod migration;
mod settings;
mod steps;

use camino::Utf8Path;
use serde::Serialize;

pub use consumers::{ConsumerRow, Consumers, PlaceRow, UnknownRow};
pub use doctor::{Finding, Health, health, locked_sea_orm};
pub use entity::{
    EntityDetails, EntityRow, FieldRow, NamedQueryRow, QueryRow, RelationRow, default_text,
    on_delete_name, relation_name, type_name,
};
pub use event::{
    EventDetails, EventRow, PayloadRow, ScheduleRow, direction_name, payload_type_name, tier_name,
};
pub use migration::{ChangeRow, Migration, migration};
pub use settings::{Setting, settings};
pub use steps::{
    after_writing, consumer_steps, entity_steps, event_steps, job_steps, migration_steps,
    next_steps, subsystem_steps,
};

use crate::changeset::Action;
use crate::generate::Plan;
use crate::model::{Config, Subsystem};
use crate::render::Skill;
use crate::workspace::consumers::EventUses;
use crate::workspace::handlers::FoundHandler;

/// What a command was asked to show; `kind` names it in JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum View {
    /// Bare `cargo codegen`.
    Overview(Overview),
    /// `entity list`.
    Entities {
        /// Sorted by name.
        entities: Vec<EntityRow>,
    },
    /// `entity show`.
    Entity(EntityDetails),
    /// `entity validate`.
    Valid {
        /// How many entities were read.
        entities: usize,
        /// How many events were read.
        events: usize,
    },
    /// `event list`.
    Events {
        /// Sorted by type.
        events: Vec<EventRow>,
    },
    /// `event show`.
    Event(EventDetails),
    /// `event consumers`.
    EventConsumers(Consumers),
    /// `job list`.
    Jobs {
        /// Sorted by type.
        jobs: Vec<JobRow>,
    },
    /// `project config`.
    Settings {
        /// In the order of `codegen.yaml`.
        settings: Vec<Setting>,
    },
    /// `skills list`.
    Skills {
        /// Sorted by name.
        skills: Vec<SkillRow>,
    },
    /// `subsystem list`.
    Subsystems {
        /// In the order of installation.
        subsystems: Vec<SubsystemRow>,
    },
    /// `migrate`.
    Migration(Migration),
    /// `doctor`.
    Health(Health),
    /// `schema`.
    Schema {
        /// A JSON Schema.
        schema: serde_json::Value,
    },
    /// `completions`.
    Completions {
        /// For the shell.
        script: String,
    },
    /// `check` without a finding.
    Clean {
        /// How many files the definitions account for.
        files: usize,
    },
}

/// A guide for coding assistants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkillRow {
    /// Its name.
    pub name: String,
    /// When it is of use.
    pub description: String,
}

impl SkillRow {
    /// Its row.
    pub fn new(skill: &Skill) -> Self {
        Self {
            name: skill.name.clone(),
            description: skill.description.clone(),
        }
    }
}

/// Bare `cargo codegen`.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// Absolute path of the workspace.
    pub root: String,
    /// Names of the entities.
    pub entities: Vec<String>,
    /// Types of the events.
    pub events: Vec<String>,
    /// Types of the jobs.
    pub jobs: Vec<String>,
    /// How many subscriptions, triggers, starts and waits the code has.
    pub consumers: usize,
    /// All subsystems.
    pub subsystems: Vec<SubsystemRow>,
    /// Files that a run would create, update, edit or delete.
    pub pending: Vec<String>,
    /// Generated files that were edited by hand.
    pub edited_by_hand: Vec<String>,
}

/// The state of a workspace, and what a run would do to it.
pub fn overview(root: &Utf8Path, plan: &Plan, uses: &EventUses) -> Overview {
    let model = &plan.loaded.model;
    let pending = plan
        .set
        .changes
        .iter()
        .filter(|it| !matches!(it.action, Action::Unchanged | Action::Kept));
    Overview {
        root: root.to_string(),
        entities: model
            .entities
            .iter()
            .map(|it| it.name.snake.clone())
            .collect(),
        events: model
            .events
            .iter()
            .map(|it| it.name.snake.clone())
            .collect(),
        jobs: plan
            .handlers
            .found
            .iter()
            .map(|it| it.job_type.clone())
            .collect(),
        consumers: uses.count_consumers(),
        subsystems: subsystems(&model.config),
        pending: pending.map(|it| it.path.to_string()).collect(),
        edited_by_hand: plan
            .set
            .conflicts
            .iter()
            .map(|it| it.path.to_string())
            .collect(),
    }
}

/// One job handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// `JobHandler::TYPE`.
    pub job_type: String,
    /// The handler's Rust type.
    pub handler: String,
    /// Where it stands, relative to the workspace root.
    pub file: String,
    /// 1 is the first line.
    pub line: usize,
}

impl JobRow {
    /// The row of a handler.
    pub fn new(handler: &FoundHandler) -> Self {
        Self {
            job_type: handler.job_type.clone(),
            handler: handler.type_name.clone(),
            file: handler.file.to_string(),
            line: handler.line,
        }
    }
}

/// One subsystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubsystemRow {
    /// As on the command line.
    pub name: &'static str,
    /// Whether `codegen.yaml` has its block.
    pub installed: bool,
    /// What must be installed before it.
    pub needs: Vec<&'static str>,
    /// What it is for.
    pub purpose: &'static str,
}

/// All subsystems and whether they are installed.
pub fn subsystems(config: &Config) -> Vec<SubsystemRow> {
    Subsystem::ALL
        .into_iter()
        .map(|it| SubsystemRow {
            name: it.name(),
            installed: config.has(it),
            needs: it.needs().iter().map(|it| it.name()).collect(),
            purpose: match it {
                Subsystem::Events => "typed events through a transactional outbox",
                Subsystem::Jobs => "durable jobs with steps, retries and children",
                Subsystem::Bridge => "an event starts a job, exactly once",
            },
        })
        .collect()
}

/// One thing that the user will probably do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The command, or what to do in words.
    pub command: String,
    /// Why; may be empty.
    pub why: String,
}

impl Step {
    /// A step and its reason.
    pub fn new(command: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            why: why.into(),
        }
    }
}
