//! One suite for Jaeger's API: the stand-in and the real server answer alike, and where they do not, the test says why.

mod bounds;
mod search;
mod shape;
mod spans;
mod target;
