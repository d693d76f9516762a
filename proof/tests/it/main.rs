//! `chitram-proof` as people run it.
