//! Mutations of alerts, recording rules, objectives and tests.

use serde_json::{Value, json};

use crate::table::{Change, Mutation, files, live, replaced, replaced_all, tested};

/// The table.
pub(crate) const TABLE: &[Mutation] = &[
    // Windows and waiting.
    files(
        "a range of one scrape",
        "prometheus#1428",
        Change::Alert(|e| replaced(e, r"\[5m\]", "[5s]")),
        &["range-too-short"],
    ),
    files(
        "a range of exactly two scrapes",
        "openobserve#14546",
        Change::Alert(|e| replaced(e, r"\[5m\]", "[10s]")),
        &["range-too-short"],
    ),
    files(
        "one failed scrape resets `for`",
        "pint#966",
        Change::Alert(|e| {
            replaced(
                e,
                r"^((?:max|sum) by \([^)]*\) \()?(?:max|min|avg)_over_time\((chitram_\w+(?:\{[^}]*\})?)\[5m\]\)",
                "$1$2",
            )
        }),
        &["range-too-short"],
    ),
    files(
        "one failed scrape of one side resets `for`",
        "pint#966",
        Change::Alert(|e| {
            replaced(
                e,
                r"(max by \([^)]*\) \()max_over_time\((chitram_\w+\{[^}]*\})\[5m\]\)",
                "$1$2",
            )
        }),
        &["range-too-short"],
    ),
    tested(
        "`for` left out",
        "prometheus#4836",
        Change::AlertFields(|a| a.as_object_mut()?.remove("for").map(drop)),
    ),
    tested(
        "`for` ten times as long",
        "prometheus#15175",
        Change::AlertFields(|a| {
            let longer = a["for"].as_str()?.replace('m', "0m");
            a["for"] = json!(longer);
            Some(())
        }),
    ),
    files(
        "the value in a label",
        "prometheus#4836",
        Change::AlertFields(|a| label(a, "{{ $value }}")),
        &["value-in-a-label"],
    ),
    files(
        "the rounded value in a label",
        "prometheus#4836",
        Change::AlertFields(|a| label(a, "{{ printf \"%.2f\" .Value }}")),
        &["value-in-a-label"],
    ),
    files(
        "the result of a query in a label",
        "prometheus#4836",
        Change::AlertFields(|a| {
            label(a, "{{ with query \"up\" }}{{ . | first | value }}{{ end }}")
        }),
        &["value-in-a-label"],
    ),
    files(
        "an alert for each value",
        "prometheus#4836",
        Change::Alert(|e| Some(format!("count_values(\"v\", {e}) > 0"))),
        &["value-in-a-label"],
    ),
    // Comparisons.
    files(
        "no comparison",
        "prometheus#16543",
        Change::Alert(|e| {
            let bare = replaced(e, r"\s+(?:>|<|==) *[0-9.]+$", "")?;
            (!bare.contains(['>', '<']) && !bare.contains("==") && !bare.contains("absent"))
                .then_some(bare)
        }),
        &["alert-without-comparison"],
    ),
    files(
        "a comparison with bool",
        "prometheus#16543",
        Change::Alert(|e| {
            let changed = replaced(e, r"(>|<) ([0-9.]+)$", "$1 bool $2")?;
            (changed.matches(['>', '<']).count() == 1 && !changed.contains("==")).then_some(changed)
        }),
        &["alert-without-comparison"],
    ),
    files(
        "a bound of 5 for a share",
        "prometheus#16543",
        Change::Alert(|e| {
            let changed = replaced(e, r"> 0\.0?5$", "> 5")?;
            changed.contains('/').then_some(changed)
        }),
        &["bound-beyond-share"],
    ),
    tested(
        "a bound a hundred times too high",
        "prometheus#16543",
        Change::Alert(|e| replaced(e, r"> (0\.[0-9]+|[1-9][0-9.]*)$", "> 100 * $1")),
    ),
    tested(
        "a bound a hundred times too low",
        "prometheus#16543",
        Change::Alert(|e| replaced(e, r"> (0\.[0-9]+|[1-9][0-9.]*)$", "> 0.01 * $1")),
    ),
    tested(
        "a comparison the other way",
        "prometheus#16543",
        Change::Alert(|e| {
            let changed = replaced(e, r"(>|<) ([0-9.]+)$", "OTHER $2")?;
            Some(
                changed.replace(
                    "OTHER",
                    if e.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
                        .ends_with('>')
                    {
                        "<"
                    } else {
                        ">"
                    },
                ),
            )
        }),
    ),
    // Counters and histograms.
    files(
        "an alert on a raw counter",
        "dashboard-linter#55",
        Change::Alert(|e| {
            replaced(
                e,
                r"(?:rate|increase)\((\w+(?:_total|_count)(?:\{[^}]*\})?)\[5m\]\)",
                "$1",
            )
        }),
        &["raw-counter"],
    ),
    files(
        "the difference of a counter in an alert",
        "prometheus#6624",
        Change::Alert(|e| {
            replaced(
                e,
                r"(?:rate|increase)\((\w+(?:_total|_count)(?:\{[^}]*\})?)\[5m\]\)",
                "delta($1[5m])",
            )
        }),
        &["delta-of-counter"],
    ),
    files(
        "a sum before the rate in an alert",
        "prometheus#6624",
        Change::Alert(|e| {
            replaced(
                e,
                r"(rate|increase)\((\w+(?:_total|_count)(?:\{[^}]*\})?)\[5m\]\)",
                "$1(sum by (job, instance) ($2)[5m:5s])",
            )
        }),
        &["sum-before-rate"],
    ),
    files(
        "a bound without a decimal point in an alert",
        "kubernetes-mixin#1005",
        Change::Alert(|e| replaced(e, r#"le="0\.25""#, r#"le="1""#)),
        &["bound-without-point"],
    ),
    files(
        "an alert by a bound that is no bucket's",
        "backstage#34194",
        Change::Alert(|e| replaced(e, r#"le="0\.25""#, r#"le="0.2""#)),
        &["undeclared-bucket"],
    ),
    files(
        "an objective by a bound that is no bucket's",
        "backstage#34194",
        Change::Generated(|e| replaced(e, r#"le="(0\.25|1\.0|30\.0)""#, r#"le="7.0""#)),
        &["undeclared-bucket"],
    ),
    // Joins and absence.
    files(
        "an alert's ratio of each failure with itself",
        "grafana PR 43116",
        Change::Alert(|e| {
            e.contains("error_type=~").then_some(())?;
            replaced_all(e, r"sum by \(job\)", "sum by (job, error_type)")
        }),
        &["ratio-with-itself"],
    ),
    files(
        "sides of an alert by different labels",
        "prometheus#4365",
        Change::Alert(|e| replaced(e, r"(/\s+\(sum by \(job)", "$1, instance, method")),
        &["ratio-of-different-labels"],
    ),
    files(
        "a condition without `on`",
        "prometheus#4365",
        Change::Alert(|e| {
            let changed = replaced(e, r"(and|unless) on \([^)]*\)", "$1")?;
            // Without `on` the labels of both sides must be the same, which here they are not.
            (e.contains("dependency, direction") || e.contains("outcome=~")).then_some(changed)
        }),
        &["ratio-of-different-labels"],
    ),
    files(
        "`or vector(0)` in an alert",
        "paas-cf#1684",
        Change::Alert(|e| replaced(e, r"^((?:sum|max)[^\n><=]*) (>|<)", "($1 or vector(0)) $2")),
        &["zero-hides-absence"],
    ),
    files(
        "an alert on a renamed metric",
        "OTel demo#849",
        Change::Alert(|e| {
            replaced(
                e,
                r"\b(chitram|http|db|otel|process)_(\w+)(\{|\[)",
                "${1}_v2_$2$3",
            )
        }),
        &["undeclared-metric"],
    ),
    files(
        "an alert on a renamed value",
        "OTel demo#849",
        Change::Alert(|e| {
            replaced(
                e,
                r#"(error_type|state|reason|outcome)="(\w+)""#,
                r#"$1="${2}ed""#,
            )
        }),
        &["undeclared-value"],
    ),
    files(
        "an alert on one of several values renamed",
        "OTel demo#849",
        Change::Alert(|e| replaced(e, r#"error_type=~"(\w+)\|"#, r#"error_type=~"${1}ed|"#)),
        &["undeclared-value"],
    ),
    files(
        "an alert by a label that is gone",
        "OTel demo#849",
        Change::Alert(|e| {
            replaced(
                e,
                r"by \(job, (?:queue|reason|process|db_client_connection_pool_name)\)",
                "by (job, shard)",
            )
        }),
        &["undeclared-label"],
    ),
    files(
        "a label renamed in an alert",
        "OTel demo#849",
        Change::Alert(|e| replaced(e, r"(error_type|reason|outcome|state)(=|!=)", "kind$2")),
        &["undeclared-label"],
    ),
    tested(
        "absence of an old name",
        "VictoriaMetrics#3732",
        Change::Alert(|e| {
            replaced(
                e,
                r#"absent\(up\{job="chitram"\}\)"#,
                r#"absent(up{job="chitrum"})"#,
            )
        }),
    ),
    live(
        "absence of an old name, on live data",
        "VictoriaMetrics#3732",
        "steady",
        Change::Alert(|e| {
            replaced(
                e,
                r#"absent\(up\{job="chitram"\}\)"#,
                r#"absent(up{job="chitrum"})"#,
            )
        }),
        &["value-without-series"],
    ),
    live(
        "absence over several instances",
        "VictoriaMetrics#3732",
        "steady",
        Change::Alert(|e| {
            replaced(
                e,
                r#"absent\(up\{job="chitram"\}\)"#,
                "absent(scrape_samples_scraped)",
            )
        }),
        &["absent-over-several-instances"],
    ),
    files(
        "no alert on absence",
        "sloth#133",
        Change::Alert(|e| replaced(e, r"\s+or\s+absent\([^)]*\)", "")),
        &["absence-not-alerted"],
    ),
    files(
        "the hour of a sample",
        "prometheus#11432",
        Change::Alert(|e| {
            e.contains("up")
                .then(|| format!("{e} and on () hour(timestamp(up)) > 8"))
        }),
        &["date-of-a-sample"],
    ),
    files(
        "the month of a value",
        "prometheus#11432",
        Change::Alert(|e| {
            e.contains("up")
                .then(|| format!("{e} and on () month(up) == 12"))
        }),
        &["date-of-a-sample"],
    ),
    // The scheme.
    files(
        "no severity",
        "alertmanager#2329",
        Change::AlertFields(|a| a["labels"].as_object_mut()?.remove("severity").map(drop)),
        &["severity-missing"],
    ),
    files(
        "a severity that no route knows",
        "alertmanager#2329",
        Change::AlertFields(|a| {
            a["labels"]["severity"] = json!("critical");
            Some(())
        }),
        &["severity-unknown"],
    ),
    files(
        "a runbook that is not there",
        "cluster-monitoring-operator#1227",
        Change::AlertFields(|a| {
            a["annotations"]["runbook_url"] = json!("docs/runbooks/gone.md");
            Some(())
        }),
        &["runbook-missing"],
    ),
    files(
        "a board that is not there",
        "cluster-monitoring-operator#1227",
        Change::AlertFields(|a| {
            a["annotations"]["dashboard_url"] = json!("/d/gone");
            Some(())
        }),
        &["board-missing"],
    ),
    files(
        "no description of an alert",
        "dashboard-linter#55",
        Change::AlertFields(|a| {
            a["annotations"]
                .as_object_mut()?
                .remove("description")
                .map(drop)
        }),
        &["annotation-missing"],
    ),
    files(
        "an alert renamed",
        "OTel demo#849",
        Change::AlertFields(|a| {
            a["alert"] = json!(format!("{}Now", a["alert"].as_str()?));
            Some(())
        }),
        &["firing-never-expected"],
    ),
    files(
        "no test that an alert fires",
        "pint#966",
        Change::Tests(|t| replaced_all(t, "exp_samples:", "exp_sampled:")),
        &["firing-never-expected", "file-unreadable"],
    ),
    // Objectives, as if their rules were written by hand.
    files(
        "an alert before its recording rule",
        "prometheus#5275",
        Change::GeneratedRules(|rules| {
            rules.rotate_left(3);
            Some(())
        }),
        &["used-before-evaluated"],
    ),
    files(
        "a ratio that nothing records",
        "prometheus#5275",
        Change::GeneratedRules(|rules| {
            let at = rules
                .iter()
                .position(|rule| rule["record"] == "slo:error_ratio:rate1h")?;
            rules[at]["record"] = json!("slo:error_ratio:rate_1h");
            for rule in rules {
                rule["expr"] = json!(
                    rule["expr"]
                        .as_str()?
                        .replace("slo:error_ratio:rate1h", "slo:error_rate:rate1h")
                );
            }
            Some(())
        }),
        &["never-recorded"],
    ),
    files(
        "a burn rate of another factor",
        "pyrra#1602",
        Change::Generated(|e| replaced(e, r"14\.4 \* ", "1.44 * ")),
        &["burn-threshold-wrong"],
    ),
    files(
        "a burn rate of another budget",
        "sloth#428",
        Change::Generated(|e| replaced_all(e, r"14\.4 \* 0\.0", "14.4 * 0.00")),
        &["burn-threshold-wrong"],
    ),
    files(
        "a burn rate in per cent",
        "sloth#428",
        Change::Generated(|e| replaced(e, r"14\.4 \* 0\.", "14.4 * 100 * 0.")),
        &["burn-threshold-wrong"],
    ),
    files(
        "a burn rate below its bound",
        "sloth#428",
        Change::Generated(|e| replaced(e, r"> 14\.4", "< 14.4")),
        &["burn-comparison-wrong"],
    ),
    files(
        "either window instead of both",
        "sloth#428",
        Change::Generated(|e| replaced(e, r"(> 14\.4 \* [0-9.]+\s+)and", "${1}or")),
        &["burn-window-wrong"],
    ),
    files(
        "a short window left out",
        "sloth#428",
        Change::Generated(|e| {
            replaced(
                e,
                r"and slo:error_ratio:rate5m\{[^}]*\} > 14\.4 \* [0-9.]+\s+",
                "",
            )
        }),
        &["burn-window-wrong"],
    ),
    files(
        "windows of two pairs exchanged",
        "sloth#428",
        Change::Generated(|e| {
            e.contains("14.4").then(|| {
                e.replace("rate5m{", "X{")
                    .replace("error_ratio:rate30m{", "error_ratio:rate5m{")
                    .replace("error_ratio:X{", "error_ratio:rate30m{")
                    .replace("X{", "rate5m{")
            })
        }),
        &["burn-window-wrong", "burn-threshold-wrong"],
    ),
    files(
        "no guard for little traffic",
        "pyrra#1602",
        Change::Generated(|e| {
            replaced(e, r"and slo:events:rate5m\{[^}]*\} \* 300 >= [0-9]+\s+", "")
        }),
        &["burn-without-guard"],
    ),
    files(
        "a guard that one event passes",
        "pyrra#1602",
        Change::Generated(|e| replaced(e, r"\* 300 >= [0-9]+", "* 300 >= 1")),
        &["burn-without-guard"],
    ),
    files(
        "an objective that is not declared",
        "pyrra#448",
        Change::Generated(|e| {
            e.contains("14.4").then_some(())?;
            replaced_all(e, r#"slo="[^"]*""#, r#"slo="gone""#)
        }),
        &["unknown-objective"],
    ),
    files(
        "another objective in the declaration",
        "pyrra#1576",
        Change::Objectives(|t| replaced(t, r"objective = 0\.999", "objective = 0.9")),
        &["generated-file-stale"],
    ),
    files(
        "an objective without an alert",
        "sloth#133",
        Change::Objectives(|t| {
            Some(format!(
                "{t}\n[[objective]]\nname = \"more\"\ntitle = \"More\"\nobjective = 0.99\ntotal = 'chitram_uploads_accepted_total{{job=\"chitram\"}}'\nbad = 'chitram_shed_total{{job=\"chitram\"}}'\nminimum_events = 20\ndashboard = \"/d/chitram-queue\"\n"
            ))
        }),
        &["objective-without-alert"],
    ),
    files(
        "the counter of an SLO left raw",
        "dashboard-linter#55",
        Change::Generated(|e| replaced(e, r"rate\((\w+\{[^}]*\})\[5m\](?: offset 30s)?\)", "$1")),
        &["raw-counter"],
    ),
    files(
        "a window shorter than the evaluation",
        "prometheus#1428",
        Change::Generated(|e| {
            replaced(
                e,
                r"avg_over_time\((slo:[a-z_]+:rate5m\{[^}]*\})\[30m\]\)",
                "avg_over_time($1[30s])",
            )
        }),
        &["range-too-short"],
    ),
];

fn label(alert: &mut Value, value: &str) -> Option<()> {
    alert.get_mut("labels")?["ratio"] = json!(value);
    Some(())
}
