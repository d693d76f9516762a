//! Figures of a set of requests: how many, how many failed, how slow. Pure.

use loadtest::events::{ErrorKind, RequestSample};
use loadtest::stats::{P95_MIN_SAMPLES, quantile};
use loadtest::units::format_us;

/// Figures of some requests. Latencies are microseconds from the due time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests due, without those that the generator lost.
    pub n: u64,
    /// Of these, errors.
    pub errors: u64,
    /// Median; `None` without requests.
    pub p50_us: Option<u64>,
    /// 95th percentile; `None` below 200 requests.
    pub p95_us: Option<u64>,
}

impl Figures {
    /// The figures of these requests.
    pub fn of<'a>(samples: impl IntoIterator<Item = &'a RequestSample>) -> Self {
        let mut errors = 0;
        let latencies: Vec<u64> = samples
            .into_iter()
            .map(|sample| {
                errors += u64::from(sample.error.is_some());
                sample.latency_us
            })
            .collect();
        let n = latencies.len() as u64;
        Self {
            n,
            errors,
            p50_us: quantile(&latencies, 0.5),
            p95_us: if n >= P95_MIN_SAMPLES {
                quantile(&latencies, 0.95)
            } else {
                None
            },
        }
    }

    /// Share of errors, 0 without requests.
    pub fn error_ratio(&self) -> f64 {
        if self.n == 0 {
            0.0
        } else {
            self.errors as f64 / self.n as f64
        }
    }

    /// `p95 12.3 ms, 0.0 % errors, n 240`.
    pub fn sentence(&self) -> String {
        format!(
            "p95 {}, {} errors, n {}",
            duration(self.p95_us),
            percent(self.error_ratio()),
            self.n
        )
    }
}

/// A latency for people, or that there are too few requests for it.
pub fn duration(us: Option<u64>) -> String {
    us.map_or_else(|| "n too small".to_owned(), format_us)
}

/// A share for people: `1.5 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// What went wrong, for people.
pub fn error_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Timeout => "timeout",
        ErrorKind::Connect => "no connection",
        ErrorKind::Io => "connection broke",
        ErrorKind::Status => "unexpected status",
        ErrorKind::Body => "wrong body",
        ErrorKind::NotSent => "not sent, all workers were waiting",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample;

    #[test]
    fn a_p95_of_199_requests_is_not_a_figure() {
        let samples: Vec<_> = (0..200).map(|i| sample(i, "list", i as u64 + 1)).collect();
        assert_eq!(Figures::of(&samples).p95_us, Some(190));
        let few = Figures::of(&samples[..199]);
        assert_eq!((few.p95_us, few.p50_us), (None, Some(100)));
        assert!(few.sentence().contains("n too small"), "{}", few.sentence());
    }
}
