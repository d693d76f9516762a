//! What a run's notifications mean for its verdict.

use super::super::bench::Broken;
use super::super::codes;
use super::super::evidence::Moments;
use super::super::report::{AlertSeen, SilentSeen};
use super::super::rig::Rig;
use super::super::scale::rules::name_and_labels;
use super::super::webhook::Heard;
use super::heard::{State, all, heard_since, is, state, text};
use super::{Course, Times};

impl Course<'_> {
    pub(super) async fn note_alerts(
        &mut self,
        rig: &Rig<'_, '_>,
        seen: &Times,
        moments: Moments,
    ) -> Result<(), Broken> {
        let heard = rig.webhook()?.heard();
        for (index, expected) in self.run.alerts.iter().enumerate() {
            let alert = name_and_labels(&expected.name, &expected.labels);
            let within = self.scale.length(expected.within.0).as_secs_f64();
            // An injection may take longer than the alert: then it was seen at once.
            let after = seen.get(&index).map(|at| (at - moments.injected).max(0.0));
            let late = after.is_some_and(|after| after > within);
            if after.is_none() || late {
                let now = match state(rig, expected).await? {
                    Some(State::Firing) if !late => "it fires in Prometheus, and Alertmanager holds it back (inhibited, or grouped)".to_owned(),
                    Some(state) => format!("it is {state}"),
                    None => "its expression has no result".to_owned(),
                };
                let took = after.map_or_else(
                    || "was not seen".to_owned(),
                    |after| format!("was seen after {after:.1} s"),
                );
                let sentence =
                    format!("{alert} {took}, and had to be within {within:.1} s (scaled): {now}");
                self.report.finding(self.file, codes::NOT_FIRED, sentence);
            }
            let receiver = all(&heard, expected)
                .map(|(_, heard)| heard.receiver.clone())
                .next();
            self.report.alerts.push(AlertSeen {
                alert,
                detected_after: after,
                within,
                cleared_after: None,
                receiver: receiver.unwrap_or_default(),
            });
        }
        Ok(())
    }

    pub(super) fn note_silence(&mut self, silent: &Times, moments: Moments) {
        for (index, expected) in self.run.silent.iter().enumerate() {
            let after = silent.get(&index).map(|at| at - moments.injected);
            let within = self.scale.length(expected.within.0).as_secs_f64();
            if after.is_none_or(|after| after > within) {
                let sentence = format!(
                    "{} did not fall silent within {within:.1} s (scaled)",
                    expected.alert
                );
                self.report.finding(self.file, codes::NOT_SILENT, sentence);
            }
            self.report.silent.push(SilentSeen {
                alert: expected.alert.clone(),
                noticed_after: after,
                heard_after: None,
            });
        }
    }

    /// Waits until each alert that fired is resolved, and what was silent is heard.
    pub(super) async fn cleared(
        &mut self,
        rig: &Rig<'_, '_>,
        moments: Moments,
        restored: f64,
    ) -> Result<(), Broken> {
        let bounds = self.run.alerts.iter().map(|alert| alert.clears_within);
        let bounds = bounds.chain(self.run.silent.iter().map(|silent| silent.clears_within));
        let longest = bounds
            .map(|within| self.scale.length(within.0))
            .max()
            .unwrap_or_default();
        let run = self.run;
        rig.wait(longest, async || {
            let heard = rig.webhook().ok()?.heard();
            let cleared = run
                .alerts
                .iter()
                .all(|expected| all(&heard, expected).all(|(_, heard)| !heard.fires()));
            let back = run
                .silent
                .iter()
                .all(|expected| heard_since(&heard, expected, restored).is_some());
            (cleared && back).then_some(())
        })
        .await?;
        let heard = rig.webhook()?.heard();
        for (index, expected) in self.run.alerts.iter().enumerate() {
            let fired: Vec<&Heard> = all(&heard, expected)
                .map(|(_, heard)| heard)
                .filter(|heard| heard.fired_since(moments.injecting).is_some())
                .collect();
            let last = fired
                .iter()
                .map(|heard| heard.cleared())
                .collect::<Option<Vec<f64>>>();
            let after = last
                .and_then(|all| all.into_iter().reduce(f64::max))
                .map(|at| (at - restored).max(0.0));
            let within = self.scale.length(expected.clears_within.0).as_secs_f64();
            if !fired.is_empty() && after.is_none_or(|after| after > within) {
                let alert = name_and_labels(&expected.name, &expected.labels);
                let sentence =
                    format!("{alert} did not clear within {within:.1} s (scaled) of the roll-back");
                self.report.finding(self.file, codes::NOT_CLEARED, sentence);
            }
            if let Some(seen) = self.report.alerts.get_mut(index) {
                seen.cleared_after = after;
            }
        }
        for (index, expected) in self.run.silent.iter().enumerate() {
            let after = heard_since(&heard, expected, restored).map(|at| at - restored);
            let within = self.scale.length(expected.clears_within.0).as_secs_f64();
            if after.is_none_or(|after| after > within) {
                let sentence = format!(
                    "{} was not heard again within {within:.1} s (scaled) of the roll-back",
                    expected.alert
                );
                self.report.finding(self.file, codes::NOT_CLEARED, sentence);
            }
            if let Some(seen) = self.report.silent.get_mut(index) {
                seen.heard_after = after;
            }
        }
        Ok(())
    }

    /// Everything else that fired.
    pub(super) fn beside(
        &mut self,
        rig: &Rig<'_, '_>,
        control: f64,
        injecting: f64,
    ) -> Result<(), Broken> {
        let webhook = rig.webhook()?;
        for (labels, heard) in webhook.heard() {
            let name = labels.get("alertname").map_or("", String::as_str);
            if self.watchdog == Some(name) {
                continue;
            }
            let alert = text(&labels);
            if heard.fired_in(control, injecting) {
                let sentence = format!(
                    "{alert} fired in the control time, which began {:.1} s before the cause",
                    injecting - control
                );
                self.report
                    .finding(self.file, codes::FIRED_BEFORE, sentence);
            }
            if heard.fired_since(injecting).is_none()
                || self.run.alerts.iter().any(|expected| is(&labels, expected))
            {
                continue;
            }
            if self.run.may_fire.iter().any(|may| may == name) {
                self.report.consequences.push(alert);
            } else {
                let sentence = format!(
                    "{alert} fired as well; if it is a consequence of the cause, list {name} in may_fire"
                );
                self.report
                    .finding(self.file, codes::FIRED_BESIDE, sentence);
            }
        }
        if webhook.lost() > 0 {
            let sentence = format!(
                "{} notifications or changes were not understood or not kept",
                webhook.lost()
            );
            self.report
                .finding(self.file, codes::INCONCLUSIVE, sentence);
        }
        Ok(())
    }
}
