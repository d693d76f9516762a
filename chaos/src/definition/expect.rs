//! The lines of a promise, each a kind of its own.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line of the promise. Routes are named as in the plan. One that is not `optional` and can't be measured makes the
/// experiment inconclusive.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expect {
    /// 5 of 6 windows, all routes pooled, stay in the baseline band.
    Steady {
        /// Whether an experiment may conclude without it.
        #[serde(default)]
        optional: bool,
    },
    /// Each route stays in its own baseline band.
    Unchanged {
        /// Routes.
        routes: Vec<String>,
        /// Whether an experiment may conclude without it.
        #[serde(default)]
        optional: bool,
    },
    /// No request fails.
    NoErrors {
        /// Routes.
        routes: Vec<String>,
        /// Whether an experiment may conclude without it.
        #[serde(default)]
        optional: bool,
    },
    /// Each route's median grows by this much for each call of the dependency that its traces show.
    SlowerPerCall {
        /// Routes.
        routes: Vec<String>,
        /// Milliseconds for each call.
        added_ms: u64,
        /// Milliseconds for each call, both ways.
        tolerance_ms: u64,
        /// Whether an experiment may conclude without it.
        #[serde(default)]
        optional: bool,
    },
    /// So large a share of the added latency lies on the dependency's client spans.
    Attributed {
        /// Routes, pooled.
        routes: Vec<String>,
        /// Between 0 and 1.
        min_share: f64,
        /// Whether an experiment may conclude without it.
        #[serde(default)]
        optional: bool,
    },
    /// From `after_s` on, every request is answered with this status, a problem document and `Retry-After`.
    FailsFast {
        /// Routes, judged together.
        routes: Vec<String>,
        /// The status of each answer.
        status: u16,
        /// Seconds after the verified injection.
        after_s: u64,
        /// Bound of the 95th percentile in milliseconds.
        p95_ms: u64,
        /// Whether an experiment may conclude without it.
        #[serde(default)]
        optional: bool,
    },
    /// An alert fires in time, and clears in time.
    Alert(ExpectedAlert),
    /// The result of a PromQL expression at the end of a phase is within bounds.
    Promql(Reading),
}

impl Expect {
    /// The routes that it speaks about; empty for all, pooled.
    pub fn routes(&self) -> &[String] {
        match self {
            Self::Steady { .. } | Self::Alert(_) | Self::Promql(_) => &[],
            Self::Unchanged { routes, .. }
            | Self::NoErrors { routes, .. }
            | Self::SlowerPerCall { routes, .. }
            | Self::Attributed { routes, .. }
            | Self::FailsFast { routes, .. } => routes,
        }
    }

    /// Whether an experiment may conclude without it.
    pub fn is_optional(&self) -> bool {
        match self {
            Self::Steady { optional }
            | Self::Unchanged { optional, .. }
            | Self::NoErrors { optional, .. }
            | Self::SlowerPerCall { optional, .. }
            | Self::Attributed { optional, .. }
            | Self::FailsFast { optional, .. } => *optional,
            Self::Alert(alert) => alert.optional,
            Self::Promql(reading) => reading.optional,
        }
    }

    /// Whether the promise is that these routes change.
    pub fn is_change(&self) -> bool {
        matches!(
            self,
            Self::SlowerPerCall { .. } | Self::Attributed { .. } | Self::FailsFast { .. }
        )
    }
}

/// An alert that must name the fault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAlert {
    /// Name of the alerting rule.
    pub alert: String,
    /// Labels that the alert has, perhaps among others.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Seconds from the verified injection until it fires.
    pub within_s: u64,
    /// Seconds from the lift until it is neither pending nor firing; absent: not asked.
    pub clears_within_s: Option<u64>,
    /// Whether an experiment may conclude without it.
    #[serde(default)]
    pub optional: bool,
}

impl ExpectedAlert {
    /// `StoreFailing{dependency="store"}`.
    pub fn selector(&self) -> String {
        if self.labels.is_empty() {
            return self.alert.clone();
        }
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        format!("{}{{{}}}", self.alert, labels.join(","))
    }
}

/// A PromQL expression, and what its result must be.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The expression: a number, or an instant vector of which each value must be within the bounds.
    pub query: String,
    /// At the end of which phase it is evaluated.
    pub phase: ReadingPhase,
    /// Least value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// Whether an experiment may conclude without it.
    #[serde(default)]
    pub optional: bool,
}

impl Reading {
    /// What its values must be.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            min: self.min,
            max: self.max,
        }
    }
}

/// A phase at whose end an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadingPhase {
    /// Before anything is injected.
    Baseline,
    /// One second before the rollback; in a negative control, the end of the observation.
    Fault,
    /// When service is as before and alerts that must clear have cleared, or the time for that is over.
    Recovery,
}

impl ReadingPhase {
    /// The word in files and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
        }
    }
}

/// A range of values, its ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Least value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
}

impl Bounds {
    /// Whether a value is within.
    pub fn hold(self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }

    /// `at least 1`, `between 1 and 2`.
    pub fn sentence(self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min.to_bits() == max.to_bits() => format!("exactly {min}"),
            (Some(min), Some(max)) => format!("between {min} and {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "any value".into(),
        }
    }
}
