//! Mutations of panels, boards and data sources.

use serde_json::{Value, json};

use crate::table::{Change, Mutation, files, live, replaced};

/// The table.
pub(crate) const TABLE: &[Mutation] = &[
    // Units.
    files(
        "seconds shown as milliseconds",
        "kubernetes-mixin PR 1171",
        Change::Panel(|p| unit(p, "s", "ms")),
        &["wrong-unit"],
    ),
    files(
        "bytes shown as bits",
        "harvest#195",
        Change::Panel(|p| unit(p, "bytes", "bits")),
        &["wrong-unit"],
    ),
    files(
        "shares shown as per cent",
        "flagger#1161",
        Change::Panel(|p| unit(p, "percentunit", "percent")),
        &["wrong-unit"],
    ),
    files(
        "a rate shown as a percentage",
        "pyrra#1022",
        Change::Panel(|p| unit(p, "reqps", "percentunit").or_else(|| unit(p, "ops", "percent"))),
        &["wrong-unit"],
    ),
    files(
        "a number of things shown as seconds",
        "pyrra#1022",
        Change::Panel(|p| unit(p, "short", "s")),
        &["wrong-unit"],
    ),
    files(
        "a rate shown as a number",
        "pyrra#1022",
        Change::Panel(|p| unit(p, "cps", "short").or_else(|| unit(p, "ops", "short"))),
        &["wrong-unit"],
    ),
    files(
        "a wrong unit for names that match",
        "harvest#195",
        Change::Panel(|p| {
            let unit = p.pointer("/fieldConfig/defaults/unit")?.as_str()?;
            let wrong = match unit {
                "s" => "ms",
                "bytes" => "bits",
                "percentunit" => "percent",
                "reqps" => "percentunit",
                _ => return None,
            };
            adds_override(p, "byRegexp", "/.*/", "unit", &json!(wrong))
        }),
        &["wrong-unit"],
    ),
    files(
        "a scale of 100 for a share",
        "pyrra#1022",
        Change::Panel(|p| {
            (p.pointer("/fieldConfig/defaults/unit")? == "percentunit").then_some(())?;
            sets(p, "max", json!(100))
        }),
        &["wrong-scale"],
    ),
    files(
        "thresholds of 80 for a share",
        "pyrra#1022",
        Change::Panel(|p| {
            (p.pointer("/fieldConfig/defaults/unit")? == "percentunit").then_some(())?;
            sets(
                p,
                "thresholds",
                json!({"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 80}]}),
            )
        }),
        &["wrong-scale"],
    ),
    files(
        "no unit",
        "dashboard-linter#55",
        Change::Panel(|p| {
            p.pointer("/options/yAxis").is_none().then_some(())?;
            (!overrides_unit(p) && is_numeric(p)).then_some(())?;
            p.pointer_mut("/fieldConfig/defaults")?
                .as_object_mut()?
                .remove("unit")
                .map(drop)
        }),
        &["no-unit"],
    ),
    files(
        "no description",
        "dashboard-linter#55",
        Change::Panel(|p| (p["type"] != "text").then(|| p["description"] = json!(""))),
        &["no-description"],
    ),
    // What is missing.
    files(
        "lines over gaps",
        "grafana#6868",
        Change::Panel(|p| custom(p, "spanNulls", json!(true))),
        &["gaps-bridged"],
    ),
    files(
        "lines over gaps of an hour",
        "grafana#6868",
        Change::Panel(|p| custom(p, "spanNulls", json!(3_600_000))),
        &["gaps-bridged"],
    ),
    files(
        "missing shown as 0",
        "grafana#5149",
        Change::Panel(|p| {
            is_numeric(p)
                .then_some(())
                .and_then(|()| sets(p, "noValue", json!("0")))
        }),
        &["missing-shown-as-value"],
    ),
    files(
        "missing shown as OK",
        "grafana#5149",
        Change::Panel(|p| {
            is_numeric(p)
                .then_some(())
                .and_then(|()| sets(p, "noValue", json!("All good")))
        }),
        &["missing-shown-as-value"],
    ),
    files(
        "null mapped to OK",
        "grafana#5149",
        Change::Panel(|p| {
            is_numeric(p).then_some(()).and_then(|()| sets(p, "mappings", json!([{"type": "special", "options": {"match": "null", "result": {"text": "Healthy"}}}])))
        }),
        &["missing-shown-as-value"],
    ),
    files(
        "null mapped to OK by an override",
        "grafana#5149",
        Change::Panel(|p| adds_override(p, "byName", "x", "noValue", &json!("OK"))),
        &["missing-shown-as-value"],
    ),
    files(
        "the last value stands for now",
        "grafana#17911",
        Change::Panel(|p| {
            (p["type"] == "stat").then_some(())?;
            p["options"]["reduceOptions"]["calcs"] = json!(["lastNotNull"]);
            targets(p, |target| {
                target["instant"] = json!(false);
                target["range"] = json!(true);
            })
        }),
        &["stale-value"],
    ),
    files(
        "the last value by PromQL",
        "grafana#17911",
        Change::Panel(|p| {
            (p["type"] == "stat").then_some(())?;
            let expr = p["targets"][0]["expr"].as_str()?;
            let expr = replaced(
                expr,
                r"\b(up\{[^}]*\}|chitram_\w+(?:in_use|letters|depth|workers)\{[^}]*\}|http_server_active_requests\{[^}]*\})",
                "last_over_time($1[1h])",
            )?;
            p["targets"][0]["expr"] = json!(expr);
            Some(())
        }),
        &["stale-value"],
    ),
    files(
        "stacked to 100 %",
        "kubernetes-mixin#334",
        Change::Panel(|p| custom(p, "stacking", json!({"mode": "percent", "group": "A"}))),
        &["stacked-to-percent"],
    ),
    files(
        "a hidden query",
        "grafana#63185",
        Change::Panel(|p| {
            let target = p["targets"].get_mut(0)?;
            target["hide"] = json!(true);
            Some(())
        }),
        &["hidden-query"],
    ),
    files(
        "a hidden query under an expression",
        "grafana#63185",
        Change::Panel(|p| {
            p["targets"].get_mut(0)?["hide"] = json!(true);
            let letter = p["targets"][0]["refId"].as_str()?.to_owned();
            p["targets"].as_array_mut()?.push(json!({"refId": "Z", "type": "math", "expression": format!("${letter} * 1"), "datasource": {"type": "__expr__", "uid": "__expr__"}}));
            Some(())
        }),
        &["hidden-query-used"],
    ),
    files(
        "the mean of a percentile's course",
        "Hystrix#1203",
        Change::Panel(|p| {
            (p["type"] == "stat"
                && p["targets"][0]["expr"]
                    .as_str()?
                    .starts_with("histogram_quantile"))
            .then_some(())?;
            p["options"]["reduceOptions"]["calcs"] = json!(["mean"]);
            targets(p, |target| {
                target["instant"] = json!(false);
                target["range"] = json!(true);
            })
        }),
        &["aggregated-quantile"],
    ),
    files(
        "a calendar month for a rolling window",
        "pyrra#1576",
        Change::Panel(|p| {
            let month = p["targets"].as_array()?.iter().any(|t| {
                t["expr"]
                    .as_str()
                    .is_some_and(|e| e.contains("error_budget_remaining") || e.contains("30d"))
            });
            month.then(|| p["title"] = json!("Budget left this month"))
        }),
        &["rolling-window-misread"],
    ),
    live(
        "a legend by a label that is gone",
        "OTel demo#849",
        "steady",
        Change::Panel(|p| {
            (p["targets"].as_array()?.len() == 1
                && p["targets"][0]["legendFormat"]
                    .as_str()?
                    .starts_with("{{http"))
            .then_some(())?;
            p["targets"][0]["legendFormat"] = json!("{{route}}");
            Some(())
        }),
        &["legend-without-label"],
    ),
    live(
        "exemplars of what has none",
        "client_java#714",
        "steady",
        Change::Panel(|p| {
            let expr = p["targets"][0]["expr"].as_str()?;
            (p["type"] == "timeseries" && expr.starts_with("sum") && expr.contains("_total{"))
                .then_some(())?;
            p["targets"][0]["exemplar"] = json!(true);
            Some(())
        }),
        &["no-exemplars"],
    ),
    // The file.
    files(
        "a data source by its name",
        "grafana-k8s-operator#199",
        Change::Panel(|p| {
            p["targets"].as_array_mut()?.iter_mut().for_each(|target| {
                target["datasource"] = json!({"type": "prometheus", "uid": "prometheus"});
            });
            p["datasource"] = json!({"type": "prometheus", "uid": "prometheus"});
            (!p["targets"].as_array()?.is_empty()).then_some(())
        }),
        &["fixed-datasource"],
    ),
    files(
        "a letter twice",
        "grafana#63185",
        Change::Panel(|p| {
            let letter = p["targets"].get(0)?["refId"].clone();
            p["targets"].get_mut(1)?["refId"] = letter;
            Some(())
        }),
        &["ref-id-not-unique"],
    ),
    files(
        "a link to a board that is gone",
        "OTel demo#849",
        Change::Board(|b| {
            let text = replaced(&b.to_string(), r"/d/chitram-(\w+)", "/d/old-$1")?;
            *b = serde_json::from_str(&text).ok()?;
            Some(())
        }),
        &["dead-link"],
    ),
    files(
        "an id twice",
        "dashboard-linter#55",
        Change::Board(|b| {
            b["panels"][1]["id"] = b["panels"][0]["id"].clone();
            Some(())
        }),
        &["panel-id-not-unique"],
    ),
    files(
        "the uid of another board",
        "dashboard-linter#55",
        Change::Board(|b| {
            let other = if b["uid"] == "chitram-overview" {
                "chitram-queue"
            } else {
                "chitram-overview"
            };
            b["uid"] = json!(other);
            Some(())
        }),
        &["uid-not-unique"],
    ),
    files(
        "`.*` for All",
        "harvest#2952",
        Change::Board(|b| {
            let variables = b.pointer_mut("/templating/list")?.as_array_mut()?;
            variables.iter_mut().find(|v| v["allValue"] == ".+")?["allValue"] = json!(".*");
            Some(())
        }),
        &["all-includes-absent"],
    ),
    files(
        "a variable that nothing uses",
        "harvest#2952",
        Change::Board(|b| {
            let variables = b.pointer_mut("/templating/list")?.as_array_mut()?;
            variables.push(json!({"name": "unused", "type": "custom", "query": "a,b"}));
            Some(())
        }),
        &["unused-variable"],
    ),
    live(
        "a variable that asks an old metric",
        "harvest#2952",
        "steady",
        Change::Board(|b| {
            let variables = b.pointer_mut("/templating/list")?.as_array_mut()?;
            let query = variables.iter_mut().find(|v| v["name"] == "instance")?;
            query["query"]["query"] =
                json!("label_values(chitram_info{job=\"chitram\"}, instance)");
            Some(())
        }),
        &["unknown-metric"],
    ),
    live(
        "a variable filtered by an empty parent",
        "harvest#2952",
        "steady",
        Change::Board(|b| {
            let variables = b.pointer_mut("/templating/list")?.as_array_mut()?;
            let query = variables.iter_mut().find(|v| v["name"] == "instance")?;
            query["query"]["query"] =
                json!("label_values(chitram_build_info{cluster=~\"$datasource\"}, instance)");
            Some(())
        }),
        &["unknown-label"],
    ),
    // The data source.
    files(
        "a data source that is not told the scrape interval",
        "grafana#107665",
        Change::DataSources(|text| replaced(text, r" *timeInterval: 5s\n", "")),
        &["scrape-interval"],
    ),
    live(
        "a data source that is told too short a scrape interval",
        "grafana#107665",
        "steady",
        Change::DataSources(|text| replaced(text, "timeInterval: 5s", "timeInterval: 1s")),
        &["scrape-interval"],
    ),
];

fn is_numeric(panel: &Value) -> bool {
    ["timeseries", "stat", "gauge", "heatmap"]
        .iter()
        .any(|kind| panel["type"] == *kind)
}

fn unit(panel: &mut Value, from: &str, to: &str) -> Option<()> {
    if panel
        .pointer("/options/yAxis/unit")
        .is_some_and(|unit| unit == from)
    {
        panel["options"]["yAxis"]["unit"] = json!(to);
        return Some(());
    }
    let overridden = overrides_unit(panel);
    let unit = panel.pointer_mut("/fieldConfig/defaults/unit")?;
    (*unit == from && !overridden).then(|| *unit = json!(to))
}

fn overrides_unit(panel: &Value) -> bool {
    panel["fieldConfig"]["overrides"]
        .to_string()
        .contains("\"unit\"")
}

fn sets(panel: &mut Value, field: &str, value: Value) -> Option<()> {
    panel.pointer_mut("/fieldConfig/defaults")?[field] = value;
    Some(())
}

fn custom(panel: &mut Value, field: &str, value: Value) -> Option<()> {
    (panel["type"] == "timeseries")
        .then(|| panel["fieldConfig"]["defaults"]["custom"][field] = value)
}

fn adds_override(
    panel: &mut Value,
    matcher: &str,
    name: &str,
    property: &str,
    value: &Value,
) -> Option<()> {
    is_numeric(panel).then_some(())?;
    (panel["type"] != "heatmap").then_some(())?;
    let rule = json!({"matcher": {"id": matcher, "options": name}, "properties": [{"id": property, "value": value}]});
    let config = panel.get_mut("fieldConfig")?;
    if !config["overrides"].is_array() {
        config["overrides"] = json!([]);
    }
    config["overrides"].as_array_mut()?.push(rule);
    Some(())
}

fn targets(panel: &mut Value, change: impl Fn(&mut Value)) -> Option<()> {
    panel["targets"].as_array_mut()?.iter_mut().for_each(change);
    Some(())
}
