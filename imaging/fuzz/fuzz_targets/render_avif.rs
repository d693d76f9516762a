//! AVIFs into `render`.
#![no_main]

use imaging::InputFormat;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus { imaging_fuzz::render(data, InputFormat::Avif) });
