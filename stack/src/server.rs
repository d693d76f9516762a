//! Real servers: found, started on a free port with their data in a temporary folder, waited for, stopped on drop.
//!
//! A server is found by, in this order: a URL in the environment (then it is used, not started), PATH, chitram's cache
//! `${XDG_CACHE_HOME:-~/.cache}/chitram/bin` that `scripts/backends` fills; for PostgreSQL also the folder that
//! `pg_config --bindir` prints and `/usr/lib/postgresql/*/bin`.
//!
//! | server | program | URL |
//! |---|---|---|
//! | PostgreSQL | `postgres` | `CHITRAM_POSTGRES_URL` (`postgres://user:password@host:port/database`) |
//! | Toxiproxy | `toxiproxy-server` | `CHITRAM_TOXIPROXY_URL` (its HTTP API; on this machine, so that its proxies are) |
//! | Jaeger | `jaeger` | `CHITRAM_JAEGER_URL` (query API) with `CHITRAM_OTLP_URL` (OTLP over gRPC) |
//! | Prometheus 3 | `prometheus` | `CHITRAM_PROMETHEUS_URL` |
//! | Alertmanager 0.26 or newer | `alertmanager` | `CHITRAM_ALERTMANAGER_URL` |
//! | Elasticsearch | `elasticsearch`, with a Java | `CHITRAM_ELASTICSEARCH_URL` |
//! | rsyslog | `rsyslogd`, with its module for Elasticsearch | - |
//! | versitygw | `versitygw` | `CHITRAM_S3_URL` (any S3) with `CHITRAM_S3_BUCKET`, `CHITRAM_S3_ACCESS_KEY`, `CHITRAM_S3_SECRET_KEY` |

pub mod alertmanager;
pub mod elasticsearch;
pub mod find;
pub mod jaeger;
mod launch;
pub mod postgres;
pub mod prometheus;
pub mod rsyslog;
pub mod toxiproxy;
mod user;
pub mod versitygw;

pub use find::{Backend, Found, Source};
pub use launch::{Launch, Running, answers_ok, start_on_ports};

use crate::console;

/// For tests: the server, or a line that says what the test needs. With `CHITRAM_REQUIRE=all` a missing server fails
/// the test instead.
///
/// ```no_run
/// # use stack::server;
/// let Some(found) = server::require(server::toxiproxy::find()) else { return };
/// ```
pub fn require(backend: Backend) -> Option<Found> {
    if backend.found.is_none() {
        let (name, install) = (backend.name, backend.install);
        assert!(
            std::env::var_os("CHITRAM_REQUIRE").is_none_or(|all| all != "all"),
            "needs {name}: {install}"
        );
        console::note(&format!("not run: needs {name} ({install})"));
    }
    backend.found
}
