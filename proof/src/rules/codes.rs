//! The codes of findings about rules. They are a contract: scripts name them, and `docs/proof-findings-rules.md` says of each
//! what it means and why it is a fault. Mistakes that boards can have as well keep the codes of [`crate::promql::mistakes`].

/// A file that is no YAML, or too large.
pub(super) const FILE_UNREADABLE: &str = "file-unreadable";
/// PromQL that cannot be parsed.
pub(super) const SYNTAX: &str = "syntax";
/// `promtool check rules` refuses the file.
pub(super) const PROMTOOL_CHECK: &str = "promtool-check";
/// A promtool test fails.
pub(super) const PROMTOOL_TEST: &str = "promtool-test";
/// An alert's name is not in CamelCase.
pub(super) const ALERT_MISNAMED: &str = "alert-misnamed";
/// An alert without the label `severity`.
pub(super) const SEVERITY_MISSING: &str = "severity-missing";
/// A severity that no route knows.
pub(super) const SEVERITY_UNKNOWN: &str = "severity-unknown";
/// An alert without the label `service`.
pub(super) const SERVICE_MISSING: &str = "service-missing";
/// A label that holds the value.
pub(super) const VALUE_IN_A_LABEL: &str = "value-in-a-label";
/// An alert without one of the annotations.
pub(super) const ANNOTATION_MISSING: &str = "annotation-missing";
/// `runbook_url` leads nowhere.
pub(super) const RUNBOOK_MISSING: &str = "runbook-missing";
/// A runbook that no alert names.
pub(super) const RUNBOOK_WITHOUT_ALERT: &str = "runbook-without-alert";
/// `dashboard_url` leads to no board.
pub(super) const BOARD_MISSING: &str = "board-missing";
/// `dashboard_url` leads to no panel of its board.
pub(super) const PANEL_MISSING: &str = "panel-missing";
/// An alert that fires in every state.
pub(super) const ALERT_WITHOUT_COMPARISON: &str = "alert-without-comparison";
/// A range that one failed scrape leaves with too few samples.
pub(super) const RANGE_TOO_SHORT: &str = "range-too-short";
/// A share that is compared with what no share reaches.
pub(super) const BOUND_BEYOND_SHARE: &str = "bound-beyond-share";
/// `or vector(0)`, which makes a missing series look like one at 0.
pub(super) const ZERO_HIDES_ABSENCE: &str = "zero-hides-absence";
/// A recorded series that no rule records.
pub(super) const NEVER_RECORDED: &str = "never-recorded";
/// A recorded series that is read before it is evaluated.
pub(super) const USED_BEFORE_EVALUATED: &str = "used-before-evaluated";
/// No test expects the alert to fire.
pub(super) const FIRING_NEVER_EXPECTED: &str = "firing-never-expected";
/// No test expects the alert to be silent.
pub(super) const SILENCE_NEVER_EXPECTED: &str = "silence-never-expected";
/// Generated rules are not those of the objectives.
pub(super) const GENERATED_FILE_STALE: &str = "generated-file-stale";
/// An alert on an objective that is not declared.
pub(super) const UNKNOWN_OBJECTIVE: &str = "unknown-objective";
/// A burn rate's threshold that does not follow from the objective.
pub(super) const BURN_THRESHOLD_WRONG: &str = "burn-threshold-wrong";
/// Windows that are not those of the alert's severity.
pub(super) const BURN_WINDOW_WRONG: &str = "burn-window-wrong";
/// A burn rate that is not compared by `>`.
pub(super) const BURN_COMPARISON_WRONG: &str = "burn-comparison-wrong";
/// A burn-rate alert that a few events can fire.
pub(super) const BURN_WITHOUT_GUARD: &str = "burn-without-guard";
/// An objective that no alert of a severity is on.
pub(super) const OBJECTIVE_WITHOUT_ALERT: &str = "objective-without-alert";
/// A job whose absence fires nothing.
pub(super) const ABSENCE_NOT_ALERTED: &str = "absence-not-alerted";
/// Matchers of an inhibition that can't be read.
pub(super) const MATCHERS_UNREADABLE: &str = "matchers-unreadable";
/// An inhibition whose matchers no alert meets.
pub(super) const INHIBITION_WITHOUT_ALERT: &str = "inhibition-without-alert";
/// An inhibition by a label that neither side carries.
pub(super) const INHIBITION_BY_AN_ABSENT_LABEL: &str = "inhibition-by-an-absent-label";
/// An inhibition whatever the alerts are about.
pub(super) const INHIBITION_WITHOUT_EQUAL: &str = "inhibition-without-equal";
/// A page that something lesser silences.
pub(super) const INHIBITION_OF_THE_WORSE: &str = "inhibition-of-the-worse";
/// The watchdog that something silences.
pub(super) const INHIBITION_OF_THE_WATCHDOG: &str = "inhibition-of-the-watchdog";
/// Notifications that do not say of which alert they are.
pub(super) const GROUP_WITHOUT_NAME: &str = "group-without-name";
/// A route that no alert takes.
pub(super) const ROUTE_WITHOUT_ALERT: &str = "route-without-alert";
/// A route to a receiver that is not there.
pub(super) const RECEIVER_MISSING: &str = "receiver-missing";
/// A receiver of alerts that notifies nobody.
pub(super) const RECEIVER_WITHOUT_CHANNEL: &str = "receiver-without-channel";
/// The watchdog's route sends it too seldom.
pub(super) const HEARTBEAT_TOO_SLOW: &str = "heartbeat-too-slow";
/// A time interval that leaves out its last minute.
pub(super) const TIME_WITH_A_GAP: &str = "time-with-a-gap";
/// A metric that no program declares.
pub(super) const UNDECLARED_METRIC: &str = "undeclared-metric";
/// A label that the metric's declaration lacks.
pub(super) const UNDECLARED_LABEL: &str = "undeclared-label";
/// A label's value outside the declared set.
pub(super) const UNDECLARED_VALUE: &str = "undeclared-value";
/// A bucket whose bound is not declared.
pub(super) const UNDECLARED_BUCKET: &str = "undeclared-bucket";
/// No series of the live server has this name.
pub(super) const UNKNOWN_METRIC: &str = "unknown-metric";
/// No series of the metric matches the selector.
pub(super) const VALUE_WITHOUT_SERIES: &str = "value-without-series";
/// `absent()` over a metric that several instances expose.
pub(super) const ABSENT_OVER_SEVERAL_INSTANCES: &str = "absent-over-several-instances";
/// The live server refuses the expression.
pub(super) const QUERY_ERROR: &str = "query-error";
/// A recording rule without a result.
pub(super) const RECORDS_NOTHING: &str = "records-nothing";

