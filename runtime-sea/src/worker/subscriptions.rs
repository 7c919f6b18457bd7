//! The subscriptions of a running worker.

use crate::events::ConsumerKind;
use crate::events::drain::Hosted;

/// What a worker delivers events to; from [`Worker::subscriptions`](super::Worker::subscriptions). Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    hosted: Hosted,
}

impl Subscriptions {
    pub(super) const fn new(hosted: Hosted) -> Self {
        Self { hosted }
    }

    /// Calls the subscription no longer in this process; a call that has begun goes on. Its events wait for another
    /// process that hosts it, or for this one's next start. Returns whether it was hosted.
    ///
    /// To give it up everywhere and for good there is [`Events::retire`](crate::Events::retire).
    #[must_use = "a name that is not hosted may be a mistake"]
    pub fn unsubscribe(&self, name: &str) -> bool {
        self.hosted.remove(ConsumerKind::Subscription, name)
    }

    /// The names of the subscriptions that are called in this process.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.hosted.now().names(ConsumerKind::Subscription)
    }
}
