//! Log lines from a file to the index, through the real rsyslog and the real Elasticsearch: each line once, and what
//! cannot be one is accounted for.
//!
//! Facts are compared by two ways to count: Elasticsearch's count and the set of sequence numbers that a search finds.

mod content;
mod delivery;
mod join;
mod refusals;
mod rig;
mod template;
