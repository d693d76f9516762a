//! CPU time, and the middle of many measurements.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that `work` took, in milliseconds: of all threads of this process, by the clock that the libvips worker reads too.
pub(crate) fn cpu_milliseconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begin = process_time();
    let result = work();
    let used = process_time().saturating_sub(begin);
    (result, used.as_secs_f64() * 1e3)
}

/// The middle of `values`; of an even count, the upper of the two in the middle. Not a number when there are none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn process_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
