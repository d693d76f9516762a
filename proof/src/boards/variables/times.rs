//! The range of a board, the steps of a panel, and Grafana's own variables, which follow from them.

use std::time::Duration;

use crate::promql;

/// The range that a board shows, and the steps of a panel in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Unix seconds.
    pub from: f64,
    /// Unix seconds.
    pub to: f64,
    /// Between two points of the panel: `$__interval`.
    pub interval: Duration,
    /// Between two scrapes, as the data source of Grafana knows it.
    pub scrape_interval: Duration,
}

impl Times {
    /// The times of a panel: its step is the range over its points, and at least `least` and the scrape interval.
    pub fn of_panel(
        range: (f64, f64),
        points: f64,
        least: Option<Duration>,
        scrape_interval: Duration,
    ) -> Self {
        let (from, to) = range;
        let even = ((to - from) / points.max(1.0)).max(0.0);
        // Whole seconds from one second on: a step of 1.37 s makes no two reads of a board alike.
        let even = if even > 1.0 { even.ceil() } else { even };
        let even = Duration::try_from_secs_f64(even).unwrap_or(Duration::MAX);
        Self {
            from,
            to,
            interval: even.max(least.unwrap_or(scrape_interval)),
            scrape_interval,
        }
    }

    /// `$__rate_interval`: Grafana's documented maximum of interval + scrape interval and four scrape intervals, so that
    /// a window always holds enough samples and no increase between two windows is lost.
    pub fn rate_interval(&self) -> Duration {
        (self.interval + self.scrape_interval).max(self.scrape_interval * 4)
    }

    /// `$__range`.
    pub fn range(&self) -> Duration {
        Duration::try_from_secs_f64((self.to - self.from).max(0.0)).unwrap_or_default()
    }

    /// One of Grafana's own variables.
    pub(super) fn built_in(&self, name: &str) -> Option<String> {
        let milliseconds = |length: Duration| length.as_millis().to_string();
        Some(match name {
            "__interval" => text_of(self.interval),
            "__interval_ms" => milliseconds(self.interval),
            "__rate_interval" => text_of(self.rate_interval()),
            "__rate_interval_ms" => milliseconds(self.rate_interval()),
            "__range" => format!("{}s", self.range().as_secs()),
            "__range_s" => self.range().as_secs().to_string(),
            "__range_ms" => milliseconds(self.range()),
            "__from" => format!("{:.0}", self.from * 1000.0),
            "__to" => format!("{:.0}", self.to * 1000.0),
            _ => return None,
        })
    }
}

/// A length as PromQL reads it.
fn text_of(length: Duration) -> String {
    if length.subsec_millis() == 0 {
        format!("{}s", length.as_secs())
    } else {
        format!("{}ms", length.as_millis())
    }
}

/// An interval of a panel or variable: `30s`, `>30s`, `1m`. A number alone is none, though PromQL takes it for seconds.
pub fn interval(text: &str) -> Option<Duration> {
    promql::duration(text.trim().trim_start_matches(['>', '='])).ok()
}
