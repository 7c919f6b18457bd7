//! What was registered by workers that differ from this one, and how it is found that none of them is left.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// How often workers say that they host something as it stands.
pub(crate) const SEEN_EVERY: Duration = Duration::from_secs(5);

/// After how long without such a word, by the database's clock, nobody does.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// For how long another worker must have looked on meanwhile, by its own clock: the database's may have been set.
const WATCHED_FOR: Duration = Duration::from_secs(12);

/// A row that stands as others have registered it, since it was last seen to be hosted so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched {
    pub(crate) seen_at: DateTime<Utc>,
    since: Instant,
}

impl Watched {
    /// The watch goes on, or begins anew where there has been a word since.
    pub(crate) fn go_on(before: Option<Self>, seen_at: DateTime<Utc>) -> Self {
        before
            .filter(|before| before.seen_at == seen_at)
            .unwrap_or_else(|| Self {
                seen_at,
                since: Instant::now(),
            })
    }

    /// Whether nobody hosts it as it stands.
    pub(crate) fn is_over(&self, real_now: DateTime<Utc>) -> bool {
        self.since.elapsed() > WATCHED_FOR && apart(real_now, self.seen_at) > GONE_AFTER
    }
}

/// Whether it is time to say that something is hosted.
pub(crate) fn is_to_be_renewed(seen_at: DateTime<Utc>, real_now: DateTime<Utc>) -> bool {
    apart(real_now, seen_at) > SEEN_EVERY
}

// A clock that was set back leaves moments in the future behind.
fn apart(one: DateTime<Utc>, other: DateTime<Utc>) -> Duration {
    (one - other).abs().to_std().unwrap_or_default()
}
