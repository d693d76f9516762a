//! Who a process is: a pid alone is reused, a pid with its start time is not.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same pid by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks since boot.
    pub start_time: u64,
}

impl Identity {
    /// This very process.
    pub fn own() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start_time: state_and_start_time(pid).map_or(0, |(_, start_time)| start_time),
        }
    }

    /// Whether it still runs. A zombie does not, and neither does another process that took over the pid.
    pub fn is_alive(&self) -> bool {
        state_and_start_time(self.pid).is_some_and(|(state, start_time)| {
            start_time == self.start_time && !matches!(state, 'Z' | 'X')
        })
    }

    /// Sends SIGKILL, unless it is gone.
    pub fn kill(&self) {
        if self.is_alive() {
            send(self.pid, Signal::KILL);
        }
    }
}

/// Sends a signal to one process. That it may be gone already is no failure.
pub fn send(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid as i32) {
        let _ = kill_process(pid, signal);
    }
}

/// Sends a signal to a process group.
pub fn send_group(leader: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(leader as i32) {
        let _ = kill_process_group(pid, signal);
    }
}

fn state_and_start_time(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, may hold spaces and parentheses: fields are counted from its end.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((state, start_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_with_another_start_time_is_not() {
        let own = Identity::own();
        assert!(own.is_alive());
        assert!(
            !Identity {
                start_time: own.start_time + 1,
                ..own
            }
            .is_alive()
        );
    }
}
