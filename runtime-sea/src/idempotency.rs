//! Requests that are carried out once, however often they are sent: what an `Idempotency-Key` header asks for.
//!
//! The answer is stored in the transaction of the write that it is about, and the row that it goes to is locked from the
//! beginning of that transaction on. So there is an answer if and only if there was a write; of two requests with one key
//! only one can write; and one that fails, or whose process dies, leaves the way free for the next.
//!
//! | the key was used | the outcome |
//! |---|---|
//! | never, or by a request that failed | [`Begun::First`] |
//! | by the same request, answered | [`Begun::Again`] with that answer |
//! | by a request that is still under way | [`OnceError::InFlight`]; SQLite, where writers take turns, waits for its answer instead |
//! | by another request, answered | [`OnceError::Reused`] |
//! | longer ago than answers are kept | [`Begun::First`] |
//!
//! ```no_run
//! # async fn example(db: &sea_orm::DatabaseConnection, key: &str, body: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use runtime_sea::idempotency::{Answer, Attempt, Begun, begin_once};
//!
//! let attempt = Attempt::new(&["POST /orders", "the caller"], key, body);
//! let keep = Duration::from_secs(86_400);
//! let answer = match begin_once(db, &attempt, keep).await? {
//!     Begun::Again(answer) => answer,
//!     Begun::First(first) => {
//!         // All writes go through `first.tx()`.
//!         let body = r#"{"id":1}"#.to_owned();
//!         let answer = Answer { status: 201, headers: Vec::new(), body };
//!         first.commit(&answer).await?;
//!         answer
//!     }
//! };
//! # Ok(())
//! # }
//! ```
//!
//! The table comes from [`migration::idempotency`](crate::migration::idempotency). It needs no worker: every new key
//! clears away a few old ones.

use std::fmt;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::database::{begin, dialect, insert_if_new, now_plus};
use crate::jobs::prune::ago;

const TABLE: &str = "idempotency_key";

/// How long a row is kept that nobody asks for any more: longer than any transaction that may still hold it.
const FORGOTTEN: Duration = Duration::from_secs(3_600);

/// How many rows a new key clears away at most.
const CLEARED: u64 = 10;

/// A request that may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    id: Uuid,
    fingerprint: Uuid,
}

impl Attempt {
    /// `scope` keeps apart requests that may have the same key by chance or by intent: the route, the tenant, the
    /// caller. `request` is what is asked for: another one under the same key is refused.
    #[must_use]
    pub fn new(scope: &[&str], key: &str, request: &[u8]) -> Self {
        let mut name = Vec::new();
        for part in scope.iter().chain([&key]) {
            // With its length, so that no two lists of parts give one name.
            name.extend(part.len().to_be_bytes());
            name.extend(part.as_bytes());
        }
        Self {
            id: Uuid::new_v5(&Uuid::NAMESPACE_OID, &name),
            fingerprint: Uuid::new_v5(&Uuid::NAMESPACE_OID, request),
        }
    }
}

/// What a request was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names and values of the headers that belong to it, such as `ETag`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Begun {
    /// Carry it out.
    First(First),
    /// Give this answer again.
    Again(Answer),
}

/// A request that nobody else carries out at the same time. Dropping it undoes what was done in its transaction.
#[must_use = "nothing is written until it is committed"]
pub struct First {
    tx: DatabaseTransaction,
    attempt: Attempt,
    keep: Duration,
}

/// Why a request can neither be carried out nor answered.
#[derive(Debug, Error)]
pub enum OnceError {
    /// A request with this key is under way; later there will be its answer.
    #[error("a request with this idempotency key is still being processed")]
    InFlight,
    /// The key belongs to another request.
    #[error("the idempotency key was used for another request")]
    Reused,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl First {
    /// What all writes of the request go through.
    #[must_use]
    pub const fn tx(&self) -> &DatabaseTransaction {
        &self.tx
    }

    /// Commits them together with the answer.
    ///
    /// # Errors
    /// The database's own; then nothing is written.
    pub async fn commit(self, answer: &Answer) -> Result<(), DbErr> {
        let dialect = dialect(&self.tx)?;
        let update = Query::update()
            .table(TABLE)
            .value("fingerprint", self.attempt.fingerprint)
            .value("status", i32::from(answer.status))
            .value("headers", json!(answer.headers).to_string())
            .value("body", answer.body.as_str())
            .value("expires_at", now_plus(dialect, self.keep))
            .and_where(Expr::col("id").eq(self.attempt.id))
            .to_owned();
        self.tx.execute(&update).await?;
        self.tx.commit().await
    }

    /// Undoes what was done in its transaction, and lets the next request with the key begin. One that is dropped does
    /// that too, but only when its connection is put back into the pool.
    ///
    /// # Errors
    /// The database's own; then it ends with its connection.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.tx.rollback().await
    }
}

