//! Starting the runs that events ask for.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::ledger::{self, Column as L};
use super::{BridgeStatus, direct_id};
use crate::database::{dialect, insert_new, rows_per_statement};
use crate::events::EventId;
use crate::failpoint;
use crate::jobs::PreparedRun;
use crate::jobs::bulk::insert_all;

/// What a trigger made of an event, not yet recorded.
#[derive(Debug)]
pub(crate) struct Firing {
    pub(crate) event_id: EventId,
    pub(crate) event_type: String,
    pub(crate) trigger_id: String,
    pub(crate) job_type: &'static str,
    /// Whether the run that the event's publisher has asked for stands for it.
    pub(crate) is_stood_for: bool,
    /// The run to start, none where the trigger passes the event over, or why it could not say.
    pub(crate) run: Result<Option<PreparedRun>, String>,
}

/// Records what triggers made of events and starts the runs, in the one transaction, which has locked the events. What is
/// on record already is left alone, and starts nothing. Returns how many runs were started.
pub(crate) async fn record(tx: &DatabaseTransaction, firings: &[&Firing]) -> Result<usize, DbErr> {
    if firings.is_empty() {
        return Ok(0);
    }
    failpoint::before("bridge.fire");
    let firings = &not_asked_for(tx, firings).await?[..];
    let fresh = insert(tx, firings).await?;
    let (firings, runs): (Vec<_>, Vec<_>) = firings
        .iter()
        .filter(|it| fresh.contains(&(it.event_id.as_uuid(), it.trigger_id.clone())))
        .filter_map(|it| Some((*it, it.run.as_ref().ok()?.as_ref()?)))
        .unzip();
    let mut started = 0;
    for (firing, outcome) in firings.into_iter().zip(insert_all(tx, &runs).await?) {
        match outcome {
            Ok(it) if it.deduplicated => {
                let (status, run_id) = (BridgeStatus::Deduplicated, Some(it.run_id.0));
                correct(tx, firing, status, run_id, None).await?;
            }
            Ok(_) => started += 1,
            Err(error) => {
                let reason = error.to_string();
                correct(tx, firing, BridgeStatus::Failed, None, Some(reason)).await?;
            }
        }
    }
    failpoint::after("bridge.fire");
    Ok(started)
}

/// Those that no run stands for which the event's publisher has asked for.
async fn not_asked_for<'a>(
    tx: &DatabaseTransaction,
    firings: &[&'a Firing],
) -> Result<Vec<&'a Firing>, DbErr> {
    let keys: HashSet<Key> = firings
        .iter()
        .filter(|it| it.is_stood_for)
        .map(|it| it.key_of_direct())
        .collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let mut asked_for = HashSet::new();
    for chunk in keys.chunks(rows_per_statement(dialect(tx)?, 2)) {
        let keys = chunk.iter().map(|(event_id, id)| (*event_id, id.as_str()));
        let rows = ledger::Entity::find()
            .select_only()
            .columns([L::EventId, L::TriggerId])
            .filter(Expr::tuple([Expr::col(L::EventId), Expr::col(L::TriggerId)]).in_tuples(keys))
            .into_tuple::<Key>()
            .all(tx)
            .await?;
        asked_for.extend(rows);
    }
    let left = firings
        .iter()
        .filter(|it| !it.is_stood_for || !asked_for.contains(&it.key_of_direct()));
    Ok(left.copied().collect())
}

impl Firing {
    /// Whether somebody else's transaction may have taken a key of its run, and keep it for long.
    pub(crate) fn may_wait_for_a_key(&self) -> bool {
        matches!(&self.run, Ok(Some(run)) if !run.is_never_refused())
    }

    fn key_of_direct(&self) -> Key {
        (self.event_id.as_uuid(), direct_id(self.job_type))
    }
}

/// Records that nobody will ever answer these events for these triggers: (event, its type, trigger).
pub(crate) async fn record_unregistered(
    tx: &DatabaseTransaction,
    unanswered: Vec<(EventId, String, String)>,
) -> Result<(), DbErr> {
    let rows = unanswered
        .into_iter()
        .map(|(event_id, event_type, trigger_id)| {
            let job_type = trigger_id
                .split_once('/')
                .map_or(&*trigger_id, |it| it.0)
                .to_owned();
            let values = vec![
                event_id.as_uuid().into(),
                trigger_id.as_str().into(),
                event_type.into(),
                job_type.into(),
                BridgeStatus::Skipped.as_str().into(),
                Option::<Uuid>::None.into(),
                "trigger_unregistered".into(),
            ];
            ((event_id.as_uuid(), trigger_id), values)
        });
    insert_into_ledger(tx, rows.collect()).await.map(drop)
}

type Key = (Uuid, String);

// The run's id is known beforehand, so that the row can claim the event before the run exists.
pub(super) async fn insert(
    tx: &DatabaseTransaction,
    firings: &[&Firing],
) -> Result<HashSet<Key>, DbErr> {
    let rows = firings.iter().map(|firing| {
        let (status, run_id, reason) = match &firing.run {
            Ok(Some(run)) => (BridgeStatus::Started, Some(run.id.0), None),
            Ok(None) => (
                BridgeStatus::Skipped,
                None,
                Some("the trigger passed the event over".to_owned()),
            ),
            Err(reason) => (BridgeStatus::Failed, None, Some(reason.clone())),
        };
        let values = vec![
            firing.event_id.as_uuid().into(),
            firing.trigger_id.as_str().into(),
            firing.event_type.as_str().into(),
            firing.job_type.into(),
            status.as_str().into(),
            run_id.into(),
            reason.into(),
        ];
        (
            (firing.event_id.as_uuid(), firing.trigger_id.clone()),
            values,
        )
    });
    insert_into_ledger(tx, rows.collect()).await
}

async fn insert_into_ledger(
    tx: &DatabaseTransaction,
    rows: Vec<(Key, Vec<Expr>)>,
) -> Result<HashSet<Key>, DbErr> {
    const COLUMNS: [L; 7] = [
        L::EventId,
        L::TriggerId,
        L::EventType,
        L::JobType,
        L::Status,
        L::RunId,
        L::Reason,
    ];
    let insert = Query::insert()
        .into_table(ledger::Entity)
        .columns(COLUMNS)
        .to_owned();
    insert_new(tx, &insert, &["event_id", "trigger_id"], rows).await
}

pub(super) async fn correct(
    tx: &DatabaseTransaction,
    firing: &Firing,
    status: BridgeStatus,
    run_id: Option<Uuid>,
    reason: Option<String>,
) -> Result<(), DbErr> {
    let update = Query::update()
        .table(ledger::Entity)
        .value(L::Status, status.as_str())
        .value(L::RunId, run_id)
        .value(L::Reason, reason)
        .and_where(Expr::col(L::EventId).eq(firing.event_id.as_uuid()))
        .and_where(Expr::col(L::TriggerId).eq(&firing.trigger_id))
        .to_owned();
    tx.execute(&update).await.map(drop)
}
