//! A handler's panic as an error: its message, and where it happened.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Once;

use futures::FutureExt;

/// What is known of a panic.
#[derive(Debug, Clone)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) backtrace: Option<String>,
}

tokio::task_local! {
    static LAST: RefCell<Option<String>>;
}

/// Runs a future to its end, a panic included. `start` makes the future: it may panic too.
pub(crate) async fn catch<F: Future>(start: impl FnOnce() -> F) -> Result<F::Output, Panic> {
    install_hook();
    LAST.scope(RefCell::new(None), async {
        AssertUnwindSafe(async { start().await })
            .catch_unwind()
            .await
            .map_err(|payload| Panic {
                message: message(payload.as_ref()),
                backtrace: LAST.with(RefCell::take),
            })
    })
    .await
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

// The stack is gone once the panic is caught; the hook sees it. Whatever hook the program has still runs.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info
                .location()
                .map(|it| format!("at {it}\n"))
                .unwrap_or_default();
            let outside_of_a_handler = LAST.try_with(|last| {
                if let Ok(mut last) = last.try_borrow_mut() {
                    *last = Some(format!("{place}{}", Backtrace::force_capture()));
                }
            });
            let _ = outside_of_a_handler;
            previous(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn r04_a_panic_keeps_its_message_and_backtrace() {
        let panic = catch(|| async { panic!("no {}", 42) })
            .await
            .map(|(): ()| ())
            .unwrap_err();
        assert_eq!(panic.message, "no 42");
        assert!(panic.backtrace.unwrap().contains("panics.rs"));
    }

    #[tokio::test]
    async fn a_panic_before_the_future_exists_is_caught() {
        fn start() -> std::future::Ready<()> {
            panic!("early")
        }
        assert_eq!(catch(start).await.unwrap_err().message, "early");
    }
}
