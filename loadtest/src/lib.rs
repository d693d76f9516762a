//! Load tests measured from the due time.
//!
//! Without the feature `driver` this crate is only what others read: the [`plan`] of a run, the [`events`] it writes while
//! it goes on, its [`result`], and the [`stats`] and [`threshold`] rules behind these. The driver (pictures, the goose
//! attack, the command line) knows the service it loads only through HTTP.
#![forbid(unsafe_code)]

pub mod events;
pub mod nearest;
pub mod plan;
pub mod result;
pub mod schedule;
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
pub mod run;
#[cfg(feature = "driver")]
pub mod seed;
#[cfg(feature = "driver")]
mod summary;
#[cfg(feature = "driver")]
pub mod target;
