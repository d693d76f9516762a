//! Logs, traces, metrics, the HTTP layer and the admin listener: everything that makes a process observable.
#![forbid(unsafe_code)]
