//! `job_run`: one durable execution of a job.
//!
//! Indexes that the claims rely on (partial where the database has them):
//! - `(pool, priority DESC, run_at, id)` where `status = 'pending' AND readiness = 'ready'`: the claim
//! - `(run_at, id)` where `status = 'pending' AND readiness = 'scheduled'`: what becomes due
//! - `(concurrency_key, priority DESC, run_at, id)` where `status = 'pending' AND readiness = 'blocked'`
//! - `(worker_id)` where `status = 'running'`: take-over, cancellation
//! - `(deadline_at)` where `status = 'waiting'`: suspended runs whose time is up
//! - unique `(active_key)`; unique `(parent_run_id, child_name)`
//! - `(status, finished_at)`: clearing away, statistics
//! - `(job_type, created_at)`, `(created_at)`, `(root_run_id)`, `(event_id)`: queries

use sea_orm::entity::prelude::*;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_run")]
pub struct Model {
    /// UUID v7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The job's type.
    pub job_type: String,
    /// The version of the job that it was started with.
    pub version: i32,
    /// The pool that it waits in.
    pub pool: String,
    /// See [`RunStatus`](crate::jobs::RunStatus).
    pub status: String,
    /// `ready`: may be claimed; `scheduled`: not yet looked at or not yet due; `blocked`: its concurrency key is taken.
    pub readiness: String,
    /// Higher goes first.
    pub priority: i16,
    /// Not before this moment.
    pub run_at: DateTimeUtc,
    /// The handler's input.
    #[sea_orm(column_type = "JsonBinary")]
    pub input: Json,
    /// What the handler returned.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub output: Option<Json>,
    /// The last error.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    /// Every attempt that did not succeed, oldest first: see [`AttemptError`](crate::jobs::AttemptError).
    #[sea_orm(column_type = "JsonBinary")]
    pub errors: Json,
    /// Attempts begun, lost ones included, handed-back ones not.
    pub attempt: i32,
    /// How many failed attempts end the run.
    pub max_attempts: i32,
    /// How often the run was taken over from a dead worker.
    pub recoveries: i32,
    /// How often its handler put it off.
    pub snoozes: i32,
    /// Grows with every claim; with the worker it is the fence of every write.
    pub fence: i64,
    /// The worker that runs it.
    pub worker_id: Option<Uuid>,
    /// Wall-clock limit over all attempts, in milliseconds.
    pub timeout_ms: Option<i64>,
    /// The limit as a moment, set by the first claim.
    pub deadline_at: Option<DateTimeUtc>,
    /// What must not run twice at a time, with the run's tenant if it has one: see `jobs::key`.
    pub concurrency_key: Option<String>,
    /// `queue`, `reject` or `replace`, where there is a concurrency key.
    pub collision: Option<String>,
    /// The concurrency key while this run holds it; unique.
    pub active_key: Option<String>,
    /// The deduplication key that it was started with, as in `job_dedupe`.
    pub dedupe_key: Option<String>,
    /// What the run is about, for queries: a kind.
    pub scope_type: Option<String>,
    /// And the id of it.
    pub scope_id: Option<String>,
    /// The run that spawned it.
    pub parent_run_id: Option<Uuid>,
    /// The top of its tree; its own id where nothing spawned it.
    pub root_run_id: Uuid,
    /// Its name among the parent's children.
    pub child_name: Option<String>,
    /// What the end of its parent does to it: `terminate`, `cancel` or `abandon`.
    pub parent_close: String,
    /// Whether the end of its parent has done that.
    pub closed_by_parent: bool,
    /// The event that caused it.
    pub event_id: Option<Uuid>,
    /// The trigger that turned the event into this run.
    pub trigger_id: Option<String>,
    /// The schedule that started it.
    pub schedule: Option<String>,
    /// The schedule's slot that it was started for; unique per schedule.
    pub slot: Option<DateTimeUtc>,
    /// The trace that it was started in, as W3C `traceparent`.
    pub traceparent: Option<String>,
    /// Free labels, for queries: an array of strings.
    #[sea_orm(column_type = "JsonBinary")]
    pub tags: Json,
    /// The tenant, where there are tenants.
    pub tenant_id: Option<String>,
    /// When it was started.
    pub created_at: DateTimeUtc,
    /// When it was first claimed.
    pub started_at: Option<DateTimeUtc>,
    /// When it was last claimed.
    pub claimed_at: Option<DateTimeUtc>,
    /// When it reached its final status.
    pub finished_at: Option<DateTimeUtc>,
    /// When somebody asked for its cancellation.
    pub cancel_requested_at: Option<DateTimeUtc>,
}

/// A run has steps.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Its steps.
    #[sea_orm(has_many = "super::job_step::Entity")]
    Steps,
}

impl Related<super::job_step::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Steps.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
