//! What handlers write down of each of their effects, in transactions of their own, and customers of what they ask for.

use runtime_sea::events::entities::{domain_event, event_delivery};
use runtime_sea::jobs::entities::{job_run, job_worker};
use runtime_sea::{EventId, JobContext, RunId};
use sea_orm::sea_query::{ColumnDef, Expr, ExprTrait, Query, SelectStatement, Table};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use uuid::Uuid;

/// An effect of a handler.
#[expect(unreachable_pub, reason = "the derive wants it public")]
pub(crate) mod effect {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "effect")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// `run`, the name of a step, or that of a subscription.
        pub what: String,
        pub run_id: Option<Uuid>,
        pub event_id: Option<Uuid>,
        /// The process, and which start of it.
        pub process: String,
        /// Whether the process had the run or the event in hand at that moment, by the database's own account.
        pub held: bool,
        pub began_at: DateTimeUtc,
        pub ended_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What was asked for, written in the same transaction where there is one.
#[expect(unreachable_pub, reason = "the derive wants it public")]
pub(crate) mod request {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "request")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        /// See [`super::Expected`].
        pub expected: String,
        /// The event or the run.
        pub about: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What must become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Delivered,
    Completed,
    Canceled,
    TimedOut,
    /// Completed, or cancelled for the sake of another one.
    Over,
    /// Its transaction was rolled back.
    Nothing,
}

impl Expected {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::TimedOut => "timed_out",
            Self::Over => "over",
            Self::Nothing => "nothing",
        }
    }
}

pub(crate) async fn create_tables(db: &DatabaseConnection) {
    use effect::Column as E;
    use request::Column as R;

    let moment = |column| {
        let mut moment = ColumnDef::new(column);
        match db.get_database_backend() {
            DbBackend::MySql => moment.custom("datetime(6)").take(),
            _ => moment.timestamp_with_time_zone().take(),
        }
    };
    let effects = Table::create()
        .table(effect::Entity)
        .col(ColumnDef::new(E::Id).uuid().not_null().primary_key())
        .col(ColumnDef::new(E::What).string().not_null())
        .col(ColumnDef::new(E::RunId).uuid())
        .col(ColumnDef::new(E::EventId).uuid())
        .col(ColumnDef::new(E::Process).string().not_null())
        .col(ColumnDef::new(E::Held).boolean().not_null())
        .col(moment(E::BeganAt).not_null())
        .col(moment(E::EndedAt))
        .to_owned();
    let requests = Table::create()
        .table(request::Entity)
        .col(ColumnDef::new(R::Name).string().not_null().primary_key())
        .col(ColumnDef::new(R::Expected).string().not_null())
        .col(ColumnDef::new(R::About).uuid().not_null())
        .to_owned();
    for table in [effects, requests] {
        db.execute(&table).await.unwrap();
    }
}

/// Writes down what the handlers of one process do.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    db: DatabaseConnection,
    process: String,
}

impl Witness {
    /// `process` is the name of the process's worker.
    pub(crate) fn new(db: DatabaseConnection, process: String) -> Self {
        Self { db, process }
    }

    pub(crate) async fn run_begins(&self, ctx: &JobContext, what: &str) -> Result<Uuid, DbErr> {
        use job_run::Column as C;

        let attempt = i32::try_from(ctx.attempt()).unwrap_or(i32::MAX);
        let held = self
            .live_worker()
            .inner_join(
                job_run::Entity,
                Expr::col((job_run::Entity, C::WorkerId)).equals(worker_id()),
            )
            .and_where(Expr::col((job_run::Entity, C::Id)).eq(ctx.run_id().as_uuid()))
            .and_where(Expr::col((job_run::Entity, C::Status)).eq("running"))
            .and_where(Expr::col((job_run::Entity, C::Attempt)).eq(attempt))
            .to_owned();
        self.begin(what, Some(ctx.run_id()), None, held).await
    }

    pub(crate) async fn delivery_begins(&self, what: &str, event: EventId) -> Result<Uuid, DbErr> {
        use domain_event::Column as E;
        use event_delivery::Column as D;

        let dispatched = Query::select()
            .expr(Expr::val(1))
            .from(domain_event::Entity)
            .and_where(Expr::col((domain_event::Entity, E::Id)).eq(event.as_uuid()))
            .and_where(Expr::col((domain_event::Entity, E::ClaimedBy)).equals(worker_id()))
            .to_owned();
        let delivered = Query::select()
            .expr(Expr::val(1))
            .from(event_delivery::Entity)
            .and_where(Expr::col((event_delivery::Entity, D::EventId)).eq(event.as_uuid()))
            .and_where(Expr::col((event_delivery::Entity, D::Subscription)).eq(what))
            .and_where(Expr::col((event_delivery::Entity, D::ClaimedBy)).equals(worker_id()))
            .to_owned();
        let held = self
            .live_worker()
            .and_where(Expr::exists(dispatched).or(Expr::exists(delivered)))
            .to_owned();
        self.begin(what, None, Some(event), held).await
    }

    pub(crate) async fn ends(&self, effect: Uuid) -> Result<(), DbErr> {
        let update = Query::update()
            .table(effect::Entity)
            .value(effect::Column::EndedAt, now(&self.db))
            .and_where(effect::Column::Id.eq(effect))
            .to_owned();
        self.db.execute(&update).await.map(drop)
    }

    fn live_worker(&self) -> SelectStatement {
        use job_worker::Column as W;

        Query::select()
            .expr(Expr::val(1))
            .from(job_worker::Entity)
            .and_where(Expr::col((job_worker::Entity, W::Name)).eq(&self.process))
            .and_where(Expr::col((job_worker::Entity, W::ExpiresAt)).gt(now(&self.db)))
            .to_owned()
    }

    async fn begin(
        &self,
        what: &str,
        run_id: Option<RunId>,
        event_id: Option<EventId>,
        held: SelectStatement,
    ) -> Result<Uuid, DbErr> {
        use effect::Column as E;

        let id = Uuid::now_v7();
        let insert = Query::insert()
            .into_table(effect::Entity)
            .columns([
                E::Id,
                E::What,
                E::RunId,
                E::EventId,
                E::Process,
                E::Held,
                E::BeganAt,
            ])
            .values_panic([
                id.into(),
                what.into(),
                run_id.map(RunId::as_uuid).into(),
                event_id.map(EventId::as_uuid).into(),
                self.process.clone().into(),
                Expr::exists(held),
                now(&self.db),
            ])
            .to_owned();
        self.db.execute(&insert).await?;
        Ok(id)
    }
}

fn worker_id() -> (job_worker::Entity, job_worker::Column) {
    (job_worker::Entity, job_worker::Column::Id)
}

/// The database's clock, as the runtime reads it.
pub(crate) fn now(db: &DatabaseConnection) -> Expr {
    Expr::cust(match db.get_database_backend() {
        DbBackend::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')",
        DbBackend::MySql => "UTC_TIMESTAMP(6)",
        _ => "statement_timestamp()",
    })
}
