//! Warning of transactions that somebody leaves open.

use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DbErr};

use crate::database::{OpenTransaction, dialect};
use crate::metrics;

/// How often to look, if what is warned of is not shorter.
const OFTEN_ENOUGH: Duration = Duration::from_secs(60);

/// What was found last.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    looked: Option<Instant>,
    /// The oldest one, and at which age there will be something to say about it again.
    told: Option<(OpenTransaction, Duration)>,
}

impl Transactions {
    /// Tells of a transaction that has been open for `patience`, and again each time that its age has doubled.
    pub(super) async fn look(
        &mut self,
        db: &DatabaseConnection,
        patience: Duration,
    ) -> Result<(), DbErr> {
        let pause = OFTEN_ENOUGH.min(patience / 2);
        if self.looked.is_some_and(|at| at.elapsed() < pause) {
            return Ok(());
        }
        let oldest = dialect(db)?.oldest_transaction(db).await?;
        self.looked = Some(Instant::now());
        metrics::oldest_transaction(oldest.as_ref().map(|it| it.age).unwrap_or_default());
        let Some(oldest) = oldest else {
            self.told = None;
            return Ok(());
        };
        let next = match &self.told {
            Some((told, next)) if told.is_the_same(&oldest) => *next,
            _ => patience,
        };
        if oldest.age < next {
            self.told = Some((oldest, next));
            return Ok(());
        }
        tracing::warn!(
            pid = oldest.pid,
            application = oldest.application,
            state = oldest.state,
            seconds = oldest.age.as_secs(),
            end_it_with = oldest.ended_by,
            "a transaction that stays open keeps the database from clearing away dead rows, and claims become slower; let its program commit sooner, or end it"
        );
        let again = oldest.age.saturating_mul(2);
        self.told = Some((oldest, again));
        Ok(())
    }
}
