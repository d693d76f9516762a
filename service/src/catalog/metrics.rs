//! The metrics of the catalog.

use observability::{
    Registry,
    metrics::{Counter, Desc, Gauge, Histogram, SECONDS},
};

/// How long operations took, by what they do.
pub(super) static OPERATION_DURATION: Desc = Desc::histogram(
    "db_client_operation_duration_seconds",
    "Duration of catalog operations, with the wait for a connection.",
    &[
        "db_system_name",
        "db_operation_name",
        "db_collection_name",
        "error_type",
    ],
    SECONDS,
);

const POOL: &str = "db_client_connection_pool_name";

static CONNECTION_COUNT: Desc = Desc::gauge(
    "db_client_connection_count",
    "Open connections by state, as of the last time one was taken.",
    &[POOL, "db_client_connection_state"],
);
static CONNECTION_MAX: Desc = Desc::gauge(
    "db_client_connection_max",
    "Connections that a pool may open.",
    &[POOL],
);
static PENDING_REQUESTS: Desc = Desc::gauge(
    "db_client_connection_pending_requests",
    "Operations that wait for a connection.",
    &[POOL],
);
static WAIT_TIME: Desc = Desc::histogram(
    "db_client_connection_wait_time_seconds",
    "How long operations waited for a connection.",
    &[POOL],
    SECONDS,
);
static TIMEOUTS: Desc = Desc::counter(
    "db_client_connection_timeouts_total",
    "Operations that got no connection in time.",
    &[POOL],
);

/// Handles for one pool.
pub(super) struct PoolMetrics {
    pub(super) idle: Gauge,
    pub(super) used: Gauge,
    pub(super) max: Gauge,
    pub(super) pending: Gauge,
    pub(super) wait: Histogram,
    pub(super) timeouts: Counter,
}

impl PoolMetrics {
    /// For the pool with this name: `catalog-read` or `catalog-write`.
    pub(super) fn new(registry: &Registry, pool: &'static str) -> Self {
        let count = |state| {
            registry.gauge(
                &CONNECTION_COUNT,
                &[(POOL, pool), ("db_client_connection_state", state)],
            )
        };
        let labels = [(POOL, pool)];
        Self {
            idle: count("idle"),
            used: count("used"),
            max: registry.gauge(&CONNECTION_MAX, &labels),
            pending: registry.gauge(&PENDING_REQUESTS, &labels),
            wait: registry.histogram(&WAIT_TIME, &labels),
            timeouts: registry.counter(&TIMEOUTS, &labels),
        }
    }
}
