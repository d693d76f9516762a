//! The metrics of the catalog.

use observability::{
    Registry,
    metrics::{Counter, Desc, Gauge, Histogram, Label},
};

/// Every metric of the catalog.
pub(crate) const DECLARED: &[&Desc] = &[
    &OPERATION_DURATION,
    &CONNECTION_COUNT,
    &CONNECTION_MAX,
    &PENDING_REQUESTS,
    &WAIT_TIME,
    &TIMEOUTS,
];

/// How long operations took, by what they do.
pub(super) const OPERATION_DURATION: Desc = Desc::histogram(
    "db_client_operation_duration_seconds",
    "Duration of catalog operations, with the wait for a connection.",
    &[
        Label::closed("db_system_name", &["postgresql", "sqlite"]),
        Label::closed(
            "db_operation_name",
            &["SELECT", "INSERT", "UPDATE", "DELETE"],
        ),
        Label::closed(
            "db_collection_name",
            &["images", "variants", "blobs", "jobs", "schema_version"],
        ),
        Label::closed(
            "error_type",
            &[
                "",
                "unavailable",
                "not_writable",
                "timeout",
                "outcome_unknown",
                "conflict",
                "corrupt",
                "schema_mismatch",
                "refused",
                "cancelled",
            ],
        ),
    ],
    OPERATION_SECONDS,
);
/// Operations are read by their key, so most take a millisecond; the worker and its polling have several of these series.
const OPERATION_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

const POOL: &str = "db_client_connection_pool_name";
const POOL_NAME: Label = Label::closed(POOL, &["catalog", "catalog-readers"]);

const CONNECTION_COUNT: Desc = Desc::gauge(
    "db_client_connection_count",
    "Open connections by state, as of the last time one was taken.",
    &[
        POOL_NAME,
        Label::closed("db_client_connection_state", &["idle", "used"]),
    ],
);
const CONNECTION_MAX: Desc = Desc::gauge(
    "db_client_connection_max",
    "Connections that a pool may open.",
    &[POOL_NAME],
);
const PENDING_REQUESTS: Desc = Desc::gauge(
    "db_client_connection_pending_requests",
    "Operations that wait for a connection.",
    &[POOL_NAME],
);
const WAIT_TIME: Desc = Desc::histogram(
    "db_client_connection_wait_time_seconds",
    "Time that operations waited for a connection.",
    &[POOL_NAME],
    &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0],
);
const TIMEOUTS: Desc = Desc::counter(
    "db_client_connection_timeouts_total",
    "Operations that got no connection in time.",
    &[POOL_NAME],
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
    /// For the pool with this name: `catalog` or `catalog-readers`.
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
