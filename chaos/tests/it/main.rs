//! The runner as a program, against a small service of the test's own, a scripted load generator, and Toxiproxy: the
//! stand-in always, the real one where it is found; and the real Prometheus.
#![forbid(unsafe_code)]

mod alerts;
mod clock;
mod declared;
mod defects;
mod files;
mod interrupts;
mod platform;
mod probes;
mod recovery;
mod refusals;
mod scripted_load;
mod telling;
mod verdicts;
mod watching;
