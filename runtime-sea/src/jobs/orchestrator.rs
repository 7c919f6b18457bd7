//! The handle that application code holds.

use sea_orm::DbErr;

use crate::Runtime;
use crate::database::{Connection, News};
use crate::failpoint;
use crate::tenancy::TenantScope;

use super::entities::job_run;
use super::prepared::PreparedRun;

use super::{
    JobHandler, RunDetails, RunFilter, RunId, RunRecord, StartError, StartOptions, Started, query,
};

/// Starts, cancels and queries runs. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Jobs {
    pub(super) runtime: Runtime,
    pub(super) scope: TenantScope,
}

impl Jobs {
    pub(crate) fn new(runtime: Runtime) -> Self {
        let scope = TenantScope::open(runtime.is_multi_tenant());
        Self { runtime, scope }
    }

    pub(crate) fn with_scope(runtime: Runtime, scope: TenantScope) -> Self {
        Self { runtime, scope }
    }

    /// A handle that starts runs for this tenant, where the options do not say otherwise, and sees its runs alone.
    ///
    /// What is the whole fleet's, such as its pools and lanes, is not for such a handle: it asks
    /// [`all_tenants`](Self::all_tenants).
    #[must_use]
    pub fn for_tenant(&self, tenant: impl Into<String>) -> Self {
        Self::with_scope(self.runtime.clone(), TenantScope::One(tenant.into()))
    }

    /// A handle that starts runs that belong to no tenant, and sees those alone.
    #[must_use]
    pub fn for_no_tenant(&self) -> Self {
        Self::with_scope(self.runtime.clone(), TenantScope::Nobody)
    }

    /// A handle that sees every tenant's runs; for operators.
    #[must_use]
    pub fn all_tenants(&self) -> Self {
        let scope = TenantScope::all(self.runtime.is_multi_tenant());
        Self::with_scope(self.runtime.clone(), scope)
    }

    /// Starts a run on a transaction, with which it commits or vanishes, or on a connection.
    ///
    /// Where this future is dropped before its end, drop the transaction too: a savepoint that was about to begin takes
    /// all of it back.
    ///
    /// # Errors
    /// [`StartError::Rejected`] if the policy says so, [`StartError::Input`] where the input cannot be stored, and what
    /// the database refuses.
    pub async fn start<J: JobHandler>(
        &self,
        conn: &impl Connection,
        input: J::Input,
    ) -> Result<Started, StartError> {
        self.start_with::<J>(conn, input, StartOptions::new()).await
    }

    /// As [`start`](Self::start), with a time, a priority, labels or a tenant.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with<J: JobHandler>(
        &self,
        conn: &impl Connection,
        input: J::Input,
        options: StartOptions,
    ) -> Result<Started, StartError> {
        let options = options.in_scope(&self.scope, J::TYPE)?;
        let run = PreparedRun::new::<J>(&input, options)?.traced(self.runtime.traces());
        failpoint::before("jobs.start");
        let started = run.insert(conn).await?;
        failpoint::after("jobs.start");
        self.runtime.wake_up().announce(News::RUNS);
        Ok(started)
    }

    /// The newest runs that the filter lets through.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list(&self, filter: RunFilter) -> Result<Vec<RunRecord>, DbErr> {
        query::list(self.runtime.db(), &self.scope, &filter).await
    }

    /// A run with its steps, children and cause; `None` if there is no such run.
    ///
    /// # Errors
    /// The database's own.
    pub async fn show(&self, id: RunId) -> Result<Option<RunDetails>, DbErr> {
        query::show(self.runtime.db(), &self.scope, id).await
    }

    /// Whether this handle may know of the run; one that is not there may be asked for by anybody. A run never changes
    /// its tenant.
    pub(super) async fn sees(&self, id: RunId) -> Result<bool, DbErr> {
        if self.scope.condition(job_run::Column::TenantId)?.is_none() {
            return Ok(true);
        }
        let tenant = query::tenant_of(self.runtime.db(), id).await?;
        match tenant {
            Some(tenant) => Ok(self.scope.sees(tenant.as_deref())?),
            None => Ok(true),
        }
    }
}
