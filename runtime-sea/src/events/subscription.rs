//! What gets events.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use serde::Serialize;

use super::{Event, EventEnvelope, EventRecord, EventRetry};

/// What an event can be delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerKind {
    /// A subscription of a worker.
    Subscription,
    /// A trigger that starts a run of a job.
    Trigger,
}

impl ConsumerKind {
    /// The name as it stands in the tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Trigger => "trigger",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Subscription, Self::Trigger]
            .into_iter()
            .find(|it| it.as_str() == name)
    }
}

/// Why a subscription failed on an event.
///
/// Every standard error converts into a retryable one, so that `?` works. It does not implement [`Error`] itself for
/// that reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionError {
    message: String,
    retryable: bool,
}

impl SubscriptionError {
    /// The delivery fails, and is tried again as the event's retry policy says.
    #[must_use]
    pub fn new(reason: impl fmt::Display) -> Self {
        Self {
            message: reason.to_string(),
            retryable: true,
        }
    }

    /// The delivery fails for good.
    #[must_use]
    pub fn non_retryable(reason: impl fmt::Display) -> Self {
        Self {
            message: reason.to_string(),
            retryable: false,
        }
    }

    /// Whether it may be tried again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// What went wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for SubscriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for SubscriptionError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many errors repeat their source's text in their own.
            if !message.ends_with(&cause_text) {
                message = format!("{message}: {cause_text}");
            }
            source = cause.source();
        }
        Self {
            message,
            retryable: true,
        }
    }
}

type Handler =
    dyn Fn(&EventRecord, u32) -> BoxFuture<'static, Result<(), SubscriptionError>> + Send + Sync;

/// What stands for the type of a subscription to every type.
pub(crate) const EVERY_TYPE: &str = "*";

/// Whether who is registered for one type gets events of another.
pub(crate) fn gets(registered_for: &str, event_type: &str) -> bool {
    registered_for == EVERY_TYPE || registered_for == event_type
}

/// A handler with a stable name, its event type erased.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    /// The type, or [`EVERY_TYPE`].
    pub(crate) event_type: &'static str,
    pub(crate) retry: EventRetry,
    handler: Arc<Handler>,
}

impl Subscription {
    pub(crate) fn new<E, F, Fut>(name: impl Into<String>, handler: F) -> Self
    where
        E: Event,
        F: Fn(EventEnvelope<E>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        let handler = move |record: &EventRecord, attempt: u32| match record.decode::<E>(attempt) {
            Ok(event) => handler(event).boxed(),
            Err(error) => futures::future::ready(Err(error.into())).boxed(),
        };
        Self {
            name: name.into(),
            event_type: E::TYPE,
            retry: E::ROUTE.retry_policy(),
            handler: Arc::new(handler),
        }
    }

    /// A handler for events of every type.
    pub(crate) fn to_every_type<F, Fut>(
        name: impl Into<String>,
        retry: EventRetry,
        handler: F,
    ) -> Self
    where
        F: Fn(EventRecord) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            event_type: EVERY_TYPE,
            retry,
            handler: Arc::new(move |record, _| handler(record.clone()).boxed()),
        }
    }

    /// Calls the handler. It may panic, here already: the caller catches.
    pub(crate) fn call(
        &self,
        record: &EventRecord,
        attempt: u32,
    ) -> BoxFuture<'static, Result<(), SubscriptionError>> {
        (self.handler)(record, attempt)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.name)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}
