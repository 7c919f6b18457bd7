//! The lanes of the drain, each with its own concurrency: one that is slow stalls no other.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ColumnTrait, EntityName};

use crate::events::entities::domain_event::Column as E;
use crate::events::{EventPool, EventRecord};
use crate::jobs::entities::job_pool;

/// A lane of the drain. Audit events, which have no pool, travel in one of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lane {
    Pool(EventPool),
    Audit,
}

impl Lane {
    pub(crate) const ALL: [Self; 4] = [
        Self::Pool(EventPool::Inbound),
        Self::Pool(EventPool::Change),
        Self::Pool(EventPool::Outbound),
        Self::Audit,
    ];

    /// The lane that an event travels in.
    pub(crate) fn of(event: &EventRecord) -> Self {
        let pool = event.pool.as_deref().and_then(EventPool::from_name);
        pool.map_or(Self::Audit, Self::Pool)
    }

    /// The name that people use, and that deliveries and `job_pool` have.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pool(pool) => pool.as_str(),
            Self::Audit => EventPool::AUDIT_LANE,
        }
    }

    /// The lane of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether an event travels in it.
    pub(super) fn holds(self, row: &Alias) -> SimpleExpr {
        let pool = || Expr::col((row.clone(), E::Pool));
        match self {
            // True or false and never NULL, because it is negated too.
            Self::Pool(of_lane) => pool().is_not_null().and(pool().eq(of_lane.as_str())),
            Self::Audit => pool().is_null(),
        }
    }

    /// Whether anything may be claimed from it at all.
    pub(super) fn is_open(self) -> SimpleExpr {
        let paused = Query::select()
            .expr(Expr::val(1))
            .from(job_pool::Entity.table_ref())
            .and_where(job_pool::Column::Name.eq(self.name()))
            .and_where(job_pool::Column::Paused.eq(true))
            .to_owned();
        Expr::exists(paused).not()
    }
}
