//! What a single start asks for.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::tenancy::{TenantChoice, TenantScope};

use super::{ParentClose, StartError};

/// What a single start asks for beyond the policy.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct StartOptions {
    pub(super) run_at: Option<DateTime<Utc>>,
    pub(super) delay: Option<Duration>,
    pub(super) priority: i16,
    pub(super) tags: Vec<String>,
    tenant: TenantChoice,
    pub(super) traceparent: Option<String>,
    pub(super) parent_close: ParentClose,
}

impl StartOptions {
    /// Nothing beyond the policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not before this moment of the database's clock.
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Not before so much time has passed. Goes before [`run_at`](Self::run_at).
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Higher goes first within the pool; 0 unless set.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// What becomes of the run when the run that spawns it is cancelled or fails; [`ParentClose::Terminate`] unless set.
    /// Only children have a parent.
    pub fn parent_close(mut self, policy: ParentClose) -> Self {
        self.parent_close = policy;
        self
    }

    /// Adds a free label.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The options with this tenant, which may be none, where they do not say.
    pub(crate) fn tenant_or(mut self, tenant: Option<&str>) -> Self {
        self.tenant = self.tenant.or_inherited(tenant);
        self
    }

    /// The W3C `traceparent` of the trace that the run belongs to, where it is not the [current](crate::trace) one. One
    /// that is not well-formed is passed over.
    pub fn traceparent(mut self, traceparent: Option<impl Into<String>>) -> Self {
        self.traceparent = traceparent.map(Into::into);
        self
    }

    /// The tenant that the run belongs to; `None` and a blank name none.
    pub fn tenant(mut self, tenant: Option<impl Into<String>>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Says that the run belongs to no tenant, where multi-tenancy is on and it has to be said.
    pub fn no_tenant(mut self) -> Self {
        self.tenant = TenantChoice::Nobody;
        self
    }

    /// The options with the tenant that a start under this scope has.
    pub(crate) fn in_scope(
        mut self,
        scope: &TenantScope,
        job_type: &str,
    ) -> Result<Self, StartError> {
        let tenant = scope
            .tenant_of(self.tenant)
            .map_err(|_| StartError::MissingTenant {
                job_type: job_type.to_owned(),
            })?;
        self.tenant = TenantChoice::Unset.or_inherited(tenant.as_deref());
        Ok(self)
    }

    pub(super) fn tenant_id(&self) -> Option<&str> {
        match &self.tenant {
            TenantChoice::One(tenant) => Some(tenant),
            TenantChoice::Unset | TenantChoice::Nobody => None,
        }
    }
}
