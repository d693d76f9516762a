//! What the program declares, as others read it.

use std::process::Command;

/// Boards, alerts and documents are checked against this file.
#[test]
fn the_file_of_declarations_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_chitram-load"))
        .arg("telemetry")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/telemetry/chitram-load.json"
    );
    let known = std::fs::read_to_string(file).expect("the file");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(known == printed, "{file} is stale: run scripts/telemetry");
}
