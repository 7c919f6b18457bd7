//! What wake-ups are about.

use std::ops::BitOrAssign;

/// What there is something new of. Loops that have nothing to do with it sleep on: where many workers are idle, most of
/// what a start costs the database is their looking for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct News {
    events: bool,
    runs: bool,
}

impl News {
    pub(crate) const EVENTS: Self = Self {
        events: true,
        runs: false,
    };
    pub(crate) const RUNS: Self = Self {
        events: false,
        runs: true,
    };
    pub(crate) const ALL: Self = Self {
        events: true,
        runs: true,
    };

    /// What a notification of it says.
    pub(super) const fn payload(self) -> &'static str {
        match self {
            Self::EVENTS => "events",
            Self::RUNS => "runs",
            _ => "",
        }
    }

    /// What a notification says; all that there can be where another version sent it.
    pub(super) fn from_payload(payload: &str) -> Self {
        let known = [Self::EVENTS, Self::RUNS];
        let said = known.into_iter().find(|it| it.payload() == payload);
        said.unwrap_or(Self::ALL)
    }

    const fn overlaps(self, other: Self) -> bool {
        self.events && other.events || self.runs && other.runs
    }
}

impl BitOrAssign for News {
    fn bitor_assign(&mut self, other: Self) {
        self.events |= other.events;
        self.runs |= other.runs;
    }
}

/// How often there was something new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    events: u64,
    runs: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, news: News) {
        self.events = self.events.wrapping_add(u64::from(news.events));
        self.runs = self.runs.wrapping_add(u64::from(news.runs));
    }

    /// Whether there has been something new of these since.
    pub(super) const fn has(self, wanted: News, since: Self) -> bool {
        let news = News {
            events: self.events != since.events,
            runs: self.runs != since.runs,
        };
        news.overlaps(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_says_what_there_is_and_nothing_known_says_all() {
        for news in [News::EVENTS, News::RUNS, News::ALL] {
            assert_eq!(News::from_payload(news.payload()), news);
        }
        assert_eq!(News::from_payload("of another version"), News::ALL);
        let mut both = News::EVENTS;
        both |= News::RUNS;
        assert_eq!(both, News::ALL);
    }
}
