//! The codes of findings about boards. They are a contract: scripts and expectations name them, and
//! `docs/proof-findings.md` says of each what it means and why it is a fault.

use crate::promql::mistakes;

// The file.
/// The board is of schema v2.
pub const SCHEMA_V2: &str = "schema-v2";
/// The file is not in canonical form.
pub const NOT_CANONICAL: &str = "not-canonical";
/// The board has no uid, or that of another board.
pub const UID_NOT_UNIQUE: &str = "uid-not-unique";
/// A panel has no id, or that of another panel.
pub const PANEL_ID_NOT_UNIQUE: &str = "panel-id-not-unique";
/// Two queries of a panel have one letter.
pub const REF_ID_NOT_UNIQUE: &str = "ref-id-not-unique";
/// A link leads to a board that isn't there.
pub const DEAD_LINK: &str = "dead-link";
/// The panel is in Grafana's library and not in the file.
pub const LIBRARY_PANEL: &str = "library-panel";

// The panel.
/// A panel without description.
pub const NO_DESCRIPTION: &str = "no-description";
/// A panel without unit.
pub const NO_UNIT: &str = "no-unit";
/// The unit does not fit the expression.
pub const WRONG_UNIT: &str = "wrong-unit";
/// Title or legend name another quantile than the query.
pub const MISLABELLED_QUANTILE: &str = "mislabelled-quantile";
/// More metrics than a look can take in.
pub const TOO_MANY_METRICS: &str = "too-many-metrics";
/// A line is drawn where there was no data.
pub const GAPS_BRIDGED: &str = "gaps-bridged";
/// A stack that always fills the panel.
pub const STACKED_TO_PERCENT: &str = "stacked-to-percent";
/// No data is shown as a value.
pub const MISSING_SHOWN_AS_VALUE: &str = "missing-shown-as-value";
/// The last value of a range stands for now.
pub const STALE_VALUE: &str = "stale-value";
/// A hidden query is used by another.
pub const HIDDEN_QUERY_USED: &str = "hidden-query-used";
/// A hidden query that nothing uses.
pub const HIDDEN_QUERY: &str = "hidden-query";
/// Scale or thresholds are of another order than the unit.
pub const WRONG_SCALE: &str = "wrong-scale";
/// The text speaks of a calendar month, which no query counts.
pub const ROLLING_WINDOW_MISREAD: &str = "rolling-window-misread";

// Data sources and variables.
/// The data source is not chosen by a variable.
pub const FIXED_DATASOURCE: &str = "fixed-datasource";
/// The data source is none that can be asked here.
pub const UNPROVEN_DATASOURCE: &str = "unproven-datasource";
/// The name after `$` is no variable.
pub const UNKNOWN_VARIABLE: &str = "unknown-variable";
/// The format after the variable's name is not known.
pub const UNKNOWN_FORMAT: &str = "unknown-format";
/// Nothing uses the variable.
pub const UNUSED_VARIABLE: &str = "unused-variable";
/// The variable has no value to choose.
pub const VARIABLE_EMPTY: &str = "variable-empty";
/// The variable's query is none that Grafana's Prometheus data source knows.
pub const VARIABLE_QUERY: &str = "variable-query";
/// Several values compared with `=`.
pub const EQUALS_SEVERAL: &str = "equals-several";
/// "All" selects series without the label, too.
pub const ALL_INCLUDES_ABSENT: &str = "all-includes-absent";
/// A query leaves out a filter that the board's others have.
pub const VARIABLE_IGNORED: &str = "variable-ignored";

// The query alone.
/// PromQL that cannot be parsed.
pub const SYNTAX: &str = "syntax";
/// PromQL that Prometheus accepts and that was not analysed.
pub const NOT_ANALYSED: &str = "not-analysed";
/// A rate with a range that does not follow the panel's step.
pub const FIXED_RANGE: &str = "fixed-range";
/// A rate over `$__interval`, which may hold one sample.
pub const RATE_OVER_INTERVAL: &str = "rate-over-interval";
/// A share whose lower side leaves out what the upper one counts.
pub const SHARE_OF_ANOTHER_WHOLE: &str = "share-of-another-whole";

