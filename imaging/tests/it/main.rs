//! The crate from outside: real files made by other encoders in, pixels and sizes and errors out.
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "a byte string literal is a reference"
)]

#[cfg(feature = "avif")]
mod avif;
mod color;
mod corpus;
mod damaged;
mod formats;
mod ideal;
#[cfg(feature = "avif")]
mod libavif;
mod libjpeg;
mod limits;
mod make;
mod malformed;
mod memory;
mod orientation;
mod programs;
mod properties;
mod scaled;
mod shapes;
mod sizes;
mod work;
