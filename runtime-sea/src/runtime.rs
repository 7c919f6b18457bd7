//! The handles of one process.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use tracing::Span;

use crate::clock;
use crate::database::{WakeUp, dialect};
use crate::events::Events;
use crate::jobs::Jobs;
use crate::metrics::Clock;
use crate::trace::{self, TraceContext, Traces};
use crate::worker::WorkerBuilder;

/// What one process shares: the database and the signal that new work is there. Cloning is cheap.
///
/// Make one per process and database: a worker notices at once what is published or started through its own runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    db: DatabaseConnection,
    wake_up: WakeUp,
    traces: Traces,
    clock: Clock,
    multi_tenant: bool,
}

/// The settings of a [`Runtime`].
#[derive(Debug)]
#[must_use]
pub struct RuntimeBuilder {
    db: DatabaseConnection,
    notifications: bool,
    traces: Traces,
    multi_tenant: bool,
}

impl RuntimeBuilder {
    /// Whether processes call each other through the database (`LISTEN` and `NOTIFY` of PostgreSQL); on unless set.
    /// Turn it off behind a pooler that hands out a connection per transaction, where a subscription cannot last: other
    /// processes' work is then found by polling, within a second. The pooler has to keep prepared statements, as
    /// PgBouncer does from 1.21 on with `max_prepared_statements`; it also needs
    /// `ignore_startup_parameters = extra_float_digits`.
    pub const fn notifications(mut self, notifications: bool) -> Self {
        self.notifications = notifications;
        self
    }

    /// The program's tracing system, which links the spans of events and runs with those of the requests that caused
    /// them; none unless set. See [`trace`](crate::trace).
    pub fn trace(mut self, context: impl TraceContext) -> Self {
        self.traces = Traces::new(context);
        self
    }

    /// Whether every event and every run belongs to a tenant; off unless set. Where it is on, a publish, a start and a
    /// query have to name the tenant, or say that there is none, and whoever asks for one tenant never sees another's.
    pub const fn multi_tenant(mut self, multi_tenant: bool) -> Self {
        self.multi_tenant = multi_tenant;
        self
    }

    /// The runtime; nothing is sent to the database yet.
    #[must_use]
    pub fn build(self) -> Runtime {
        let wake_up = WakeUp::new(self.db.clone(), self.notifications);
        if let Some(clock) = clock::current() {
            wake_up.wake_with(&clock);
        }
        Runtime {
            inner: Arc::new(Inner {
                db: self.db,
                wake_up,
                traces: self.traces,
                clock: Clock::default(),
                multi_tenant: self.multi_tenant,
            }),
        }
    }
}

impl Runtime {
    /// A runtime on the connection with the default settings; nothing is sent to the database yet.
    #[must_use]
    pub fn new(db: DatabaseConnection) -> Self {
        Self::builder(db).build()
    }

    /// A runtime in the making.
    pub const fn builder(db: DatabaseConnection) -> RuntimeBuilder {
        RuntimeBuilder {
            db,
            notifications: true,
            traces: Traces::NONE,
            multi_tenant: false,
        }
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &DatabaseConnection {
        &self.inner.db
    }

    /// The time that decisions go by: the database's clock, unless a test [moves it](crate::TestClock).
    ///
    /// # Errors
    /// The database's own.
    pub async fn now(&self) -> Result<DateTime<Utc>, DbErr> {
        let select = Query::select()
            .expr_as(dialect(self.db())?.now(), "now")
            .to_owned();
        let row = self.db().query_one(&select).await?;
        row.ok_or_else(|| DbErr::RecordNotFound("the database tells no time".to_owned()))?
            .try_get("", "now")
    }

    /// Makes a span, which nobody has entered yet, go on with a trace: that of a request's `traceparent` header.
    /// Without a [`TraceContext`], or a header that is well-formed, the span stays as it is.
    pub fn continue_trace(&self, span: &Span, traceparent: Option<&str>) {
        let traceparent = trace::well_formed(traceparent);
        self.inner.traces.go_on(span, traceparent.as_ref());
    }

    /// Publishes and queries events.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.clone())
    }

    /// Starts and queries runs.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(self.clone())
    }

    /// A worker in the making, see [`WorkerBuilder`].
    pub fn worker(&self) -> WorkerBuilder {
        WorkerBuilder::new(self.clone())
    }

    pub(crate) fn is_multi_tenant(&self) -> bool {
        self.inner.multi_tenant
    }

    pub(crate) fn wake_up(&self) -> &WakeUp {
        &self.inner.wake_up
    }

    /// For what is measured, not for what is decided.
    pub(crate) fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(crate) fn traces(&self) -> &Traces {
        &self.inner.traces
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("backend", &self.inner.db.get_database_backend())
            .finish_non_exhaustive()
    }
}
