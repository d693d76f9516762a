//! Starts, awaits and stops every server of the platform, real or stand-in; and the demo.
#![forbid(unsafe_code)]
