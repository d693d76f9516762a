//! `chitram-chaos`: runs experiments, and says by its exit code how they ended.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let exit = chaos::cli::main().await.unwrap_or_else(|refusal| {
        eprintln!("chitram-chaos: {refusal}");
        refusal.exit
    });
    ExitCode::from(exit as u8)
}
