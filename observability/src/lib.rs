//! Logs, traces, metrics, the HTTP layer and the admin listener: everything that makes a process observable.
//!
//! A binary calls [`init`] once and keeps the [`Guard`] to its end; everything else is handed a [`Registry`]. No other
//! crate names an exporter or a metrics library. This crate knows nothing about images, load or faults.
#![forbid(unsafe_code)]

pub mod admin;
pub mod client;
pub mod declarations;
pub mod guard;
mod hex;
pub mod http;
mod logs;
pub mod metrics;
mod panics;
mod pieces;
pub mod propagation;
pub mod scope;
pub mod server;
mod settings;
mod start;
mod subscriber;
pub mod testing;
mod traces;

pub use declarations::Declarations;
pub use metrics::Registry;
pub use settings::{LogOutput, Logs, Service, Settings, Traces};
pub use start::{Guard, InitError, init};
