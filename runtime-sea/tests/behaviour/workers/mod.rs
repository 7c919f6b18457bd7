//! Shutting down, dying, and being cut off.

mod cut_off;
mod deliveries;
mod handlers;
mod refused;
mod rows;
mod shutdown;
mod take_over;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::TestBed;
use runtime_sea::{JobContext, JobHandler, JobResult, RunId, Worker};
use tokio::sync::Semaphore;

/// Runs until it is let go.
#[derive(Clone)]
struct Wait {
    began: Arc<AtomicU32>,
    dropped: Arc<AtomicU32>,
    go: Arc<Semaphore>,
}

impl Wait {
    fn new() -> Self {
        Self {
            began: Arc::default(),
            dropped: Arc::default(),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    fn began(&self) -> u32 {
        self.began.load(Ordering::SeqCst)
    }
}

struct CountDrop(Arc<AtomicU32>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl JobHandler for Wait {
    const TYPE: &'static str = "wait";
    type Input = ();
    type Output = ();

    async fn run(&self, _ctx: &JobContext, (): ()) -> JobResult<()> {
        self.began.fetch_add(1, Ordering::SeqCst);
        let _count = CountDrop(self.dropped.clone());
        self.go.acquire().await?.forget();
        Ok(())
    }
}

const LEASE: Duration = Duration::from_millis(1500);

/// One that its worker keeps on a busy machine, too.
const KEPT: Duration = Duration::from_secs(4);

fn builder(runtime: &runtime_sea::Runtime, wait: &Wait) -> runtime_sea::WorkerBuilder {
    runtime
        .worker()
        .job(wait.clone())
        .shutdown_grace(Duration::from_millis(200))
        .concurrency(2)
}

fn worker(runtime: &runtime_sea::Runtime, wait: &Wait) -> Worker {
    builder(runtime, wait).build().unwrap()
}

/// Notices a dead worker soon.
fn watchful(runtime: &runtime_sea::Runtime, wait: &Wait) -> Worker {
    builder(runtime, wait).lease(LEASE).build().unwrap()
}

async fn start(bed: &TestBed) -> RunId {
    bed.runtime
        .jobs()
        .start::<Wait>(bed.runtime.db(), ())
        .await
        .unwrap()
        .run_id
}
