//! `chitram-proof`: whether boards, rules and telemetry tell the truth, as an exit code, a table or a page.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let exit = proof::cli::main().await.unwrap_or_else(|refusal| {
        eprintln!("chitram-proof: {refusal}");
        refusal.exit
    });
    ExitCode::from(exit as u8)
}
