//! From values to pixels: linear and logarithmic scales, and where their ticks go.

/// Maps values onto a stretch of pixels. Values outside are clamped to its ends.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    from_px: f64,
    to_px: f64,
    logarithmic: bool,
}

impl Scale {
    /// `low` lies at `from_px`, `high` at `to_px`.
    pub fn linear(low: f64, high: f64, from_px: f64, to_px: f64) -> Self {
        Self {
            low,
            high: if high > low { high } else { low + 1.0 },
            from_px,
            to_px,
            logarithmic: false,
        }
    }

    /// As [`Scale::linear`], for positive values over several decades.
    pub fn logarithmic(low: f64, high: f64, from_px: f64, to_px: f64) -> Self {
        let low = low.max(1e-6);
        Self {
            low,
            high: high.max(low * 10.0),
            from_px,
            to_px,
            logarithmic: true,
        }
    }

    /// Where a value lies, in pixels.
    pub fn px(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from_px + share * (self.to_px - self.from_px)
    }

    /// Round values for ticks: whole decades (with 2 and 5 between where they are few), or steps of 1, 2 or 5 that give at most `most` ticks.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        if self.logarithmic {
            let decades = (self.high / self.low).log10();
            let factors: &[f64] = if decades < 2.5 {
                &[1.0, 2.0, 5.0]
            } else {
                &[1.0]
            };
            let powers = self.low.log10().floor() as i32..=self.high.log10().floor() as i32;
            let all = powers
                .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
            return all
                .filter(|tick| (self.low..=self.high).contains(tick))
                .collect();
        }
        let step = step((self.high - self.low) / most.max(1) as f64);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `wanted`.
fn step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= wanted * 0.999)
        .unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            Scale::linear(0.0, 47.0, 0.0, 1.0).ticks(6),
            [0.0, 10.0, 20.0, 30.0, 40.0]
        );
        assert_eq!(
            Scale::linear(0.0, 120.0, 0.0, 1.0).ticks(3),
            [0.0, 50.0, 100.0]
        );
        assert_eq!(
            Scale::logarithmic(0.7, 1_500.0, 0.0, 1.0).ticks(9),
            [1.0, 10.0, 100.0, 1_000.0]
        );
    }

    #[test]
    fn values_outside_stay_at_the_edge() {
        let scale = Scale::linear(0.0, 10.0, 100.0, 0.0);
        let near = |value: f64, px: f64| (scale.px(value) - px).abs() < 1e-9;
        assert!(near(-5.0, 100.0) && near(5.0, 50.0) && near(50.0, 0.0));
        let scale = Scale::logarithmic(1.0, 100.0, 0.0, 10.0);
        assert!((scale.px(10.0) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_range_is_still_a_scale() {
        assert!(Scale::linear(0.0, 0.0, 0.0, 10.0).px(0.0).abs() < 1e-9);
        assert!(Scale::logarithmic(0.0, 0.0, 0.0, 10.0).px(1.0).is_finite());
    }
}
