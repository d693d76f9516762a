//! What clients and servers feel on either side of a proxy. Lower bounds of times are strict, upper ones generous.

mod carrying;
mod ending;
mod latency;
mod toxicity;

use std::time::Duration;

/// Long enough to notice that something comes that should not.
const NOTICE: Duration = Duration::from_millis(300);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Bytes without a period that a chunk could hide behind.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(next).collect()
}
