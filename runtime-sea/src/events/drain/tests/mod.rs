//! The drain from inside: drainers whose workers die, race and come back. Each test runs on every database.

mod delivery;
mod firing;
mod harness;
mod locks;
mod ordering;
mod plans;
mod recovery;
mod suspects;

/// Makes one test per database of each function.
macro_rules! on_each_database {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(&$crate::events::drain::tests::harness::Harness::memory().await).await;
                }
            )*
        }
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(&$crate::events::drain::tests::harness::Harness::sqlite().await).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    if let Some(harness) = $crate::events::drain::tests::harness::Harness::postgres().await {
                        super::$name(&harness).await;
                    }
                }
            )*
        }
        mod mysql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    if let Some(harness) = $crate::events::drain::tests::harness::Harness::mysql().await {
                        super::$name(&harness).await;
                    }
                }
            )*
        }
    };
}

pub(crate) use on_each_database;
