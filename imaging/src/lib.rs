//! Bytes in, bytes out: probe, decode, resize and encode pictures. No I/O, no async.

