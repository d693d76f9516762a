//! Whether an experiment can be measured at all: names against the plan, times against each other, numbers of requests
//! against what a figure needs. Pure, and asked before anything starts.
//!
//! Only what can *never* be measured is refused; what too few requests succeed in is said by the verdict.

use std::time::Duration;

use loadtest::nearest::hint;
use loadtest::plan::Plan;
use loadtest::stats::P95_MIN_SAMPLES;

use super::parse::Objection;
use super::{Expect, Experiment};
use crate::attribution::{MIN_TRACES, MIN_TRACES_OF_ROUTE};
use crate::windows::{MIN_BASELINE_REQUESTS, MIN_BASELINE_WINDOWS};

/// The generator is asked for more than the phases need.
const LONG: Duration = Duration::from_hours(1);
/// A phase may last a little longer than it should: the rollback begins when the wait for it has ended.
const SLACK_S: f64 = 1.0;

/// Times that can't be, whatever the plan. To be asked again when the length of the phases was changed.
pub fn check_times(experiment: &Experiment) -> Result<(), Objection> {
    let fault_s = experiment.phases.fault_s;
    for (_, alert) in experiment.expected_alerts() {
        if alert.within_s > fault_s {
            let message = format!(
                "expects {} within {} s, but the fault lasts {fault_s} s: use `within_s` of at most {fault_s}, or a longer \
                 `fault_s`",
                alert.alert, alert.within_s
            );
            return Err(Objection {
                key: "alert",
                value: alert.alert.clone(),
                message,
            });
        }
    }
    for expect in &experiment.expect {
        if let Expect::FailsFast { after_s, .. } = expect
            && *after_s >= fault_s
        {
            let message = format!(
                "is {after_s}, but the fault lasts {fault_s} s: nothing would be judged; use at most {}",
                fault_s.saturating_sub(1)
            );
            return Err(("after_s", message).into());
        }
    }
    Ok(())
}

/// Names and numbers of requests, against the plan that is sent.
pub fn check(experiment: &Experiment, plan: &Plan) -> Result<(), Objection> {
    check_times(experiment)?;
    // The generator refuses a plan whose thresholds it can't measure, also where nobody looks at them.
    let mut sent = plan.clone();
    sent.warmup = Duration::from_secs(experiment.phases.warm_up_s);
    sent.measure = LONG;
    sent.check_measurable()
        .map_err(|why| ("plan", format!("names one that can't be used: {why}")))?;
    for expect in &experiment.expect {
        for route in expect.routes() {
            check_route(route, plan)?;
        }
    }
    let rates = Rates { experiment, plan };
    rates.check_baseline()?;
    experiment
        .expect
        .iter()
        .try_for_each(|expect| rates.check_expect(expect))?;
    rates.check_detection()
}

fn check_route(route: &str, plan: &Plan) -> Result<(), Objection> {
    if plan.route_names().any(|known| known == route) {
        return Ok(());
    }
    let there: Vec<&str> = plan.route_names().collect();
    Err(Objection {
        key: "routes",
        value: route.to_owned(),
        message: format!(
            "names \"{route}\", which the plan {} does not send: it sends {}{}",
            plan.name,
            there.join(", "),
            hint(route, plan.route_names())
        ),
    })
}

/// How many requests there can be at most.
struct Rates<'a> {
    experiment: &'a Experiment,
    plan: &'a Plan,
}

