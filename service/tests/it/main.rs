//! The service from outside: a whole app in this process on free ports, or the binary as a child.
#![allow(
    unreachable_pub,
    reason = "nothing in a test binary can be reached from outside"
)]

mod cancelled;
mod catalog;
mod content;
mod crowds;
mod declared;
mod exemplars;
mod faults;
mod full;
mod hostile;
mod hosts;
mod jobs;
mod list;
mod outage;
mod presets;
mod process;
mod race;
mod render;
mod repair;
mod signals;
mod sizes;
mod sockets;
mod store;
mod support;
mod upload;