/// Every code.
#[cfg(test)]
pub(super) const ALL: &[&str] = &[
    FILE_UNREADABLE,
    SYNTAX,
    PROMTOOL_CHECK,
    PROMTOOL_TEST,
    ALERT_MISNAMED,
    SEVERITY_MISSING,
    SEVERITY_UNKNOWN,
    SERVICE_MISSING,
    VALUE_IN_A_LABEL,
    ANNOTATION_MISSING,
    RUNBOOK_MISSING,
    RUNBOOK_WITHOUT_ALERT,
    BOARD_MISSING,
    PANEL_MISSING,
    ALERT_WITHOUT_COMPARISON,
    RANGE_TOO_SHORT,
    BOUND_BEYOND_SHARE,
    ZERO_HIDES_ABSENCE,
    NEVER_RECORDED,
    USED_BEFORE_EVALUATED,
    FIRING_NEVER_EXPECTED,
    SILENCE_NEVER_EXPECTED,
    GENERATED_FILE_STALE,
    UNKNOWN_OBJECTIVE,
    BURN_THRESHOLD_WRONG,
    BURN_WINDOW_WRONG,
    BURN_COMPARISON_WRONG,
    BURN_WITHOUT_GUARD,
    OBJECTIVE_WITHOUT_ALERT,
    ABSENCE_NOT_ALERTED,
    MATCHERS_UNREADABLE,
    INHIBITION_WITHOUT_ALERT,
    INHIBITION_BY_AN_ABSENT_LABEL,
    INHIBITION_WITHOUT_EQUAL,
    INHIBITION_OF_THE_WORSE,
    INHIBITION_OF_THE_WATCHDOG,
    GROUP_WITHOUT_NAME,
    ROUTE_WITHOUT_ALERT,
    RECEIVER_MISSING,
    RECEIVER_WITHOUT_CHANNEL,
    HEARTBEAT_TOO_SLOW,
    TIME_WITH_A_GAP,
    UNDECLARED_METRIC,
    UNDECLARED_LABEL,
    UNDECLARED_VALUE,
    UNDECLARED_BUCKET,
    UNKNOWN_METRIC,
    VALUE_WITHOUT_SERIES,
    ABSENT_OVER_SEVERAL_INSTANCES,
    QUERY_ERROR,
    RECORDS_NOTHING,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_documented() {
        let page = include_str!("../../../docs/proof-findings-rules.md");
        for code in ALL {
            assert!(page.contains(&format!("| `{code}` |")), "{code}");
        }
    }
}
