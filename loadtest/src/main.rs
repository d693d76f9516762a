//! `chitram-load`: see `chitram-load --help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::cli::main().into()
}