// The query against the server.
/// The server refuses the query.
pub const QUERY_ERROR: &str = "query-error";
/// The query has no result.
pub const EMPTY: &str = "empty";
/// Every value of the result is NaN.
pub const NAN_ONLY: &str = "nan-only";
/// No series has this name.
pub const UNKNOWN_METRIC: &str = "unknown-metric";
/// No series of the metric has this label.
pub const UNKNOWN_LABEL: &str = "unknown-label";
/// No series of the metric has this value of the label.
pub const VALUE_WITHOUT_SERIES: &str = "value-without-series";
/// The legend names a label that the result has not.
pub const LEGEND_WITHOUT_LABEL: &str = "legend-without-label";
/// The panel draws exemplars, and there are none.
pub const NO_EXEMPLARS: &str = "no-exemplars";
/// A sum over several jobs that report the same metric.
pub const SUM_OVER_JOBS: &str = "sum-over-jobs";
/// Instances with different bucket bounds are summed.
pub const MIXED_BUCKETS: &str = "mixed-buckets";
/// A share below 0 or above 1.
pub const SHARE_OUT_OF_RANGE: &str = "share-out-of-range";
/// The scrape interval that Grafana would be told is not the server's.
pub const SCRAPE_INTERVAL: &str = "scrape-interval";

// Declarations and expectations.
/// The query names a metric that no program declares.
pub const UNDECLARED_METRIC: &str = "undeclared-metric";
/// The query names a label that the metric's declaration lacks.
pub const UNDECLARED_LABEL: &str = "undeclared-label";
/// The query names a value outside the declared set.
pub const UNDECLARED_VALUE: &str = "undeclared-value";
/// No panel and no rule uses the metric.
pub const ORPHAN_METRIC: &str = "orphan-metric";
/// An expectation that nothing on the boards meets.
pub const UNUSED_EXPECTATION: &str = "unused-expectation";
/// A panel shows something else than the load saw.
pub const UNTRUE: &str = "untrue";
/// A truth that could not be compared.
pub const NOT_COMPARED: &str = "not-compared";

/// Every code.
pub const ALL: &[&str] = &[
    SCHEMA_V2,
    NOT_CANONICAL,
    UID_NOT_UNIQUE,
    PANEL_ID_NOT_UNIQUE,
    REF_ID_NOT_UNIQUE,
    DEAD_LINK,
    LIBRARY_PANEL,
    NO_DESCRIPTION,
    NO_UNIT,
    WRONG_UNIT,
    MISLABELLED_QUANTILE,
    TOO_MANY_METRICS,
    GAPS_BRIDGED,
    STACKED_TO_PERCENT,
    MISSING_SHOWN_AS_VALUE,
    STALE_VALUE,
    HIDDEN_QUERY_USED,
    HIDDEN_QUERY,
    WRONG_SCALE,
    ROLLING_WINDOW_MISREAD,
    FIXED_DATASOURCE,
    UNPROVEN_DATASOURCE,
    UNKNOWN_VARIABLE,
    UNKNOWN_FORMAT,
    UNUSED_VARIABLE,
    VARIABLE_EMPTY,
    VARIABLE_QUERY,
    EQUALS_SEVERAL,
    ALL_INCLUDES_ABSENT,
    VARIABLE_IGNORED,
    SYNTAX,
    NOT_ANALYSED,
    FIXED_RANGE,
    RATE_OVER_INTERVAL,
    SHARE_OF_ANOTHER_WHOLE,
    mistakes::RATE_OF_GAUGE,
    mistakes::DELTA_OF_COUNTER,
    mistakes::RAW_COUNTER,
    mistakes::SUM_BEFORE_RATE,
    mistakes::QUANTILE_WITHOUT_LE,
    mistakes::QUANTILE_WITHOUT_BUCKETS,
    mistakes::QUANTILE_OUT_OF_RANGE,
    mistakes::AGGREGATED_QUANTILE,
    mistakes::BUCKETS_ADDED,
    mistakes::BOUND_WITHOUT_POINT,
    mistakes::RATIO_WITH_ITSELF,
    mistakes::RATIO_OF_DIFFERENT_LABELS,
    mistakes::DATE_OF_A_SAMPLE,
    QUERY_ERROR,
    EMPTY,
    NAN_ONLY,
    UNKNOWN_METRIC,
    UNKNOWN_LABEL,
    VALUE_WITHOUT_SERIES,
    LEGEND_WITHOUT_LABEL,
    NO_EXEMPLARS,
    SUM_OVER_JOBS,
    MIXED_BUCKETS,
    SHARE_OUT_OF_RANGE,
    SCRAPE_INTERVAL,
    UNDECLARED_METRIC,
    UNDECLARED_LABEL,
    UNDECLARED_VALUE,
    ORPHAN_METRIC,
    UNUSED_EXPECTATION,
    UNTRUE,
    NOT_COMPARED,
];
