//! What stands between the service and a dependency: deadline, retry, circuit breaker and bulkhead.
//!
//! Each is a decorator around one call (a future) and knows nothing of the dependency. The dependency's own module puts
//! them together, in one visible function, and says by [`CallError`] which of its errors are faults.

pub mod breaker;
pub mod bulkhead;
pub mod deadline;
pub mod retry;

pub use breaker::{Breaker, CircuitOpen, Generation};
pub use bulkhead::{Bulkhead, BulkheadFull};
pub use deadline::{Deadline, Overdue};
pub use retry::Retry;

/// What a call does to the dependency. Each direction has guards of its own, so that what only ails one (a full disk, a
/// read-only mount, slow uploads) costs the other nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It changes nothing.
    Read,
    /// It stores or removes something.
    Write,
}

impl Direction {
    /// The direction as a label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The error of a call through these decorators: the dependency's own errors plus the refusals made here.
pub trait CallError: From<Overdue> + From<CircuitOpen> + From<BulkheadFull> {
    /// Whether the dependency itself failed. "Not found" is an answer, not a fault, and so is "no space left"; nor is a call
    /// that was never made.
    fn is_fault(&self) -> bool;
}
