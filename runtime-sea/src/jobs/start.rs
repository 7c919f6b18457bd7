//! Starting a run: one row of `job_run`, in the caller's transaction.

use std::borrow::Cow;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
};
use serde_json::Value;
use uuid::Uuid;

use crate::database::{Connection, Dialect, dialect, insert_if_new, insert_or_replace, now_plus};
use crate::failpoint;
use crate::trace::well_formed;

use super::entities::{job_dedupe, job_run};
use super::prepared::PreparedRun;
use super::{Collision, RunId, StartError, key};

/// How often a start is decided anew because the run that was in its way ended meanwhile.
const DECISIONS: usize = 8;

/// What a start returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The run: the new one, or the one that the deduplication key stands for.
    pub run_id: RunId,
    /// Whether it is an earlier start's run.
    pub deduplicated: bool,
}

impl PreparedRun {
    /// Inserts the run, or finds the one that stands in its place. The caller announces the work.
    pub(crate) async fn insert<C>(&self, conn: &C) -> Result<Started, StartError>
    where
        C: Connection,
    {
        let Some((window, key)) = &self.dedupe else {
            return self.insert_run(conn).await;
        };
        // The window and the run belong together, in a savepoint where the caller is in a transaction already.
        let tx = conn.begin_within().await?;
        let key = self.stored(key);
        let started = match self.open_window(&tx, *window, &key).await? {
            Some(run_id) => Started {
                run_id,
                deduplicated: true,
            },
            None => {
                let started = self.insert_run(&tx).await?;
                if started.run_id != self.id {
                    self.hand_window_to(&tx, &key, started.run_id).await?;
                }
                started
            }
        };
        failpoint::before("jobs.start_deduplicated");
        tx.commit().await?;
        failpoint::after("jobs.start_deduplicated");
        Ok(started)
    }

    /// Opens the deduplication window for this run, or returns the run that it is open for. A concurrent start with the
    /// same key waits here until the other one has committed or rolled back.
    async fn open_window(
        &self,
        conn: &impl ConnectionTrait,
        window: Duration,
        key: &str,
    ) -> Result<Option<RunId>, StartError> {
        use job_dedupe::Column as D;

        let dialect = dialect(conn)?;
        let open = Query::insert()
            .into_table(job_dedupe::Entity)
            .columns([D::Key, D::RunId, D::ExpiresAt])
            .values_panic([key.into(), self.id.0.into(), now_plus(dialect, window)])
            .to_owned();
        let closed = Expr::col((job_dedupe::Entity, D::ExpiresAt)).lte(dialect.now());
        for _ in 0..DECISIONS {
            let columns = [D::RunId, D::ExpiresAt];
            let opened = insert_or_replace(conn, &open, D::Key, columns, closed.clone()).await?;
            if opened == Some(true) {
                return Ok(None);
            }
            let mut standing = job_dedupe::Entity::find_by_id(key);
            dialect.see_committed(QueryTrait::query(&mut standing));
            if let Some(standing) = standing.one(conn).await? {
                let is_ours = standing.run_id == self.id.0;
                return Ok((!is_ours).then_some(RunId(standing.run_id)));
            }
        }
        Err(self.undecided("deduplication", key::given(key)))
    }

    // The child of that name is there already: the window is for it, not for a run that does not exist.
    async fn hand_window_to(
        &self,
        conn: &impl ConnectionTrait,
        key: &str,
        run_id: RunId,
    ) -> Result<(), StartError> {
        use job_dedupe::Column as D;

        let update = Query::update()
            .table(job_dedupe::Entity)
            .value(D::RunId, run_id.0)
            .and_where(D::Key.eq(key))
            .and_where(D::RunId.eq(self.id.0))
            .to_owned();
        conn.execute(&update).await?;
        Ok(())
    }

    async fn insert_run(&self, conn: &impl ConnectionTrait) -> Result<Started, StartError> {
        let dialect = dialect(conn)?;
        let insert = self.statement(dialect);
        // What was in the way, as far as it has been committed.
        let find = |condition: Condition| {
            let mut select = job_run::Entity::find()
                .select_only()
                .column(job_run::Column::Id)
                .filter(condition);
            dialect.see_committed(QueryTrait::query(&mut select));
            select.into_tuple::<Uuid>()
        };
        for _ in 0..DECISIONS {
            if insert_if_new(conn, &insert).await? {
                return Ok(Started {
                    run_id: self.id,
                    deduplicated: false,
                });
            }
            if let Some(parent) = &self.parent {
                let child = Condition::all()
                    .add(job_run::Column::ParentRunId.eq(parent.run_id.0))
                    .add(job_run::Column::ChildName.eq(&parent.child_name));
                if let Some(id) = find(child).one(conn).await? {
                    return Ok(Started {
                        run_id: RunId(id),
                        deduplicated: false,
                    });
                }
                let (run, name) = (parent.run_id, parent.child_name.clone());
                if find(parent.condition()).one(conn).await?.is_none() {
                    return Err(StartError::LeaseLost { parent: run, name });
                }
                let asked_to_stop = parent
                    .condition()
                    .add(job_run::Column::CancelRequestedAt.is_not_null());
                if find(asked_to_stop).one(conn).await?.is_some() {
                    return Err(StartError::ParentCancelled { parent: run, name });
                }
            }
            if let Some((schedule, at)) = &self.slot {
                let made = Condition::all()
                    .add(job_run::Column::Schedule.eq(schedule))
                    .add(Expr::col(job_run::Column::Slot).eq(dialect.moment(*at)));
                if let Some(id) = find(made).one(conn).await? {
                    return Ok(Started {
                        run_id: RunId(id),
                        deduplicated: true,
                    });
                }
            }
            let Some((_, key)) = &self.concurrency else {
                continue;
            };
            let holder = Condition::all().add(job_run::Column::ActiveKey.eq(&*self.stored(key)));
            if let Some(incumbent) = find(holder).one(conn).await? {
                return Err(StartError::Rejected {
                    job_type: self.job_type.to_string(),
                    key: key.clone(),
                    incumbent: RunId(incumbent),
                });
            }
        }
        let key = self.concurrency.as_ref().map_or("", |(_, key)| key);
        Err(self.undecided("concurrency", key))
    }

