//! Who a process is: a pid alone is reused, a pid with its start time is not.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process, told apart from a later one with the same pid by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks since boot.
    pub start_time: u64,
}

impl Identity {
    /// The process with this pid; `None` when there is none (a zombie still counts here: it has an identity).
    pub fn of(pid: u32) -> Option<Self> {
        let (_, start_time) = state_and_start_time(pid)?;
        Some(Self { pid, start_time })
    }

    /// This very process.
    pub fn own() -> Self {
        let pid = std::process::id();
        // /proc is there on every Linux that can run the platform; without it the start time is unknown, not fatal.
        Self::of(pid).unwrap_or(Self { pid, start_time: 0 })
    }

    /// Whether it still runs. A zombie does not, and neither does another process that took over the pid.
    pub fn is_alive(&self) -> bool {
        state_and_start_time(self.pid).is_some_and(|(state, start_time)| {
            start_time == self.start_time && !matches!(state, 'Z' | 'X')
        })
    }
}

fn state_and_start_time(pid: u32) -> Option<(char, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field, the program's name, may itself hold spaces and parentheses: fields are counted from its end.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?; // field 3
    let start_time = fields.nth(18)?.parse().ok()?; // field 22
    Some((state, start_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 97 0 1 0 0 0 0 0 20 0 1 0 87098 3133440 382";
        assert_eq!(parse_stat(stat), Some(('S', 87098)));
    }

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

    #[test]
    fn a_zombie_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while identity.is_alive() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(!identity.is_alive());
        assert_eq!(
            Identity::of(child.id()),
            Some(identity),
            "not reaped yet, so the pid is still its own"
        );
        child.wait().unwrap();
    }
}
