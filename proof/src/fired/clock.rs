//! The one clock of a proof (Unix seconds, as the servers use them), and how short of CPU the machine is.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where Linux tells how long work has waited for a CPU.
const PRESSURE: &str = "/proc/pressure/cpu";

/// Unix seconds.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The seconds since the machine's start in which some work waited for a CPU, where the kernel tells it.
pub(crate) fn waited_for_cpu() -> Option<f64> {
    waited(&std::fs::read_to_string(PRESSURE).ok()?)
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS`
fn waited(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some
        .split(' ')
        .find_map(|field| field.strip_prefix("total="))?;
    total
        .parse::<f64>()
        .ok()
        .map(|microseconds| microseconds / 1e6)
}

#[cfg(test)]
mod tests {
    use super::waited;

    #[test]
    fn the_kernels_pressure_is_read_in_seconds() {
        let text = "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(waited(text), Some(2.5));
        assert_eq!(waited("nothing"), None);
    }
}
