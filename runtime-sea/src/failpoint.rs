//! The moments before and after every commit, at which a test can make the process die or stop.
//!
//! Nothing at all without the feature `failpoints`, which only this crate's own tests turn on.

#[cfg(feature = "failpoints")]
pub use armed::{COMMITS, RARE_COMMITS, VARIABLE};
#[cfg(feature = "failpoints")]
pub(crate) use armed::{after, before};

#[cfg(not(feature = "failpoints"))]
pub(crate) const fn before(_commit: &'static str) {}

#[cfg(not(feature = "failpoints"))]
pub(crate) const fn after(_commit: &'static str) {}

#[cfg(feature = "failpoints")]
mod armed {
    use std::process::{Command, abort, id};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// What is committed in the course of the work. The fault tests stop a process before and after each of them.
    pub const COMMITS: [&str; 24] = [
        "events.publish_detached",
        "events.claim",
        "events.settle",
        "events.settle_deliveries",
        "events.take_over",
        "events.hand_back",
        "events.retire",
        "bridge.fire",
        "jobs.start",
        "jobs.start_deduplicated",
        "jobs.claim",
        "jobs.claim_limited",
        "jobs.step",
        "jobs.spawn_child",
        "jobs.end",
        "jobs.wake",
        "jobs.end_overdue",
        "jobs.cancel_waiting",
        "jobs.cancel_running",
        "jobs.cancel_scope",
        "jobs.admit",
        "jobs.admit_keyed",
        "jobs.take_over",
        "schedules.fire",
    ];

    /// What is committed only where an answer was lost or somebody has edited a row, which the fault tests do not bring
    /// about.
    pub const RARE_COMMITS: [&str; 6] = [
        "events.hand_back_unknown",
        "events.postpone",
        "events.end_unreadable",
        "jobs.end_canceled",
        "jobs.end_unreadable",
        "jobs.hand_back",
    ];

    /// The environment variable that arms one of them: `<abort|stop> <before|after> <commit> <hit>`, such as
    /// `abort before jobs.step 2`.
    pub const VARIABLE: &str = "RUNTIME_SEA_FAILPOINT";

    struct Failpoint {
        action: String,
        when: String,
        commit: String,
        hits_left: AtomicU32,
    }

    pub(crate) fn before(commit: &'static str) {
        reach("before", commit);
    }

    pub(crate) fn after(commit: &'static str) {
        reach("after", commit);
    }

    fn reach(when: &str, commit: &'static str) {
        static ARMED: OnceLock<Option<Failpoint>> = OnceLock::new();
        assert!(
            is_known(commit),
            "the failpoint `{commit}` is not in the list"
        );
        let armed = ARMED.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            Some(parse(&text).unwrap_or_else(|| panic!("{VARIABLE}={text} names no failpoint")))
        });
        let Some(armed) = armed else { return };
        if armed.when == when
            && armed.commit == commit
            && armed.hits_left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            match armed.action.as_str() {
                "stop" => {
                    // The signal stops this process too while it waits for the command.
                    let stopped = Command::new("sh")
                        .args(["-c", &format!("kill -STOP {}", id())])
                        .status();
                    assert!(stopped.is_ok_and(|status| status.success()));
                }
                _ => abort(),
            }
        }
    }

    fn is_known(commit: &str) -> bool {
        COMMITS.contains(&commit) || RARE_COMMITS.contains(&commit)
    }

    fn parse(text: &str) -> Option<Failpoint> {
        let [action, when, commit, hit] = text.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let known = ["abort", "stop"].contains(&action)
            && ["before", "after"].contains(&when)
            && is_known(commit);
        known.then_some(Failpoint {
            action: action.to_owned(),
            when: when.to_owned(),
            commit: commit.to_owned(),
            hits_left: AtomicU32::new(hit.parse().ok()?),
        })
    }
}