impl fmt::Debug for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("First")
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Begins a transaction for the request, or finds out that it is not to be carried out. `keep` is how long the answer is
/// given again.
///
/// # Errors
/// [`OnceError`].
pub async fn begin_once(
    db: &DatabaseConnection,
    attempt: &Attempt,
    keep: Duration,
) -> Result<Begun, OnceError> {
    // A look first: an answer is given again without a lock, and MySQL would have an insert wait for whoever has one.
    let look = Query::select()
        .columns(["fingerprint", "status", "headers", "body"])
        .expr_as(Expr::col("expires_at").lt(dialect(db)?.now()), "expired")
        .from(TABLE)
        .and_where(Expr::col("id").eq(attempt.id))
        .to_owned();
    if let Some(row) = db.query_one(&look).await? {
        if let Some(answer) = answer_of(attempt, &row)? {
            return Ok(Begun::Again(answer));
        }
    } else {
        let row = Query::insert()
            .into_table(TABLE)
            .columns(["id", "expires_at"])
            .values_panic([attempt.id.into(), now_plus(dialect(db)?, keep)])
            .to_owned();
        if insert_if_new(db, &row).await? {
            clear(db).await?;
        }
    }

    let tx = begin(db).await?;
    let mut lock = look;
    lock.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let held = tx.query_one(&lock).await?;
    // There is a row: it is held by somebody else.
    let found = held.ok_or(OnceError::InFlight);
    let again = match found.and_then(|row| answer_of(attempt, &row)) {
        Ok(None) => {
            return Ok(Begun::First(First {
                tx,
                attempt: *attempt,
                keep,
            }));
        }
        Ok(Some(answer)) => Ok(Begun::Again(answer)),
        Err(error) => Err(error),
    };
    // One that is dropped holds the row until its connection is back in the pool.
    tx.rollback().await?;
    again
}

/// The answer that a row has, unless it has expired.
fn answer_of(attempt: &Attempt, row: &QueryResult) -> Result<Option<Answer>, OnceError> {
    let expired: bool = row.try_get("", "expired")?;
    let status: Option<i32> = row.try_get("", "status")?;
    let (Some(status), false) = (status, expired) else {
        return Ok(None);
    };
    let fingerprint: Uuid = row.try_get("", "fingerprint")?;
    if fingerprint != attempt.fingerprint {
        return Err(OnceError::Reused);
    }
    let headers: String = row.try_get("", "headers")?;
    let unreadable = |error: String| DbErr::Type(format!("{TABLE}: {error}"));
    Ok(Some(Answer {
        status: u16::try_from(status).map_err(|error| unreadable(error.to_string()))?,
        headers: serde_json::from_str(&headers).map_err(|error| unreadable(error.to_string()))?,
        body: row.try_get("", "body")?,
    }))
}

/// Deletes some rows that nobody asks for any more.
async fn clear(db: &DatabaseConnection) -> Result<(), DbErr> {
    let old = Query::select()
        .column("id")
        .from(TABLE)
        .and_where(Expr::col("expires_at").lt(ago(dialect(db)?, FORGOTTEN)))
        .limit(CLEARED)
        .to_owned();
    let ids: Vec<Uuid> = db
        .query_all(&old)
        .await?
        .iter()
        .map(|row| row.try_get("", "id"))
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let delete = Query::delete()
        .from_table(TABLE)
        .and_where(Expr::col("id").is_in(ids))
        // One of them may be in use again.
        .and_where(Expr::col("expires_at").lt(ago(dialect(db)?, FORGOTTEN)))
        .to_owned();
    db.execute(&delete).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Attempt;

    #[test]
    fn what_differs_in_scope_key_or_request_is_another_attempt() {
        let attempt = Attempt::new(&["POST /orders", "ada"], "k", b"{}");
        assert_eq!(attempt, Attempt::new(&["POST /orders", "ada"], "k", b"{}"));
        for (scope, key) in [
            (["POST /orders", "bob"], "k"),
            (["POST /bills", "ada"], "k"),
            (["POST /ordersa", "da"], "k"),
            (["POST /orders", "adak"], ""),
        ] {
            let other = Attempt::new(&scope, key, b"{}");
            assert_ne!(attempt.id, other.id, "{scope:?} {key}");
        }
        let other = Attempt::new(&["POST /orders", "ada"], "k", b"{ }");
        assert_eq!(attempt.id, other.id);
        assert_ne!(attempt.fingerprint, other.fingerprint);
    }
}
