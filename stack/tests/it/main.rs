//! What the stack promises, seen from outside: stand-ins and real servers through the same suites, processes through
//! signals, the binary through its output and exit codes.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod commands;
mod control;
mod folder;
mod jaeger;
mod logs;
mod monitoring;
mod process;
mod run;
mod s3;
mod servers;
mod support;
mod toxiproxy;
mod up;
