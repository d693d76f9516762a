//! Limits of this process that a run should not meet.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside one for each request in flight: the program's own, and connections that are being closed.
const SPARE: u64 = 512;

/// Raises the soft limit of open files, up to the hard one, so that each worker can have a connection. Where that is not
/// enough, the requests that found no descriptor count as lost by the generator.
pub(super) fn raise_open_files(workers: usize) {
    let needed = workers as u64 * 2 + SPARE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    let current = limit.maximum.map_or(needed, |most| needed.min(most));
    // A refusal leaves the limit as it was.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        },
    );
}
