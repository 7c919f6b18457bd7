//! A subscription: a stable name, an event type and what handles its events.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Event, EventEnvelope, EventRecord};

/// Why a subscription could not handle an event. Every standard error converts into it, so that `?` works.
pub struct SubscriptionError {
    message: String,
}

impl SubscriptionError {
    /// An error with this message.
    #[must_use]
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for SubscriptionError {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for SubscriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for SubscriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubscriptionError({:?})", self.message)
    }
}

type Handle =
    dyn Fn(&EventRecord, u32) -> BoxFuture<'static, Result<(), SubscriptionError>> + Send + Sync;

/// A registered subscription, its event type erased.
#[derive(Clone)]
pub(crate) struct Subscription {
    /// Stable: delivery state is kept under it.
    pub(crate) name: String,
    pub(crate) event_type: &'static str,
    handle: Arc<Handle>,
}

impl Subscription {
    pub(crate) fn new<E, H, F>(name: String, handler: H) -> Self
    where
        E: Event,
        H: Fn(EventEnvelope<E>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), SubscriptionError>> + Send + 'static,
    {
        let handle = move |event: &EventRecord, attempt| -> BoxFuture<'static, _> {
            match event.decode::<E>(attempt) {
                Ok(envelope) => Box::pin(handler(envelope)),
                Err(error) => Box::pin(async move { Err(SubscriptionError::from(error)) }),
            }
        };
        Self {
            name,
            event_type: E::TYPE,
            handle: Arc::new(handle),
        }
    }

    /// Decodes the event and calls the handler. The handler may panic, before its future exists too: the caller
    /// catches.
    pub(crate) fn handle(
        &self,
        event: &EventRecord,
        attempt: u32,
    ) -> BoxFuture<'static, Result<(), SubscriptionError>> {
        (self.handle)(event, attempt)
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
