//! Bytes in, bytes out: probe, decode, resize and encode pictures. No I/O, no async, no threads: the caller
//! owns those, and hands in a [`Scratch`] that is reused from call to call.
//!
//! How long a call may take is bounded by the file: each decoder counts its steps on a [`Meter`], and a file that takes more
//! of them than its bytes and pixels deserve is [`Error::Damaged`]. A [`Cancel`] token ends a call from another thread, at the
//! next row, block, marker or piece of a file. Only what a library does in one call goes on: libwebp's decoder and the
//! planes of transparency that its encoder writes, the `png` crate's encoder, and both AV1 coders.
//!
//! Three functions: [`probe()`] reads a header, [`render()`] makes a smaller (or other) picture out of one, and
//! [`dominant_color`] says which colour it mostly is. Whoever wants to see where a render's time goes takes its three
//! steps one by one: [`decode()`], [`Decoded::transform`], [`Transformed::encode`]. They take bytes of strangers, so:
//!
//! - whatever can be refused is refused from the header, before memory for pixels is asked for ([`Limits`]);
//! - no input makes them panic: a panic inside a decoder is caught and becomes [`Error::Damaged`]. This
//!   needs `panic = "unwind"`, the default;
//! - every size is bounded: pixels, colour profile, metadata, frames, and what a [`Scratch`] keeps.
//!
//! This crate must not know of requests, storage, presets or telemetry.
#![allow(
    clippy::similar_names,
    reason = "size and side are what this crate is about"
)]
#![allow(
    clippy::inline_always,
    reason = "loops over coefficients and samples keep their state in registers only if everything is inlined"
)]

mod bytes;
mod color;
mod cosines;
mod decode;
mod dominant;
mod encode;
mod error;
mod exif;
mod format;
mod letterbox;
mod limits;
mod meter;
mod operation;
mod orient;
mod planar;
mod probe;
mod raster;
mod render;
mod resample;
mod resize;
mod scratch;
mod size;
mod webp;
mod weights;

pub use dominant::dominant_color;
pub use error::{Error, ErrorKind, Quantity};
pub use format::OutputFormat;
pub use limits::Limits;
pub use meter::{Cancel, Meter};
pub use operation::{Fidelity, Fit, Gravity, Operation};
pub use orient::Orientation;
pub use probe::{Info, InputFormat, probe};
pub use render::{Decoded, Encoded, Transformed, decode, render};
pub use scratch::Scratch;
pub use size::Size;
