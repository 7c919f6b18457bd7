//! The ledger as queries see it.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;

use super::ledger;
use crate::events::EventId;
use crate::jobs::RunId;

/// What a trigger did with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BridgeStatus {
    /// It started a run.
    Started,
    /// A run for the same deduplication key was there already.
    Deduplicated,
    /// It passed the event over.
    Skipped,
    /// It could not start a run.
    Failed,
}

impl BridgeStatus {
    /// The name as it stands in `bridge_delivery.status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Deduplicated => "deduplicated",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Started,
            Self::Deduplicated,
            Self::Skipped,
            Self::Failed,
        ]
        .into_iter()
        .find(|it| it.as_str() == name)
    }
}

impl std::fmt::Display for BridgeStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One trigger's answer to one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BridgeRecord {
    /// The trigger's stable id.
    pub trigger_id: String,
    /// The job that it is for.
    pub job_type: String,
    /// What it did.
    pub status: BridgeStatus,
    /// The run, where there is one.
    pub run_id: Option<RunId>,
    /// Why there is no new run.
    pub reason: Option<String>,
    /// When it answered.
    pub created_at: DateTime<Utc>,
}

impl From<ledger::Model> for BridgeRecord {
    fn from(row: ledger::Model) -> Self {
        Self {
            trigger_id: row.trigger_id,
            job_type: row.job_type,
            // The table's check constraint allows no other names.
            status: BridgeStatus::from_name(&row.status).unwrap_or(BridgeStatus::Failed),
            run_id: row.run_id.map(RunId),
            reason: row.reason,
            created_at: row.created_at,
        }
    }
}

/// What the triggers did with an event.
pub(crate) async fn of_event(
    conn: &impl ConnectionTrait,
    event_id: EventId,
) -> Result<Vec<BridgeRecord>, DbErr> {
    let rows = ledger::Entity::find()
        .filter(ledger::Column::EventId.eq(event_id.as_uuid()))
        .order_by_asc(ledger::Column::TriggerId)
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(BridgeRecord::from).collect())
}
