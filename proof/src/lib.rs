//! Proves boards, rules and telemetry against live servers.
//!
//! It knows Grafana's dashboard JSON, Prometheus' rule files and the HTTP APIs of the servers, and nothing about the
//! service, the load generator or the chaos runner: what it needs of a program it reads from files that anybody can write.
#![forbid(unsafe_code)]

pub mod account;
pub mod boards;
pub mod cli;
mod declarations;
pub mod exit;
mod files;
pub mod finding;
pub mod fired;
pub mod http;
pub mod preview;
pub mod prometheus;
pub mod promql;
mod rule_file;
pub mod rules;
pub mod telemetry;
mod xml;
