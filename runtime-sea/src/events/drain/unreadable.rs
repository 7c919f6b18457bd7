//! The end of events and deliveries whose rows cannot be read, because somebody has edited them by hand. Whoever reads
//! one fails at it, today and later, and it must not take the others of its claim along.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult};
use uuid::Uuid;

use super::settle::{end_events, lock_events, postpone_event};
use crate::database::{self, retrying};
use crate::events::entities::{domain_event, event_delivery};
use crate::failpoint;

use domain_event::Column as E;
use event_delivery::Column as D;

/// Gives up a claimed event.
pub(super) async fn give_up_event(
    db: &DatabaseConnection,
    row: &QueryResult,
    token: Uuid,
    why: &DbErr,
) -> Result<(), DbErr> {
    let seq: i64 = row.try_get("", "seq")?;
    tracing::error!(seq, error = %why, "an event whose row cannot be read is given up");
    let error = advice(why);
    retrying(db, || postpone_event(db, (seq, token), &error, None)).await
}

/// Gives up a claimed delivery, of which the row or that of its event cannot be read.
pub(super) async fn give_up_delivery(
    db: &DatabaseConnection,
    row: &QueryResult,
    token: Uuid,
    why: &DbErr,
) -> Result<(), DbErr> {
    let seq: i64 = row.try_get("", "event_seq")?;
    let kind: String = row.try_get("", "kind")?;
    let name: String = row.try_get("", "subscription")?;
    tracing::error!(seq, kind, name, error = %why, "a delivery that cannot be read is given up");
    let error = advice(why);
    retrying(db, || async {
        let tx = database::begin_short(db).await?;
        let dialect = database::dialect(&tx)?;
        lock_events(&tx, dialect, &[seq]).await?;
        let delivery = Query::update()
            .table(event_delivery::Entity)
            .value(D::ClaimedBy, Option::<Uuid>::None)
            .value(D::ClaimToken, Option::<Uuid>::None)
            .value(D::Status, "failed")
            .value(D::Error, &error)
            .value(D::ProcessedAt, dialect.now())
            .and_where(Expr::col(D::EventSeq).eq(seq))
            .and_where(Expr::col(D::Kind).eq(&kind))
            .and_where(Expr::col(D::Subscription).eq(&name))
            .and_where(Expr::col(D::ClaimToken).eq(token))
            .to_owned();
        if tx.execute(&delivery).await?.rows_affected() > 0 {
            let event = Query::update()
                .table(domain_event::Entity)
                .value(E::Error, format!("{kind} `{name}`: {error}"))
                .and_where(Expr::col(E::Seq).eq(seq))
                .to_owned();
            tx.execute(&event).await?;
            end_events(&tx, dialect, &[seq]).await?;
        }
        failpoint::before("events.end_unreadable");
        tx.commit().await?;
        failpoint::after("events.end_unreadable");
        Ok(())
    })
    .await
}

fn advice(why: &DbErr) -> String {
    format!(
        "its row in `domain_events` or `event_delivery` cannot be read: {why}; mend it, then redeliver the event"
    )
}
