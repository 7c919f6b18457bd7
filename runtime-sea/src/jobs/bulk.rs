//! Starting many runs at once.

use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use crate::database::{Connection, News, dialect, in_statements};
use crate::failpoint;

use super::entities::job_run;
use super::prepared::PreparedRun;
use super::{JobHandler, Jobs, StartError, StartOptions, Started};

/// How many parameters a row may have beyond one per column.
const SPARE: usize = 8;

impl Jobs {
    /// Starts a run for each input, in their order: in one statement for as many as the database takes, which is some
    /// hundreds, or fewer where their inputs are large. Runs of a job that deduplicates or rejects are inserted one by
    /// one, because each may be refused on its own; those of other jobs never are.
    ///
    /// # Errors
    /// As [`start`](Self::start), for the first input that is refused; then none is started.
    pub async fn start_many<J: JobHandler>(
        &self,
        conn: &impl Connection,
        inputs: impl IntoIterator<Item = J::Input>,
    ) -> Result<Vec<Started>, StartError> {
        self.start_many_with::<J>(conn, inputs, StartOptions::new())
            .await
    }

    /// As [`start_many`](Self::start_many), with the same options for all of them.
    ///
    /// # Errors
    /// As [`start_many`](Self::start_many).
    pub async fn start_many_with<J: JobHandler>(
        &self,
        conn: &impl Connection,
        inputs: impl IntoIterator<Item = J::Input>,
        options: StartOptions,
    ) -> Result<Vec<Started>, StartError> {
        let options = options.in_scope(&self.scope, J::TYPE)?;
        let traces = self.runtime.traces();
        let runs = inputs
            .into_iter()
            .map(|input| Ok(PreparedRun::new::<J>(&input, options.clone())?.traced(traces)))
            .collect::<Result<Vec<_>, StartError>>()?;
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        failpoint::before("jobs.start");
        let tx = conn.begin_within().await?;
        let started = insert_all(&tx, &runs.iter().collect::<Vec<_>>())
            .await?
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        tx.commit().await?;
        failpoint::after("jobs.start");
        self.runtime.wake_up().announce(News::RUNS);
        Ok(started)
    }
}

/// Inserts runs of any jobs, as few statements as possible; each has its own outcome, in their order. The caller is in a
/// transaction, and announces the work.
pub(crate) async fn insert_all(
    tx: &DatabaseTransaction,
    runs: &[&PreparedRun],
) -> Result<Vec<Result<Started, StartError>>, DbErr> {
    let dialect = dialect(tx)?;
    let mut columns = Vec::new();
    let rows = runs
        .iter()
        .filter(|run| run.is_never_refused())
        .map(|run| {
            let (names, values): (Vec<_>, Vec<_>) = run.row(dialect).into_iter().unzip();
            columns = names;
            values
        })
        .collect();
    for chunk in in_statements(dialect, rows, SPARE, Vec::as_slice) {
        let mut insert = Query::insert();
        insert
            .into_table(job_run::Entity)
            .columns(columns.iter().copied());
        for values in chunk {
            insert.values_panic(values);
        }
        tx.execute(&insert).await?;
    }
    let mut started = Vec::with_capacity(runs.len());
    for run in runs {
        if run.is_never_refused() {
            started.push(Ok(Started {
                run_id: run.id,
                deduplicated: false,
            }));
            continue;
        }
        match run.insert(tx).await {
            Err(StartError::Database(error)) => return Err(error),
            outcome => started.push(outcome),
        }
    }
    Ok(started)
}
