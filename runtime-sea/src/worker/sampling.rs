//! Sampling the queues for the gauges.

use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio::time::sleep;

use crate::Runtime;
use crate::database::answered;
use crate::metrics::Sampler;

/// Sets the gauges now and then; never ends.
pub(super) async fn sampling(
    runtime: &Runtime,
    db: &DatabaseConnection,
    sampler: &Sampler,
    every: Option<Duration>,
) {
    let Some(every) = every else {
        return std::future::pending().await;
    };
    loop {
        if let Err(error) = answered(sampler.sample(db, runtime.clock())).await {
            tracing::debug!(%error, "the queues could not be sampled");
        }
        sleep(every.mul_f64(rand::random_range(0.9..1.1))).await;
    }
}
