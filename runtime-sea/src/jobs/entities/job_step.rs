//! `job_step`: the memoized checkpoints of a run.

use sea_orm::entity::prelude::*;

/// One step of one run.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job_step")]
pub struct Model {
    /// The run.
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_id: Uuid,
    /// The step's name, unique in its run.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// `step`, `child`, `sleep`, `children` or `event`.
    pub kind: String,
    /// Its place among the steps of its run, from 0.
    pub position: i32,
    /// Whether steps overlapped by then, so that another attempt may come to it in another place.
    pub concurrent: bool,
    /// `completed`, `failed`, `waiting`, or `abandoned`: a wait whose run ended without it. A failed step is executed
    /// again by the next attempt.
    pub status: String,
    /// What the step returned, once completed.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub output: Option<Json>,
    /// The last error, where the step has failed.
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    /// How often the step was executed to an end, good or bad.
    pub executions: i32,
    /// The attempt of the run that wrote this row last.
    pub attempt: i32,
    /// The fence of the claim that wrote this row last.
    pub fence: i64,
    /// When the last execution began.
    pub started_at: DateTimeUtc,
    /// When the last execution ended; none while it waits.
    pub finished_at: Option<DateTimeUtc>,
    /// When a wait ends at the latest.
    pub wake_at: Option<DateTimeUtc>,
    /// The type of event that a wait is for.
    pub event_type: Option<String>,
    /// The key of the event that a wait is for; the step of the child where it is for one child.
    pub event_key: Option<String>,
    /// The event that ended the wait.
    pub event_id: Option<Uuid>,
    /// The child that the step spawned, or found by its deduplication key.
    pub child_run_id: Option<Uuid>,
}

/// A step belongs to its run.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The run.
    #[sea_orm(
        belongs_to = "super::job_run::Entity",
        from = "Column::RunId",
        to = "super::job_run::Column::Id",
        on_delete = "Cascade"
    )]
    Run,
}

impl Related<super::job_run::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Run.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
