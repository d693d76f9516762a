//! `chitram-load` as its users run it: the real binary against a small service in the test, whose faults are controlled.
#![forbid(unsafe_code)]

mod bounds;
mod declared;
mod ends;
mod latency;
mod process;
mod seeding;
mod service;
mod telling;
mod terminal;
