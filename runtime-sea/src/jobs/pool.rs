//! The name of a pool.

use std::borrow::Cow;
use std::fmt;

use super::policy::RESERVED_POOL_PREFIX;

/// The name of a pool of runs. As a constant it is checked by the compiler:
///
/// ```
/// use runtime_sea::{JobPolicy, Pool};
///
/// const MAIL: Pool = Pool::new("mail");
///
/// let policy = JobPolicy::<u32>::new().pool(MAIL);
/// ```
///
/// A name that belongs to the event drain does not compile:
///
/// ```compile_fail,E0080
/// const MAIL: runtime_sea::Pool = runtime_sea::Pool::new("events_outbound");
/// ```
///
/// Every other text converts into a pool too, so that `.pool("events_outbound")` compiles; a reserved name is then refused
/// when the worker is built or the run is started. Prefer a constant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pool(Cow<'static, str>);

impl Pool {
    /// The pool of that name.
    ///
    /// # Panics
    /// If the name is empty or begins with `events_`: in a constant, that is an error of the compiler.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty(), "a pool has a name");
        assert!(
            !is_reserved(name),
            "pools that begin with `events_` belong to the event drain"
        );
        Self(Cow::Borrowed(name))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Whether the pool belongs to the event drain.
pub(crate) const fn is_reserved(name: &str) -> bool {
    let (name, prefix) = (name.as_bytes(), RESERVED_POOL_PREFIX.as_bytes());
    let mut at = 0;
    while at < prefix.len() {
        if at >= name.len() || name[at] != prefix[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl From<String> for Pool {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl From<&str> for Pool {
    fn from(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }
}

impl From<&String> for Pool {
    fn from(name: &String) -> Self {
        Self(Cow::Owned(name.clone()))
    }
}

impl From<Pool> for String {
    fn from(pool: Pool) -> Self {
        pool.0.into_owned()
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_like_a_lane_are_reserved() {
        assert!(is_reserved("events_change"));
        assert!(is_reserved("events_"));
        assert!(!is_reserved("events"));
        assert!(!is_reserved("my_events_"));
    }
}