impl Rates<'_> {
    fn most(&self, routes: &[String], seconds: f64) -> u64 {
        let rate: f64 = routes.iter().map(|route| self.plan.rate_of(route)).sum();
        (rate * (seconds + SLACK_S)).ceil() as u64 + 1
    }

    /// Sampled ones, of which there is a trace.
    fn most_traces(&self, routes: &[String], seconds: f64) -> u64 {
        self.most(routes, seconds) / self.plan.sample_one_in + routes.len() as u64
    }

    fn baseline_s(&self) -> f64 {
        self.experiment.phases.baseline_s as f64
    }

    fn fault_s(&self) -> f64 {
        self.experiment.phases.fault_s as f64
    }

    fn check_baseline(&self) -> Result<(), Objection> {
        let most = (self.plan.rate * self.baseline_s()).ceil() as u64 + 1;
        let needed = MIN_BASELINE_WINDOWS as u64 * MIN_BASELINE_REQUESTS;
        if most >= needed {
            return Ok(());
        }
        let message = format!(
            "is {}: the plan {} sends {} requests a second, so at most {most} in the baseline, and {MIN_BASELINE_WINDOWS} \
             windows of {P95_MIN_SAMPLES} are needed; use at least {:.0}, or a plan with a higher rate",
            self.experiment.phases.baseline_s,
            self.plan.name,
            self.plan.rate,
            (needed as f64 / self.plan.rate).ceil()
        );
        Err(("baseline_s", message).into())
    }

    fn check_expect(&self, expect: &Expect) -> Result<(), Objection> {
        let each = |routes: &[String], check: &dyn Fn(&[String]) -> Result<(), Objection>| {
            routes
                .iter()
                .try_for_each(|route| check(std::slice::from_ref(route)))
        };
        match expect {
            Expect::Steady { .. }
            | Expect::NoErrors { .. }
            | Expect::Alert(_)
            | Expect::Promql(_) => Ok(()),
            Expect::Unchanged { routes, .. } => each(routes, &|route| {
                self.enough(route, self.baseline_s(), "in the baseline")?;
                self.enough(route, self.fault_s(), "during the fault")
            }),
            Expect::FailsFast {
                routes, after_s, ..
            } => self.enough(
                routes,
                self.fault_s() - *after_s as f64,
                &format!("from {after_s} s after the onset on"),
            ),
            Expect::SlowerPerCall { routes, .. } => each(routes, &|route| {
                self.enough_traces(route, self.fault_s(), MIN_TRACES_OF_ROUTE)
            }),
            Expect::Attributed { routes, .. } => {
                self.enough_traces(routes, self.baseline_s(), MIN_TRACES)?;
                self.enough_traces(routes, self.fault_s(), MIN_TRACES)
            }
        }
    }

    fn check_detection(&self) -> Result<(), Objection> {
        if self.experiment.detection.first_error_share.is_none() {
            return Ok(());
        }
        let all: Vec<String> = self.plan.route_names().map(str::to_owned).collect();
        self.enough_traces(&all, self.fault_s(), MIN_TRACES)
            .map_err(|objection| Objection {
                key: "first_error_share",
                ..objection
            })
    }

    fn enough(&self, routes: &[String], seconds: f64, when: &str) -> Result<(), Objection> {
        self.refuse_below(
            routes,
            self.most(routes, seconds),
            P95_MIN_SAMPLES,
            &format!("requests {when}, and a p95 needs"),
        )
    }

    fn enough_traces(
        &self,
        routes: &[String],
        seconds: f64,
        needed: usize,
    ) -> Result<(), Objection> {
        let what = format!(
            "traces in {seconds} s (one request in {} is sampled), and needed are",
            self.plan.sample_one_in
        );
        self.refuse_below(
            routes,
            self.most_traces(routes, seconds),
            needed as u64,
            &what,
        )
    }

    fn refuse_below(
        &self,
        routes: &[String],
        most: u64,
        needed: u64,
        what: &str,
    ) -> Result<(), Objection> {
        if most >= needed {
            return Ok(());
        }
        let rate: f64 = routes.iter().map(|route| self.plan.rate_of(route)).sum();
        Err(Objection {
            key: "routes",
            value: routes.first().cloned().unwrap_or_default(),
            message: format!(
                "can't be measured on {}: the plan {} sends {rate} a second there, so at most {most} {what} {needed}; raise \
                 the length of the phases or the plan's rate",
                routes.join(", "),
                self.plan.name
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::definition::parse;

    const EXPERIMENT: &str = r#"
name = "x"
title = "t"
promise = "p"
[load]
plan = "browse"
[phases]
baseline_s = 12
fault_s = 12
[fault]
proxy = "store"
protocol = "http"
[fault.effect]
kind = "down"
[[expect]]
kind = "fails_fast"
routes = ["content", "render"]
status = 503
after_s = 2
p95_ms = 250
"#;

    fn plan(change: impl Fn(&str) -> String) -> Plan {
        let browse = include_str!("../../../loadtest/plans/browse.toml");
        Plan::parse(&change(browse), "browse.toml").expect("a plan")
    }

    /// What is said of an experiment in which `from` is replaced.
    fn said(from: &str, to: &str, plan: &Plan) -> Result<(), String> {
        assert!(EXPERIMENT.contains(from), "{from}");
        let text = EXPERIMENT.replacen(from, to, 1);
        let experiment = parse::parse(Path::new("x.toml"), &text).map_err(|bad| bad.to_string())?;
        check(&experiment, plan)
            .map_err(|objection| format!("`{}` {}", objection.key, objection.message))
    }

    fn refused(from: &str, to: &str, plan: &Plan, parts: &[&str]) {
        let said = said(from, to, plan).expect_err(to);
        for part in parts {
            assert!(said.contains(part), "{said:?} lacks {part:?}");
        }
    }

    #[test]
    fn an_experiment_that_can_be_measured_is_taken() {
        assert_eq!(
            said("after_s = 2", "after_s = 2", &plan(str::to_owned)),
            Ok(())
        );
        // Just so many requests as a p95 needs, were the phase a moment longer.
        assert_eq!(
            said("after_s = 2", "after_s = 9", &plan(str::to_owned)),
            Ok(())
        );
    }

    #[test]
    fn a_route_that_the_plan_does_not_send_is_refused_whatever_is_expected_of_it() {
        let browse = plan(str::to_owned);
        for expect in [
            "[[expect]]\nkind = \"unchanged\"\nroutes = [\"list\", \"contnet\"]",
            "[[expect]]\nkind = \"no_errors\"\nroutes = [\"list\", \"contnet\"]",
            "[[expect]]\nkind = \"slower_per_call\"\nroutes = [\"contnet\"]\nadded_ms = 9\ntolerance_ms = 1",
            "[[expect]]\nkind = \"attributed\"\nroutes = [\"contnet\"]\nmin_share = 0.5",
            "[[expect]]\nkind = \"fails_fast\"\nroutes = [\"contnet\"]\nstatus = 503\nafter_s = 1\np95_ms = 9",
        ] {
            let expect = format!("{expect}\noptional = true\n[[expect]]\nkind = \"fails_fast\"");
            refused(
                "[[expect]]\nkind = \"fails_fast\"",
                &expect,
                &browse,
                &[
                    "`routes` names \"contnet\"",
                    "it sends list, metadata, content, render, upload",
                    "did you mean \"content\"?",
                ],
            );
        }
        let without_render = plan(|text| {
            let lines = text.lines().filter(|line| !line.starts_with("render"));
            lines.collect::<Vec<_>>().join("\n")
        });
        refused(
            "status",
            "status",
            &without_render,
            &["\"render\"", "it sends list, metadata, content, upload"],
        );
    }

    #[test]
    fn a_time_after_the_end_of_the_fault_is_refused() {
        let browse = plan(str::to_owned);
        for after in ["12", "60", "9223372036854775807"] {
            refused(
                "after_s = 2",
                &format!("after_s = {after}"),
                &browse,
                &["`after_s`", "the fault lasts 12 s", "use at most 11"],
            );
        }
    }

    #[test]
    fn too_few_requests_for_a_figure_are_refused_with_the_arithmetic() {
        let slow = |rate: &str| plan(|text| text.replace("rate = 100.0", rate));
        refused(
            "after_s = 2",
            "after_s = 11",
            &plan(str::to_owned),
            &[
                "content, render",
                "58 a second",
                "at most 117",
                "a p95 needs 200",
            ],
        );
        refused(
            "after_s = 2",
            "after_s = 2",
            &slow("rate = 40.0"),
            &[
                "`baseline_s` is 12",
                "40 requests a second",
                "at most 481",
                "use at least 15",
            ],
        );
        refused(
            "kind = \"fails_fast\"",
            "kind = \"unchanged\"\nroutes = [\"upload\"]\n[[expect]]\nkind = \"fails_fast\"",
            &plan(str::to_owned),
            &[
                "upload",
                "2 a second",
                "at most 27 requests in the baseline",
            ],
        );
        let rarely = plan(|text| text.replace("timeout = \"5s\"", "sample_one_in = 100"));
        refused(
            "kind = \"fails_fast\"",
            "kind = \"attributed\"\nroutes = [\"content\"]\nmin_share = 0.5\n[[expect]]\nkind = \"fails_fast\"",
            &rarely,
            &["one request in 100 is sampled", "needed are 30"],
        );
        refused(
            "[[expect]]",
            "[detection]\nfirst_error_share = 0.5\n[[expect]]",
            &rarely,
            &["`first_error_share`", "needed are 30"],
        );
    }
}
