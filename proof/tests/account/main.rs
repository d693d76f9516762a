//! `chitram-proof account` before the real servers: a service that is traced and logged, Jaeger, rsyslog and Elasticsearch.
//!
//! The account closes to the unit, also after an outage, or says that it cannot; and what is broken on the way, one thing at a
//! time ([`mutations`]), is found.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod gate;
mod losses;
mod mutations;
mod proxy;
mod rig;
mod table;
mod usage;
