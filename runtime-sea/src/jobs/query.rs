//! Reading runs.

use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::entities::{job_run, job_step};
use crate::database::{read_all, read_one};
use crate::events::entities::domain_event;
use crate::tenancy::TenantScope;

use super::{CausingEvent, RunDetails, RunFilter, RunId, RunRecord, StepRecord};

/// The newest runs that the filter lets through.
pub(crate) async fn list(
    db: &DatabaseConnection,
    scope: &TenantScope,
    filter: &RunFilter,
) -> Result<Vec<RunRecord>, DbErr> {
    use job_run::Column as C;

    let mut select = job_run::Entity::find();
    if let Some(status) = filter.status {
        select = select.filter(C::Status.eq(status.as_str()));
    }
    if let Some(job_type) = &filter.job_type {
        select = select.filter(C::JobType.eq(job_type));
    }
    if let Some(pool) = &filter.pool {
        select = select.filter(C::Pool.eq(pool));
    }
    if let Some((kind, id)) = &filter.scope {
        select = select
            .filter(C::ScopeType.eq(kind))
            .filter(C::ScopeId.eq(id));
    }
    if let Some(parent) = filter.parent {
        select = select.filter(C::ParentRunId.eq(parent.0));
    }
    if let Some(event_id) = filter.event_id {
        select = select.filter(C::EventId.eq(event_id));
    }
    if let Some(seen) = scope.condition_with(C::TenantId, filter.tenant_id.as_deref())? {
        select = select.filter(seen);
    }
    let select = select
        .order_by_desc(C::CreatedAt)
        .order_by_desc(C::Id)
        .limit(filter.limit);
    let rows = read_all(db, &select).await?;
    Ok(rows.into_iter().map(RunRecord::from).collect())
}

/// The tenant of a run, where there is such a run.
pub(crate) async fn tenant_of(
    db: &DatabaseConnection,
    id: RunId,
) -> Result<Option<Option<String>>, DbErr> {
    job_run::Entity::find_by_id(id.0)
        .select_only()
        .column(job_run::Column::TenantId)
        .into_tuple::<Option<String>>()
        .one(db)
        .await
}

/// A run with its steps, children and cause, as far as they may be seen: a child and an event may be another tenant's.
pub(crate) async fn show(
    db: &DatabaseConnection,
    scope: &TenantScope,
    id: RunId,
) -> Result<Option<RunDetails>, DbErr> {
    let select = job_run::Entity::find_by_id(id.0);
    let select = select.filter(seen(scope, job_run::Column::TenantId)?);
    let Some(run) = read_one(db, select).await? else {
        return Ok(None);
    };
    let steps = job_step::Entity::find()
        .filter(job_step::Column::RunId.eq(id.0))
        .order_by_asc(job_step::Column::Position)
        .order_by_asc(job_step::Column::Name);
    let steps = read_all(db, &steps).await?;
    let children = job_run::Entity::find()
        .filter(job_run::Column::ParentRunId.eq(id.0))
        .filter(seen(scope, job_run::Column::TenantId)?)
        .order_by_asc(job_run::Column::CreatedAt)
        .order_by_asc(job_run::Column::Id);
    let children = read_all(db, &children).await?;
    let caused_by_event = match run.event_id {
        None => None,
        Some(event_id) => {
            let event = domain_event::Entity::find()
                .filter(domain_event::Column::Id.eq(event_id))
                .filter(seen(scope, domain_event::Column::TenantId)?);
            read_one(db, event).await?.map(|event| CausingEvent {
                id: event_id,
                event_type: event.event_type,
                trigger_id: run.trigger_id.clone(),
                occurred_at: event.occurred_at,
            })
        }
    };
    Ok(Some(RunDetails {
        run: run.into(),
        steps: steps.into_iter().map(StepRecord::from).collect(),
        children: children.into_iter().map(RunRecord::from).collect(),
        caused_by_event,
    }))
}

fn seen(scope: &TenantScope, tenant: impl ColumnTrait) -> Result<Condition, DbErr> {
    Ok(Condition::all().add_option(scope.condition(tenant)?))
}
