//! Whom events and runs belong to, and which of them a handle sees.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DbErr};

/// The tenant as a publish or a start names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum TenantChoice {
    /// It names none.
    #[default]
    Unset,
    /// It says that there is none.
    Nobody,
    One(String),
}

impl TenantChoice {
    /// The choice where it is made, otherwise the tenant of what asks for it, which may be none.
    pub(crate) fn or_inherited(self, tenant: Option<&str>) -> Self {
        match (self, tenant) {
            (Self::Unset, Some(tenant)) => Self::One(tenant.to_owned()),
            (Self::Unset, None) => Self::Nobody,
            (choice, _) => choice,
        }
    }
}

impl<T: Into<String>> From<Option<T>> for TenantChoice {
    fn from(tenant: Option<T>) -> Self {
        match tenant.map(Into::into) {
            Some(tenant) if !is_blank(&tenant) => Self::One(tenant),
            _ => Self::Unset,
        }
    }
}

/// Whether a text names no tenant: a header that was sent empty must not pass for one.
fn is_blank(tenant: &str) -> bool {
    tenant.trim().is_empty()
}

/// Whose rows a handle writes and sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TenantScope {
    /// Nobody's in particular: where multi-tenancy is on, every call has to say.
    Open {
        enforced: bool,
    },
    /// Everybody's; what is written has to say whose it is, where multi-tenancy is on.
    All {
        enforced: bool,
    },
    /// Those that belong to no tenant.
    Nobody,
    One(String),
}

/// Multi-tenancy is on, and neither the call nor its handle names a tenant; or the name is blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MissingTenant;

impl From<MissingTenant> for DbErr {
    fn from(_: MissingTenant) -> Self {
        Self::Custom(
            "no tenant was named, or a blank one: ask for one tenant with `.for_tenant(..)`, for what belongs to none with \
             `.for_no_tenant()`, or for everything with `.all_tenants()`"
                .to_owned(),
        )
    }
}

/// A handle for one tenant, or for none, was asked for something that is every tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OneTenantsHandle;

impl From<OneTenantsHandle> for DbErr {
    fn from(_: OneTenantsHandle) -> Self {
        Self::Custom(
            "pools, lanes, schedules, registered jobs and subscriptions, and pruning are the whole fleet's, and this \
             handle is for one tenant or for none: ask `.all_tenants()`"
                .to_owned(),
        )
    }
}

impl TenantScope {
    /// That of a handle that nobody has narrowed yet.
    pub(crate) const fn open(multi_tenant: bool) -> Self {
        Self::Open {
            enforced: multi_tenant,
        }
    }

    /// That of a run's own handles: they write and see what the run's tenant does.
    pub(crate) fn inherited(multi_tenant: bool, tenant: Option<&str>) -> Self {
        match tenant {
            Some(tenant) => Self::One(tenant.to_owned()),
            None if multi_tenant => Self::Nobody,
            None => Self::open(false),
        }
    }

    /// That of a handle for everything.
    pub(crate) const fn all(multi_tenant: bool) -> Self {
        Self::All {
            enforced: multi_tenant,
        }
    }

    /// The tenant of what is written.
    pub(crate) fn tenant_of(&self, choice: TenantChoice) -> Result<Option<String>, MissingTenant> {
        match (choice, self) {
            (TenantChoice::One(tenant), _) => Ok(Some(tenant)),
            (TenantChoice::Unset, Self::One(tenant)) if is_blank(tenant) => Err(MissingTenant),
            (TenantChoice::Unset, Self::One(tenant)) => Ok(Some(tenant.clone())),
            (TenantChoice::Unset, Self::Open { enforced: true } | Self::All { enforced: true }) => {
                Err(MissingTenant)
            }
            (TenantChoice::Nobody | TenantChoice::Unset, _) => Ok(None),
        }
    }

