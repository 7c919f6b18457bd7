//! Which runs a worker can execute.

use std::collections::BTreeMap;

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, Condition};

use super::Registration;
use super::entities::job_run;

/// The types that a worker hosts, by the version of its code. A run of a later version is left to newer workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hosted {
    by_version: BTreeMap<i32, Vec<&'static str>>,
}

impl Hosted {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_version.is_empty()
    }

    /// Holds for the runs.
    pub(crate) fn condition(&self) -> Condition {
        use job_run::Column as C;

        let mut any = Condition::any();
        // No types, no runs: an empty disjunction would hold for all.
        if self.is_empty() {
            any = any.add(C::JobType.is_in(Vec::<String>::new()));
        }
        for (version, types) in &self.by_version {
            let up_to = C::Version.lte(*version);
            any = any.add(C::JobType.is_in(types.iter().copied()).and(up_to));
        }
        any
    }
}

impl<'a> FromIterator<&'a Registration> for Hosted {
    fn from_iter<I: IntoIterator<Item = &'a Registration>>(jobs: I) -> Self {
        jobs.into_iter()
            .map(|job| (job.job_type, job.version))
            .collect()
    }
}

impl FromIterator<(&'static str, i32)> for Hosted {
    fn from_iter<I: IntoIterator<Item = (&'static str, i32)>>(types: I) -> Self {
        let mut by_version: BTreeMap<i32, Vec<&'static str>> = BTreeMap::new();
        for (job_type, version) in types {
            by_version.entry(version).or_default().push(job_type);
        }
        Self { by_version }
    }
}
