//! Starts, awaits and stops every server of the platform, real or stand-in; and the demo.
//!
//! The library is what the binary `chitram-stack` and the tests of every crate share:
//!
//! * [`standin`]: servers that speak a real server's API from inside this process;
//! * [`server`]: the real servers: found, started on a free port, waited for, stopped on drop;
//! * [`process`]: children that cannot outlive us;
//! * [`platform`]: all of it together with the service, in one folder ([`folder`], [`state`]), with the rules and routes of
//!   [`alerts`]; [`control`] shows its processes and gives them orders;
//! * [`up`], [`demo`], [`doctor`]: the commands.
//!
//! It knows the service, the load generator and the chaos runner only as programs, URLs and files.
#![forbid(unsafe_code)]

pub mod alerts;
mod console;
mod control;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod folder;
pub mod interrupt;
pub mod metrics;
pub mod net;
pub mod platform;
pub mod process;
pub mod server;
pub mod standin;
pub mod state;
pub mod up;
pub mod wait;
