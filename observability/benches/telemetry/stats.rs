//! Medians, and how sure they are.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

const RESAMPLES: usize = 2000;
/// The interval that holds 95 % of the resampled medians.
const TAIL: f64 = 0.025;

/// 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The bootstrap interval of the median of `values`, at 95 %. The same values give the same interval.
pub(crate) fn interval(values: &[f64]) -> (f64, f64) {
    let mut random = SmallRng::seed_from_u64(1);
    let mut resampled = || {
        let pick = |_| values[random.random_range(0..values.len())];
        median(&values.iter().map(pick).collect::<Vec<f64>>())
    };
    let medians: Vec<f64> = (0..RESAMPLES).map(|_| resampled()).collect();
    (quantile(&medians, TAIL), quantile(&medians, 1.0 - TAIL))
}

/// Between the two nearest values; 0 of nothing.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let part = place - place.floor();
    sorted[below] * (1.0 - part) + sorted[above] * part
}
