//! Any bytes into `probe`.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { imaging_fuzz::probe(data) });
