//! Where a worker's pulse runs: on a thread and on connections of its own, so that neither a handler that blocks its
//! runtime nor one that holds every connection can make a live worker look dead.

use tokio::sync::oneshot;

use crate::clock;
use crate::database::dialect;

use super::WorkerError;
use super::pulse::{self, Life};

/// How many connections the pulse has to itself: one per task that must not wait for another, the listener included.
const CONNECTIONS: u32 = 10;

/// Tells how the pulse ended.
pub(super) type Ended = oneshot::Receiver<Result<(), WorkerError>>;

/// Starts the pulse.
pub(super) fn start(life: Life) -> Result<Ended, WorkerError> {
    let (ended, receiver) = oneshot::channel();
    let db = life.runtime.db().clone();
    let dialect = dialect(&db)?;
    // Nobody listens to `ended` any more where the worker's future was dropped.
    if dialect.lives_in_its_connection(&db) {
        // The one connection belongs to the caller's Tokio runtime: another one that ends would close it.
        tokio::spawn(async move {
            pulse::live(life, &db).await;
            let _ = ended.send(Ok(()));
        });
        return Ok(receiver);
    }
    let clock = clock::current();
    std::thread::Builder::new()
        .name("runtime-sea".to_owned())
        .spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let result = tokio.map_err(WorkerError::Thread).map(|tokio| {
                tokio.block_on(async {
                    if let Some(clock) = clock {
                        clock.hold_here();
                    }
                    let own = dialect.dedicated(&db, CONNECTIONS);
                    pulse::live(life, &own).await;
                });
            });
            let _ = ended.send(result);
        })
        .map_err(WorkerError::Thread)?;
    Ok(receiver)
}
