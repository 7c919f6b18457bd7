//! Who gets events, as every process can read it.

use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use super::dispatch::Consumers;
use crate::database::{self, rows_per_statement};
use crate::events::entities::event_subscription::{self, Column as S};

/// Registers the consumers that a process hosts, or marks them as still hosted.
pub(super) async fn register(db: &DatabaseConnection, consumers: &Consumers) -> Result<(), DbErr> {
    let dialect = database::dialect(db)?;
    let mut hosted: Vec<_> = consumers.iter().collect();
    // One order for every process, so that two that start at once do not deadlock.
    hosted.sort_unstable();
    for chunk in hosted.chunks(rows_per_statement(dialect, 4)) {
        let mut insert = Query::insert();
        insert
            .into_table(event_subscription::Entity)
            .columns([S::Kind, S::Name, S::EventType]);
        for (kind, name, event_type) in chunk {
            insert.values_panic([kind.as_str().into(), (*name).into(), (*event_type).into()]);
        }
        insert.on_conflict(
            OnConflict::columns([S::Kind, S::Name])
                .update_column(S::EventType)
                .value(S::SeenAt, dialect.now())
                .to_owned(),
        );
        db.execute(&insert).await?;
    }
    Ok(())
}
