//! Which traces are recorded: those whose caller recorded them, and of the others a share that can be changed while the
//! process runs.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use crate::metrics::{Desc, Gauge, Registry};

pub(crate) const RATIO: Desc = Desc::gauge(
    "chitram_trace_sampling_ratio",
    "Share of the traces without a sampled parent that are recorded.",
    &[],
);

static CONTROL: OnceLock<Ratio> = OnceLock::new();

/// The share of root spans that are recorded.
#[derive(Debug, Clone)]
pub(crate) struct Ratio {
    /// The bits of the number.
    share: Arc<AtomicU64>,
    shown: Gauge,
}

impl Ratio {
    pub(crate) fn new(share: f64, registry: &Registry) -> Self {
        let ratio = Self {
            share: Arc::default(),
            shown: registry.gauge(&RATIO, &[]),
        };
        ratio.set(Share(share));
        ratio
    }

    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.share.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, Share(share): Share) {
        self.share.store(share.to_bits(), Ordering::Relaxed);
        self.shown.set(share);
    }

    /// A sampler that follows the ratio: an inbound decision stands, a root is recorded with this probability.
    pub(crate) fn sampler(&self) -> Sampler {
        Sampler::ParentBased(Box::new(Root(self.share.clone())))
    }
}

/// A sampler for a process whose spans stay inside.
pub(crate) fn none() -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::AlwaysOff))
}

/// A sampler for tests: each root is recorded.
pub(crate) fn all() -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
}

#[derive(Debug, Clone)]
struct Root(Arc<AtomicU64>);

impl ShouldSample for Root {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let share = f64::from_bits(self.0.load(Ordering::Relaxed));
        Sampler::TraceIdRatioBased(share)
            .should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(f64);

/// What is no share.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a sampling ratio; write a number from 0 to 1, for example 0.1")]
pub(crate) struct BadShare(String);

impl FromStr for Share {
    type Err = BadShare;

    /// A decimal number. No sign, no exponent and no word: `inf` and `nan` are numbers for the parser only.
    fn from_str(text: &str) -> Result<Self, BadShare> {
        let digits = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text.parse() {
            Ok(share) if digits && (0.0..=1.0).contains(&share) => Ok(Self(share)),
            _ => Err(BadShare(text.chars().take(64).collect())),
        }
    }
}

/// Makes this ratio the one that the admin listener shows and changes.
pub(crate) fn control(ratio: Ratio) {
    // Already set only if init ran before, which it refuses.
    let _ = CONTROL.set(ratio);
}

/// The ratio of the process; `None` where no span leaves it.
pub(crate) fn ratio() -> Option<&'static Ratio> {
    CONTROL.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_decimal_number_from_0_to_1() {
        for (text, share) in [
            ("0", 0.0),
            ("1", 1.0),
            ("0.25", 0.25),
            (".5", 0.5),
            ("1.0", 1.0),
        ] {
            assert_eq!(text.parse::<Share>().ok(), Some(Share(share)), "{text}");
        }
        for text in [
            "", ".", "-0", "+1", "1.01", "2", "1e-1", "nan", "inf", "10%", "0,1", "half", "0.1.2",
        ] {
            let error = text.parse::<Share>().expect_err(text).to_string();
            assert!(
                error.contains(&format!("{text:?}")) && error.contains("from 0 to 1"),
                "{error}"
            );
        }
    }
}
