//! One suite for the Toxiproxy stand-in and the real server: every test of `api`, `wire` and `cli` runs on both.
//! `deviations` holds what the stand-in does otherwise on purpose, asserted on both; `bounds` what only it has.

mod api;
mod bounds;
mod cli;
mod deviations;
mod peers;
mod subject;
mod wire;

/// Makes of each async function that takes a [`subject::Subject`] a test on the stand-in and one on the real server.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod stand_in {
            use crate::toxiproxy::subject::{Subject, run};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    run(super::$name(Subject::stand_in().await)).await;
                }
            )*
        }
        mod real {
            use crate::toxiproxy::subject::{Subject, run};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(subject) = Subject::real().await {
                        run(super::$name(subject)).await;
                    }
                }
            )*
        }
    };
}
use on_both;
