//! Mutations of Alertmanager's configuration.

use serde_json::{Value, json};

use crate::table::{Change, Mutation, files};

/// The table.
pub(crate) const TABLE: &[Mutation] = &[
    // Inhibition.
    files(
        "an `equal` label that is missing on both sides",
        "alertmanager#507",
        Change::Routes(|r| inhibition(r, 0, |rule| rule["equal"] = json!(["cluster"]))),
        &["inhibition-by-an-absent-label"],
    ),
    files(
        "an `equal` label misspelt",
        "alertmanager#507",
        Change::Routes(|r| {
            inhibition(r, 2, |rule| {
                rule["equal"] = json!(["service", "job", "dependancy"]);
            })
        }),
        &["inhibition-by-an-absent-label"],
    ),
    files(
        "no `equal` label",
        "alertmanager#507",
        Change::Routes(|r| inhibition(r, 2, |rule| rule["equal"] = json!([]))),
        &["inhibition-without-equal"],
    ),
    files(
        "an inhibition by a renamed alert",
        "alertmanager#507",
        Change::Routes(|r| {
            inhibition(r, 0, |rule| {
                rule["source_matchers"] = json!(["alertname=\"ServiceGone\""]);
            })
        }),
        &["inhibition-without-alert"],
    ),
    files(
        "tickets that silence pages",
        "alertmanager#507",
        Change::Routes(|r| {
            inhibition(r, 1, |rule| {
                let source = rule["source_matchers"].take();
                rule["source_matchers"] = rule["target_matchers"].take();
                rule["target_matchers"] = source;
            })
        }),
        &["inhibition-of-the-worse"],
    ),
    files(
        "an inhibition that silences the watchdog",
        "alertmanager#507",
        Change::Routes(|r| {
            inhibition(r, 0, |rule| {
                rule["target_matchers"] = json!(["service=\"chitram\""]);
                rule["equal"] = json!(["service"]);
            })
        }),
        &["inhibition-of-the-watchdog"],
    ),
    // Grouping and routes.
    files(
        "groups without the alert's name",
        "alertmanager#2329",
        Change::Routes(|r| {
            r["route"]["group_by"] = json!(["service"]);
            Some(())
        }),
        &["group-without-name"],
    ),
    files(
        "no groups",
        "alertmanager#2329",
        Change::Routes(|r| r["route"].as_object_mut()?.remove("group_by").map(drop)),
        &["group-without-name"],
    ),
    files(
        "a route with groups of its own without the name",
        "alertmanager#2329",
        Change::Routes(|r| route(r, 1, |route| route["group_by"] = json!(["severity"]))),
        &["group-without-name"],
    ),
    files(
        "a heartbeat by default intervals",
        "alertmanager#3389",
        Change::Routes(|r| {
            route(r, 0, |route| {
                let fields = route.as_object_mut().unwrap();
                fields.remove("repeat_interval");
                fields.remove("group_interval");
            })
        }),
        &["heartbeat-too-slow"],
    ),
    files(
        "a heartbeat every four hours",
        "alertmanager#3389",
        Change::Routes(|r| route(r, 0, |route| route["repeat_interval"] = json!("4h"))),
        &["heartbeat-too-slow"],
    ),
    files(
        "a heartbeat of long groups",
        "alertmanager#3389",
        Change::Routes(|r| route(r, 0, |route| route["group_interval"] = json!("30m"))),
        &["heartbeat-too-slow"],
    ),
    files(
        "the watchdog to nobody",
        "alertmanager#3389",
        Change::Routes(|r| receiver(r, "watchdog")),
        &["receiver-without-channel"],
    ),
    files(
        "pages to nobody",
        "alertmanager#2329",
        Change::Routes(|r| receiver(r, "pages")),
        &["receiver-without-channel"],
    ),
    files(
        "tickets to nobody",
        "alertmanager#2329",
        Change::Routes(|r| receiver(r, "tickets")),
        &["receiver-without-channel"],
    ),
    files(
        "a route that no alert takes",
        "alertmanager#2329",
        Change::Routes(|r| {
            route(r, 1, |route| {
                route["matchers"] = json!(["severity=\"critical\""]);
            })
        }),
        &["route-without-alert"],
    ),
    files(
        "a receiver that is not there",
        "alertmanager#2329",
        Change::Routes(|r| route(r, 1, |route| route["receiver"] = json!("pager"))),
        &["receiver-missing"],
    ),
    files(
        "a route that takes what the next is for",
        "alertmanager#2329",
        Change::Routes(|r| {
            route(r, 0, |route| {
                route["matchers"] = json!(["service=\"chitram\""]);
            })
        }),
        &["route-without-alert"],
    ),
    // Times.
    files(
        "a night that ends at 23:59",
        "alertmanager: time intervals",
        Change::Routes(|r| times(r, "22:00", "23:59")),
        &["time-with-a-gap"],
    ),
    files(
        "an hour that ends at 11:59",
        "alertmanager: time intervals",
        Change::Routes(|r| times(r, "11:00", "11:59")),
        &["time-with-a-gap"],
    ),
];

fn inhibition(routes: &mut Value, at: usize, change: impl Fn(&mut Value)) -> Option<()> {
    routes["inhibit_rules"].get_mut(at).map(change)
}

fn route(routes: &mut Value, at: usize, change: impl Fn(&mut Value)) -> Option<()> {
    routes["route"]["routes"].get_mut(at).map(change)
}

/// Takes a receiver's ways to reach somebody.
fn receiver(routes: &mut Value, name: &str) -> Option<()> {
    let receivers = routes["receivers"].as_array_mut()?;
    let receiver = receivers
        .iter_mut()
        .find(|receiver| receiver["name"] == name)?;
    receiver
        .as_object_mut()?
        .remove("webhook_configs")
        .map(drop)
}

fn times(routes: &mut Value, from: &str, to: &str) -> Option<()> {
    routes["time_intervals"] = json!([{"name": "quiet", "time_intervals": [{"times": [{"start_time": from, "end_time": to}]}]}]);
    route(routes, 1, |route| {
        route["mute_time_intervals"] = json!(["quiet"]);
    })
}