    // The insert of a child takes its row from the parent's, so that it happens only under the parent's fence. The lock
    // keeps a take-over or a cancellation from committing in between; SQLite has one writer and needs none.
    fn statement(&self, dialect: &dyn Dialect) -> InsertStatement {
        let (columns, values): (Vec<_>, Vec<_>) = self.row(dialect).into_iter().unzip();
        let mut insert = Query::insert();
        insert.into_table(job_run::Entity).columns(columns);
        match &self.parent {
            None => {
                insert.values_panic(values);
            }
            Some(parent) => {
                let mut held = Query::select();
                held.exprs(values)
                    .from(job_run::Entity)
                    .cond_where(parent.condition())
                    .and_where(job_run::Column::CancelRequestedAt.is_null())
                    .lock(LockType::Share);
                // The numbers of columns and values are equal by construction.
                let _same = insert.select_from(held);
            }
        }
        insert
    }

    pub(super) fn row(&self, dialect: &dyn Dialect) -> Vec<(job_run::Column, Expr)> {
        use job_run::Column as C;

        let run_at = match (self.options.delay, self.options.run_at) {
            (Some(delay), _) => Some(now_plus(dialect, delay)),
            (None, Some(at)) => Some(dialect.moment(at)),
            (None, None) => None,
        };
        let admitted_at_start = !matches!(
            self.concurrency,
            Some((Collision::Queue | Collision::Replace, _))
        );
        // Whether a key is free is decided by the workers, whose decisions are serialised; a rejecting start takes the
        // key itself, because its caller wants to know.
        let readiness = match (&run_at, admitted_at_start) {
            (_, false) => Expr::val("scheduled"),
            (None, true) => Expr::val("ready"),
            (Some(at), true) => Expr::case(at.clone().lte(dialect.now()), "ready")
                .finally("scheduled")
                .into(),
        };
        let active_key = match &self.concurrency {
            Some((Collision::Reject, key)) => Some(self.stored(key).into_owned()),
            _ => None,
        };
        let parent = self.parent.as_ref();
        vec![
            (C::Id, self.id.0.into()),
            (C::JobType, self.job_type.as_ref().into()),
            (C::Version, self.version.into()),
            (C::Pool, self.pool.clone().into()),
            (C::Status, "pending".into()),
            (C::Readiness, readiness),
            (C::Priority, self.options.priority.into()),
            (C::RunAt, run_at.unwrap_or_else(|| dialect.now())),
            (C::Input, self.input.clone().into()),
            (C::Errors, Value::Array(Vec::new()).into()),
            (C::Attempt, 0.into()),
            (C::MaxAttempts, self.max_attempts.into()),
            (C::Recoveries, 0.into()),
            (C::Fence, 0_i64.into()),
            (C::TimeoutMs, self.timeout_ms.into()),
            (
                C::ConcurrencyKey,
                self.concurrency
                    .as_ref()
                    .map(|(_, key)| self.stored(key).into_owned())
                    .into(),
            ),
            (
                C::Collision,
                self.concurrency
                    .as_ref()
                    .map(|(collision, _)| collision.as_str().to_owned())
                    .into(),
            ),
            (C::ActiveKey, active_key.into()),
            (
                C::DedupeKey,
                self.dedupe
                    .as_ref()
                    .map(|(_, key)| self.stored(key).into_owned())
                    .into(),
            ),
            (
                C::ScopeType,
                self.scope.as_ref().map(|(kind, _)| kind.clone()).into(),
            ),
            (
                C::ScopeId,
                self.scope.as_ref().map(|(_, id)| id.clone()).into(),
            ),
            (C::ParentRunId, parent.map(|parent| parent.run_id.0).into()),
            (
                C::RootRunId,
                parent.map_or(self.id, |parent| parent.root_run_id).0.into(),
            ),
            (
                C::ChildName,
                parent.map(|parent| parent.child_name.clone()).into(),
            ),
            (C::ParentClose, self.options.parent_close.as_str().into()),
            (
                C::EventId,
                self.cause.as_ref().map(|cause| cause.event_id.0).into(),
            ),
            (
                C::TriggerId,
                self.cause
                    .as_ref()
                    .map(|cause| cause.trigger_id.clone())
                    .into(),
            ),
            (
                C::Schedule,
                self.slot.as_ref().map(|(name, _)| name.clone()).into(),
            ),
            (
                C::Slot,
                self.slot
                    .as_ref()
                    .map_or_else(Expr::null, |(_, at)| dialect.moment(*at)),
            ),
            (C::Tags, Value::from(self.options.tags.clone()).into()),
            (C::TenantId, self.options.tenant_id().into()),
            (
                C::Traceparent,
                well_formed(self.options.traceparent.as_deref())
                    .map(|it| it.to_string())
                    .into(),
            ),
            (C::CreatedAt, dialect.now()),
        ]
    }

    /// A key of the run as it is stored.
    fn stored<'a>(&self, key: &'a str) -> Cow<'a, str> {
        key::stored(self.options.tenant_id(), key)
    }

    fn undecided(&self, kind: &str, key: &str) -> StartError {
        StartError::Policy {
            job_type: self.job_type.to_string(),
            reason: format!("the {kind} key `{key}` changed hands too often; try again"),
        }
    }
}
