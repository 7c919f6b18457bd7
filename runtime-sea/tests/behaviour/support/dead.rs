//! What a test waits for before it says that somebody was not taken for dead.

use runtime_sea::jobs::entities::{job_run, job_worker};
use runtime_sea::{JobContext, JobHandler, JobResult, Runtime};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::until;

/// A run that no worker executes.
struct Lost;

impl JobHandler for Lost {
    const TYPE: &'static str = "lost";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        Ok(())
    }
}

/// Waits until the dead have been looked for at a time at which every worker that is there now would be one of them, had
/// it not sent a heartbeat since.
pub(crate) async fn until_the_dead_are_looked_for(runtime: &Runtime) {
    until_every_lease_is_renewed(runtime).await;
    until_a_lost_run_is_taken_over(runtime).await;
}

// After the end that it has now.
async fn until_every_lease_is_renewed(runtime: &Runtime) {
    let workers = async || {
        let workers = job_worker::Entity::find().all(runtime.db()).await;
        workers.unwrap()
    };
    let before = workers().await;
    assert!(!before.is_empty(), "no worker is there");
    until("every worker has renewed its lease", async || {
        let now = workers().await;
        before.iter().all(|worker| {
            now.iter()
                .any(|it| it.id == worker.id && it.heartbeat_at > worker.expires_at)
        })
    })
    .await;
}

// What looks for the runs of dead workers finds all that there are.
async fn until_a_lost_run_is_taken_over(runtime: &Runtime) {
    use job_run::Column as C;

    let db = runtime.db();
    let started = runtime.jobs().start::<Lost>(db, ()).await.unwrap();
    job_run::Entity::update_many()
        .col_expr(C::Status, Expr::val("running"))
        .col_expr(C::WorkerId, Expr::val(Uuid::now_v7()))
        .col_expr(C::ClaimedAt, Expr::col(C::CreatedAt))
        .filter(C::Id.eq(started.run_id.0))
        .exec(db)
        .await
        .unwrap();
    until("the lost run is taken over", async || {
        let lost = runtime.jobs().show(started.run_id).await.unwrap();
        lost.unwrap().run.recoveries == 1
    })
    .await;
}
