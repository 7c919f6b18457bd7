//! The calls of subscriptions that are under way. Each has a task of its own: it is stopped from outside, may panic when
//! it is dropped, and may block its thread, which holds up none of the event's other subscriptions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::dispatch::{Consumers, Failure};
use crate::events::{EventId, EventRecord, Subscription};
use crate::worker::Polling;

/// How long a call that is stopped, or out of time, is waited for: one that blocks its thread goes on.
const STOPPING: Duration = Duration::from_secs(2);

/// The calls of one drainer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    tasks: TaskTracker,
    under_way: Arc<Mutex<UnderWay>>,
}

#[derive(Debug, Default)]
struct UnderWay {
    begun: u64,
    calls: HashMap<u64, Arc<Call>>,
}

/// A call that is under way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) subscription: String,
    pub(crate) event_id: EventId,
    pub(crate) polling: Polling,
}

impl Calls {
    pub(crate) fn all(&self) -> Vec<Arc<Call>> {
        self.lock().calls.values().cloned().collect()
    }

    /// Waits until none is under way any more.
    pub(super) async fn are_over(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn begin(&self, subscription: &Subscription, record: &EventRecord) -> Begun {
        let call = Arc::new(Call {
            subscription: subscription.name.clone(),
            event_id: record.id,
            polling: Polling::default(),
        });
        let mut under_way = self.lock();
        under_way.begun += 1;
        let number = under_way.begun;
        under_way.calls.insert(number, Arc::clone(&call));
        Begun {
            calls: self.clone(),
            number,
            call,
        }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is under way until this is dropped.
struct Begun {
    calls: Calls,
    number: u64,
    call: Arc<Call>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.calls.lock().calls.remove(&self.number);
    }
}

/// What consumers are called with.
#[derive(Debug, Clone)]
pub(crate) struct Calling<'a> {
    pub(crate) consumers: &'a Arc<Consumers>,
    pub(crate) calls: &'a Calls,
    /// Cancelled when the lease is over under which the event was claimed: another worker may deliver it.
    pub(crate) term: &'a CancellationToken,
}

impl Calling<'_> {
    /// Calls a subscription with an event. Nothing comes of a call that the end of the lease has stopped.
    pub(super) async fn deliver(
        &self,
        subscription: &Subscription,
        record: &Arc<EventRecord>,
        attempt: u32,
    ) -> Option<Result<(), Failure>> {
        let begun = self.calls.begin(subscription, record);
        let call = Arc::clone(&begun.call);
        let task = {
            let (consumers, subscription) = (Arc::clone(self.consumers), subscription.clone());
            let record = Arc::clone(record);
            self.calls.tasks.spawn(async move {
                let called = consumers.deliver(&subscription, &record, attempt);
                begun.call.polling.note(called).await
            })
        };
        let mut task = AbortOnDropHandle::new(task);
        tokio::select! {
            biased;
            ended = &mut task => ended.ok(),
            () = self.term.cancelled() => {
                task.abort();
                // That it has ended is all that matters.
                let _ended = timeout(STOPPING, task).await.ok();
                None
            }
            () = self.blocks_beyond_its_time(&call) => Some(Err(self.given_up(subscription, record))),
        }
    }

    // A call that yields ends by itself when its time is up, as soon as there is a thread for it.
    async fn blocks_beyond_its_time(&self, call: &Call) {
        sleep(self.consumers.subscription_timeout).await;
        loop {
            sleep(STOPPING).await;
            if call.polling.blocked_for() >= STOPPING {
                return;
            }
        }
    }

    // Another attempt would take another thread.
    fn given_up(&self, subscription: &Subscription, record: &EventRecord) -> Failure {
        let timeout = self.consumers.subscription_timeout;
        tracing::error!(
            subscription = subscription.name,
            event_id = %record.id,
            "a subscription blocks its thread beyond its time; its delivery is given up"
        );
        Failure {
            error: format!("did not finish within {timeout:?}, and blocks its thread"),
            retry_after: None,
        }
    }
}
