//! What the next migration would contain.

use serde::Serialize;

use crate::generate::Plan;
use crate::schema::words;

/// What the next migration would contain.
#[derive(Debug, Serialize)]
pub struct Migration {
    /// In the order in which they are made.
    pub changes: Vec<ChangeRow>,
}

/// One change of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeRow {
    /// The table, by its name afterwards.
    pub table: String,
    /// What changes, in words.
    pub what: String,
    /// `safe`, `narrowing`, `destructive` or `impossible`.
    pub risk: &'static str,
    /// What it may cost, or what it needs.
    pub costs: Option<String>,
}

/// What the next migration would contain.
pub fn migration(plan: &Plan) -> Migration {
    let rows = words(&plan.pending).into_iter().map(|(what, change)| {
        let risk = change.risk();
        ChangeRow {
            table: change.table().to_owned(),
            what,
            risk: risk.name(),
            costs: risk.costs().map(str::to_owned),
        }
    });
    Migration {
        changes: rows.collect(),
    }
}
