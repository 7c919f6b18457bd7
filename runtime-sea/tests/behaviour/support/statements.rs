//! What is said to the database.

use std::sync::{Arc, Mutex};

use runtime_sea::Runtime;
use sea_orm::Statement;

/// The statements of one runtime.
#[derive(Clone, Default)]
pub(crate) struct Statements(Arc<Mutex<Vec<Statement>>>);

impl Statements {
    /// A runtime on the same connections, and what it says from now on.
    pub(crate) fn of(runtime: &Runtime) -> (Runtime, Self) {
        let said = Self::default();
        let mut db = runtime.db().clone();
        let keep = said.clone();
        db.set_metric_callback(move |info| keep.0.lock().unwrap().push(info.statement.clone()));
        (Runtime::new(db), said)
    }

    /// What was said since this was asked last.
    pub(crate) fn take(&self) -> Vec<Statement> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Those of it that begin so.
    pub(crate) fn take_those(&self, begin: &str) -> Vec<Statement> {
        let mut statements = self.take();
        statements.retain(|it| it.sql.starts_with(begin));
        statements
    }
}
