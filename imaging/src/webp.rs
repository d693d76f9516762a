//! libwebp, through safe functions.

pub(crate) mod ffi;
