//! Who gets events, as every process can read it.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr};

use super::dispatch::Consumers;
use crate::database::{self, rows_per_statement};
use crate::events::entities::event_subscription::{self, Column as S};

/// Registers the consumers that a process hosts, also those that were retired: here is a program that has them.
pub(super) async fn register(db: &DatabaseConnection, consumers: &Consumers) -> Result<(), DbErr> {
    let dialect = database::dialect(db)?;
    let mut hosted: Vec<_> = consumers.iter().collect();
    // One order for every process, so that two that start at once do not deadlock.
    hosted.sort_unstable();
    for chunk in hosted.chunks(rows_per_statement(dialect, 3)) {
        let mut insert = Query::insert();
        insert
            .into_table(event_subscription::Entity)
            .columns([S::Kind, S::Name, S::EventType]);
        for (kind, name, event_type) in chunk {
            insert.values_panic([kind.as_str().into(), (*name).into(), (*event_type).into()]);
        }
        insert.on_conflict(
            OnConflict::columns([S::Kind, S::Name, S::EventType])
                .value(S::SeenAt, dialect.real_now())
                .value(S::RetiredAt, Expr::null())
                .to_owned(),
        );
        db.execute(&insert).await?;
    }
    Ok(())
}

/// Marks the consumers that a process hosts as still hosted. A retired one stays retired.
pub(super) async fn renew(db: &DatabaseConnection, consumers: &Consumers) -> Result<(), DbErr> {
    let dialect = database::dialect(db)?;
    let mut hosted: Vec<_> = consumers
        .iter()
        .map(|(kind, name, event_type)| (kind.as_str(), name, event_type))
        .collect();
    hosted.sort_unstable();
    for chunk in hosted.chunks(rows_per_statement(dialect, 3)) {
        let update = Query::update()
            .table(event_subscription::Entity)
            .value(S::SeenAt, dialect.real_now())
            .and_where(
                Expr::tuple([S::Kind, S::Name, S::EventType].map(Expr::col))
                    .in_tuples(chunk.iter().copied()),
            )
            .and_where(S::RetiredAt.is_null())
            .to_owned();
        db.execute(&update).await?;
    }
    Ok(())
}
