//! Experiments that prove a promise under a fault: inject, observe, roll back, judge.
//!
//! [`lifecycle`] runs one experiment in one visible order; [`judge`] turns what was observed into a verdict and does no
//! I/O. It knows the service only by HTTP, the stack only by `stack.toml`, the load generator only as a child and by its
//! events file. `docs/experiments.md` is the contract.
#![forbid(unsafe_code)]

pub mod alerts;
pub mod attribution;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod context;
pub mod definition;
pub mod evidence;
pub mod evidence_traces;
pub mod exit;
pub mod faults;
pub mod figures;
pub mod http;
pub mod injection;
pub mod interrupt;
pub mod invariants;
pub mod jaeger;
pub mod journal;
pub mod judge;
pub mod lifecycle;
pub mod load;
pub mod lock;
pub mod metrics;
pub mod observer;
pub mod phases;
pub mod plans;
pub mod preflight;
pub mod probe;
pub mod process;
pub mod progress;
pub mod prometheus;
pub mod recover;
pub mod reporting;
pub mod results;
pub mod rollback;
pub mod session;
pub mod stack_file;
#[cfg(test)]
mod testing;
pub mod toxiproxy;
pub mod trace;
pub mod usage;
pub mod verdict;
pub mod watch;
pub mod windows;