    /// What holds for the rows that may be seen; none where all may be.
    pub(crate) fn condition(
        &self,
        column: impl ColumnTrait,
    ) -> Result<Option<Expr>, MissingTenant> {
        match self {
            Self::Open { enforced: true } => Err(MissingTenant),
            Self::Open { enforced: false } | Self::All { .. } => Ok(None),
            Self::Nobody => Ok(Some(column.is_null())),
            Self::One(tenant) if is_blank(tenant) => Err(MissingTenant),
            Self::One(tenant) => Ok(Some(column.eq(tenant))),
        }
    }

    /// As [`condition`](Self::condition), for a query that may name a tenant itself.
    pub(crate) fn condition_with(
        &self,
        column: impl ColumnTrait,
        tenant: Option<&str>,
    ) -> Result<Option<Expr>, MissingTenant> {
        let Some(tenant) = tenant else {
            return self.condition(column);
        };
        if is_blank(tenant) {
            return Err(MissingTenant);
        }
        let named = column.eq(tenant);
        Ok(Some(match self {
            Self::Open { .. } => named,
            narrower => match narrower.condition(column)? {
                Some(seen) => seen.and(named),
                None => named,
            },
        }))
    }

    /// Refuses what is about the whole fleet to a handle for one tenant or for none.
    pub(crate) fn fleet_wide(&self) -> Result<(), OneTenantsHandle> {
        match self {
            Self::Open { .. } | Self::All { .. } => Ok(()),
            Self::Nobody | Self::One(_) => Err(OneTenantsHandle),
        }
    }

    /// Whether a row of this tenant may be seen.
    pub(crate) fn sees(&self, tenant: Option<&str>) -> Result<bool, MissingTenant> {
        match self {
            Self::Open { enforced: true } => Err(MissingTenant),
            Self::Open { enforced: false } | Self::All { .. } => Ok(true),
            Self::Nobody => Ok(tenant.is_none()),
            Self::One(own) if is_blank(own) => Err(MissingTenant),
            Self::One(own) => Ok(tenant == Some(own.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_named_by_the_call_the_handle_or_the_cause() {
        let one = |name: &str| TenantChoice::One(name.to_owned());
        let open = TenantScope::open(true);
        assert_eq!(open.tenant_of(TenantChoice::Unset), Err(MissingTenant));
        assert_eq!(
            TenantScope::all(true).tenant_of(TenantChoice::Unset),
            Err(MissingTenant)
        );
        assert_eq!(open.tenant_of(TenantChoice::Nobody), Ok(None));
        assert_eq!(open.tenant_of(one("a")), Ok(Some("a".to_owned())));
        let of_b = TenantScope::One("b".to_owned());
        assert_eq!(
            of_b.tenant_of(TenantChoice::Unset),
            Ok(Some("b".to_owned()))
        );
        assert_eq!(of_b.tenant_of(one("a")), Ok(Some("a".to_owned())));
        assert_eq!(
            TenantScope::open(false).tenant_of(TenantChoice::Unset),
            Ok(None)
        );
        assert_eq!(TenantChoice::Unset.or_inherited(Some("c")), one("c"));
        assert_eq!(TenantChoice::Unset.or_inherited(None), TenantChoice::Nobody);
        assert_eq!(
            TenantChoice::Nobody.or_inherited(Some("c")),
            TenantChoice::Nobody
        );
    }

    #[test]
    fn a_handle_sees_its_own_tenants_rows() {
        assert_eq!(TenantScope::open(true).sees(None), Err(MissingTenant));
        assert_eq!(TenantScope::open(false).sees(Some("a")), Ok(true));
        assert_eq!(TenantScope::all(true).sees(Some("a")), Ok(true));
        let of_a = TenantScope::One("a".to_owned());
        assert_eq!(of_a.sees(Some("a")), Ok(true));
        assert_eq!(of_a.sees(Some("b")), Ok(false));
        assert_eq!(of_a.sees(None), Ok(false));
        assert_eq!(TenantScope::Nobody.sees(None), Ok(true));
        assert_eq!(TenantScope::Nobody.sees(Some("a")), Ok(false));
    }
}
