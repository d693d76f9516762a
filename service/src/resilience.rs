//! What stands between the service and a dependency: deadline, retry, circuit breaker and bulkhead.
//!
//! Each is a decorator around one call (a future) and knows nothing of the dependency. The dependency's own module puts
//! them together, in one visible function, and says by [`CallError`] which of its errors are faults.

pub mod breaker;
pub mod bulkhead;
pub mod deadline;
pub mod retry;

pub use breaker::{Breaker, CircuitOpen};
pub use bulkhead::{Bulkhead, BulkheadFull};
pub use deadline::{Deadline, Overdue};
pub use retry::Retry;

/// The error of a call through these decorators: the dependency's own errors plus the refusals made here.
pub trait CallError: From<Overdue> + From<CircuitOpen> + From<BulkheadFull> {
    /// Whether the dependency itself failed. "Not found" is an answer, not a fault; so is a call that was never made.
    fn is_fault(&self) -> bool;
}
