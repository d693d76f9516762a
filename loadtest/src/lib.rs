//! Load tests measured from the due time.
//!
//! Without the feature `driver` this crate is only what others read: the [`events`] a run writes while it goes on, its
//! [`result`], and the [`stats`] and [`threshold`] rules behind both. The driver (plans, pictures, the goose attack, the
//! command line) knows the service it loads only through HTTP.
#![forbid(unsafe_code)]

pub mod events;
pub mod result;
pub mod stats;
pub mod threshold;
pub mod units;

#[cfg(feature = "driver")]
pub mod cli;
#[cfg(feature = "driver")]
pub mod exit;
#[cfg(feature = "driver")]
mod mix;
#[cfg(feature = "driver")]
pub mod pictures;
#[cfg(feature = "driver")]
pub mod plan;
#[cfg(feature = "driver")]
pub mod run;
#[cfg(feature = "driver")]
pub mod schedule;
#[cfg(feature = "driver")]
pub mod seed;
#[cfg(feature = "driver")]
mod summary;
#[cfg(feature = "driver")]
pub mod target;
