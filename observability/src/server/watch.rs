//! Looks at every connection some times a second, and ends those whose clients hold what they don't use.
//!
//! A client has to take an answer at the least rate, measured over periods of the send timeout: one byte now and then is
//! not progress.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Limits;
use super::closed::Reason;
use super::connection::{Connections, Moment, Period, State, Stream, elapsed, lock};

/// How often it looks, at most and at least.
const TICK: Duration = Duration::from_millis(250);
const LEAST_TICK: Duration = Duration::from_millis(5);

/// Watches until it is dropped.
pub(super) async fn watch(connections: Arc<Connections>, limits: Limits) {
    let shortest = [limits.send_timeout, limits.idle, limits.header_read_timeout];
    let shortest = shortest.into_iter().min().unwrap_or(TICK);
    let mut ticks = tokio::time::interval((shortest / 8).clamp(LEAST_TICK, TICK));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections.look(|state, now| look(state, now, &limits));
    }
}

fn look(state: &State, now: Moment, limits: &Limits) {
    if state.is_closing() {
        return;
    }
    let pending = state.is_blocked().then(|| state.sent());
    if let Some(reason) = judge(&mut lock(&state.period), pending, now, limits) {
        state.close(reason);
        return;
    }
    state.streams().retain(|stream| {
        look_at_stream(state, stream, now, limits);
        // Nobody else knows a stream whose task was dropped before it began.
        Arc::strong_count(stream) > 1
    });
    if let Some(since) = state.idle_since(now) {
        let (limit, reason) = if state.has_asked() {
            (limits.idle, Reason::Idle)
        } else {
            (limits.header_read_timeout, Reason::NoRequest)
        };
        if elapsed(now, since) >= limit {
            state.close(reason);
        }
    }
}

fn look_at_stream(state: &State, stream: &Stream, now: Moment, limits: &Limits) {
    // While the socket is full no window is what the stream waits for: the connection is judged then.
    let waits = stream.handed_at.load(Relaxed) != 0 && !state.is_blocked();
    let pending = waits.then(|| stream.handed.load(Relaxed));
    let Some(reason) = judge(&mut lock(&stream.period), pending, now, limits) else {
        return;
    };
    match stream.task.get() {
        Some(task) if !task.is_finished() => {
            state.connections.closed.count_stream(reason);
            task.abort();
        }
        // The rest of the answer lies in the connection, where nothing but its end reaches it.
        _ => {
            state.close(reason);
        }
    }
}

/// Whether a client is too slow. `pending` is how much it has taken so far, while there is more for it.
fn judge(
    period: &mut Option<Period>,
    pending: Option<u64>,
    now: Moment,
    limits: &Limits,
) -> Option<Reason> {
    let Some(sent) = pending else {
        *period = None;
        return None;
    };
    let begun = *period.get_or_insert(Period { since: now, sent });
    let passed = elapsed(now, begun.since);
    if passed < limits.send_timeout {
        return None;
    }
    *period = Some(Period { since: now, sent });
    let taken = sent - begun.sent;
    let least = (limits.send_rate as f64 * passed.as_secs_f64()) as u64;
    if taken == 0 {
        Some(Reason::Stalled)
    } else {
        (taken < least).then_some(Reason::Slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            send_timeout: Duration::from_secs(10),
            send_rate: 1000,
            ..Limits::new("api")
        }
    }

    /// What is judged at each second, of a client that has taken so much by then; `None` while nothing is pending.
    fn judged(taken: impl Fn(u64) -> Option<u64>) -> Option<(u64, Reason)> {
        let mut period = None;
        (1..100).find_map(|second| {
            let reason = judge(&mut period, taken(second), second * 1000, &limits())?;
            Some((second, reason))
        })
    }

    #[test]
    fn a_client_must_take_the_least_rate_over_each_period() {
        assert_eq!(judged(|_| Some(7)), Some((11, Reason::Stalled)));
        assert_eq!(judged(Some), Some((11, Reason::Slow)), "a byte a second");
        assert_eq!(judged(|second| Some(second * 1000)), None);
        let lumps = |second| Some(second / 9 * 32_768);
        assert_eq!(judged(lumps), None, "progress that shows in lumps");
        let stops = |second: u64| Some(second.min(50) * 2000);
        assert_eq!(judged(stops), Some((61, Reason::Stalled)));
        let caught_up = |second| (second % 8 != 0).then_some(7);
        assert_eq!(judged(caught_up), None, "nothing was pending");
    }
}
