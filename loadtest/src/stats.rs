//! The statistics that load results and chaos verdicts share.
//!
//! Percentiles are never averaged: histograms are merged, or samples pooled. A percentile of too few samples is `None`,
//! which is printed as "n too small".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

/// The fewest samples that say something about p95.
pub const P95_MIN_SAMPLES: u64 = 200;
/// The fewest samples that say something about p99.
pub const P99_MIN_SAMPLES: u64 = 1_000;
/// The fewest samples that say something about p99.9.
pub const P999_MIN_SAMPLES: u64 = 10_000;

/// The longest latency that a histogram tells apart: one hour in microseconds.
const HISTOGRAM_MAX_US: u64 = 3_600_000_000;
const HISTOGRAM_DIGITS: u8 = 3;

/// The exact `q`-quantile of `values` by nearest rank: the smallest value that at least `q` of all values do not exceed.
/// `None` without values. `values` need not be sorted.
pub fn quantile(values: &[u64], q: f64) -> Option<u64> {
    let mut values = values.to_vec();
    let rank = nearest_rank(values.len(), q)?;
    Some(*values.select_nth_unstable(rank).1)
}

/// The index of the `q`-quantile among `n` sorted values.
fn nearest_rank(n: usize, q: f64) -> Option<usize> {
    let last = n.checked_sub(1)?;
    let rank = (q.clamp(0.0, 1.0) * n as f64).ceil() as usize;
    Some(rank.saturating_sub(1).min(last))
}

/// The median: the mean of the two middle values when their number is even. `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The arithmetic mean. `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Latencies in microseconds with three significant digits, up to one hour, in bounded memory.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyHistogram(Histogram<u64>);

impl Default for LatencyHistogram {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HISTOGRAM_MAX_US, HISTOGRAM_DIGITS);
        Self(histogram.expect("the bounds are constants that hdrhistogram accepts"))
    }
}

impl LatencyHistogram {
    /// Adds one latency; one beyond an hour counts as an hour.
    pub fn record(&mut self, latency_us: u64) {
        self.0.saturating_record(latency_us);
    }

    /// Adds every sample of `other`, as if they had been recorded here.
    pub fn merge(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .expect("all our histograms have the same bounds");
    }

    /// How many samples it holds.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether it holds no sample.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The figures that its number of samples allows.
    pub fn percentiles(&self) -> Percentiles {
        let n = self.len();
        let at_least = |least: u64, q: f64| (n >= least).then(|| self.0.value_at_quantile(q));
        Percentiles {
            n,
            p50_us: at_least(1, 0.5),
            p95_us: at_least(P95_MIN_SAMPLES, 0.95),
            p99_us: at_least(P99_MIN_SAMPLES, 0.99),
            p999_us: at_least(P999_MIN_SAMPLES, 0.999),
            max_us: at_least(1, 1.0),
        }
    }

    /// The histogram in `HdrHistogram`'s V2 format, as base64.
    pub fn to_base64(&self) -> String {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&self.0, &mut bytes)
            .expect("a Vec takes every byte");
        STANDARD.encode(bytes)
    }

    /// Reads what [`Self::to_base64`] wrote. The error is a sentence.
    pub fn from_base64(text: &str) -> Result<Self, String> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| format!("the histogram is not base64: {error}"))?;
        let read: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| {
                format!("the histogram is not in HdrHistogram's V2 format: {error}")
            })?;
        let mut histogram = Self::default();
        histogram
            .0
            .add(&read)
            .map_err(|error| format!("the histogram has other bounds: {error}"))?;
        Ok(histogram)
    }
}

/// Figures of one distribution in microseconds, each only with enough samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Samples.
    pub n: u64,
    /// Median.
    pub p50_us: Option<u64>,
    /// 95th percentile, from [`P95_MIN_SAMPLES`] on.
    pub p95_us: Option<u64>,
    /// 99th percentile, from [`P99_MIN_SAMPLES`] on.
    pub p99_us: Option<u64>,
    /// 99.9th percentile, from [`P999_MIN_SAMPLES`] on.
    pub p999_us: Option<u64>,
    /// The slowest.
    pub max_us: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let values = [50, 10, 40, 20, 30];
        assert_eq!(quantile(&values, 0.0), Some(10));
        assert_eq!(quantile(&values, 0.5), Some(30));
        assert_eq!(quantile(&values, 0.9), Some(50));
        assert_eq!(quantile(&values, 1.0), Some(50));
        assert_eq!(quantile(&[], 0.5), None);
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(quantile(&hundred, 0.95), Some(95));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(mean(&[]), None);
    }

    fn histogram_of(values: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    #[test]
    fn merged_histograms_equal_the_histogram_of_the_pooled_samples() {
        let fast: Vec<u64> = (0..1_500).map(|i| 900 + i * 3).collect();
        let slow: Vec<u64> = (0..500).map(|i| 200_000 + i * 1_777).collect();
        let mut merged = histogram_of(fast.clone());
        merged.merge(&histogram_of(slow.clone()));
        let pooled = histogram_of(fast.into_iter().chain(slow));
        assert_eq!(merged, pooled);
        assert_eq!(merged.percentiles(), pooled.percentiles());
    }

    #[test]
    fn a_percentile_needs_enough_samples() {
        let figures = |n| histogram_of(1..=n).percentiles();
        assert_eq!(figures(0), Percentiles::default());
        let few = figures(199);
        assert_eq!(
            (few.p50_us, few.p95_us, few.max_us),
            (Some(100), None, Some(199))
        );
        assert_eq!(
            (figures(200).p95_us, figures(999).p99_us),
            (Some(190), None)
        );
        assert!(figures(1_000).p99_us.is_some() && figures(9_999).p999_us.is_none());
        assert!(figures(10_000).p999_us.is_some());
    }

    #[test]
    fn a_histogram_survives_its_text_and_a_broken_text_is_refused() {
        let histogram = histogram_of([1, 250, 90_000, 5_000_000, u64::MAX]);
        let text = histogram.to_base64();
        assert_eq!(
            LatencyHistogram::from_base64(&text).expect("reads back"),
            histogram
        );
        assert!(
            LatencyHistogram::from_base64("?")
                .expect_err("refused")
                .contains("not base64")
        );
        assert!(
            LatencyHistogram::from_base64("AAAA")
                .expect_err("refused")
                .contains("V2")
        );
    }
}
