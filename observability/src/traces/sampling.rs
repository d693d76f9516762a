//! Which traces are recorded: those whose caller recorded them, and of the others a share that can be changed while the
//! process runs.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::trace::TraceId;

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

    /// Follows the ratio.
    pub(crate) fn roots(&self) -> Roots {
        Roots::Share(self.share.clone())
    }
}

/// Which traces that begin here are recorded. What an inbound request says of its own trace stands.
#[derive(Debug)]
pub(crate) enum Roots {
    /// None: in a process whose spans stay inside.
    None,
    /// All: in tests.
    All,
    /// As many as the ratio says; its bits.
    Share(Arc<AtomicU64>),
}

impl Roots {
    /// Decides by the trace's id, so that others with the same ratio decide alike. The algorithm is that of
    /// OpenTelemetry's `TraceIdRatioBased`: the id's lower 63 bits are below the ratio of their range.
    pub(super) fn samples(&self, trace: TraceId) -> bool {
        let share = match self {
            Self::None => return false,
            Self::All => return true,
            Self::Share(bits) => f64::from_bits(bits.load(Ordering::Relaxed)),
        };
        let low = u128::from_be_bytes(trace.to_bytes()) as u64 >> 1;
        let bound = share * (1_u64 << 63) as f64;
        share >= 1.0 || low < bound as u64
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
    fn the_share_of_the_ids_is_the_share_of_the_traces() {
        let roots = |share: f64| Roots::Share(Arc::new(AtomicU64::new(share.to_bits())));
        // Evenly spread over the half of the id that decides.
        let ids = (0..1000_u64).map(|step| TraceId::from(u128::from(step * (u64::MAX / 1000))));
        for (share, expected) in [(0.0, 0), (0.1, 100), (0.5, 500), (1.0, 1000)] {
            let roots = roots(share);
            let sampled = ids.clone().filter(|id| roots.samples(*id)).count();
            assert!(sampled.abs_diff(expected) <= 1, "{share}: {sampled}");
        }
        assert!(roots(1.0).samples(TraceId::from(u128::MAX)));
    }

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
