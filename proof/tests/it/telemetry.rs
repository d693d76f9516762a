//! `chitram-proof telemetry`: the page that is written, and the one that is stale.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DECLARED: &str = r#"{ "program": "pump", "metrics": [
    { "name": "pump_litres_total", "kind": "counter", "unit": null, "help": "Litres pumped.",
      "labels": [{ "name": "side", "values": ["left", ""] }, { "name": "site", "values": null, "bounded_by": "one | two" }],
      "buckets": null },
    { "name": "pump_run_seconds", "kind": "histogram", "unit": "seconds", "help": "Time of a run.", "labels": [], "buckets": [0.5, 1.0] } ],
  "spans": [{ "name": "run", "kind": "internal", "attributes": ["site.id"] }],
  "log_fields": [{ "name": "message", "type": "text" }] }"#;
const RULES: &str =
    "groups: [{ name: g, rules: [{ alert: Dry, expr: 'rate(pump_run_seconds_count[5m]) == 0' }] }]";

fn telemetry(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chitram-proof"))
        .arg("telemetry")
        .args(arguments)
        .output()
        .unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.0.path().join("rules")).unwrap();
        std::fs::write(folder.path("declared.json"), DECLARED).unwrap();
        std::fs::write(folder.path("rules/pump.yml"), RULES).unwrap();
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn run(&self, what: &str) -> Output {
        let [declared, rules, page] =
            ["declared.json", "rules", "page.md"].map(|name| self.path(name));
        telemetry(&["--declared", &declared, "--rules", &rules, what, &page])
    }
}

#[test]
fn the_page_has_every_declaration_and_who_uses_it() {
    let folder = Folder::new();
    let output = folder.run("--write");
    assert!(output.status.success(), "{output:?}");
    let page = std::fs::read_to_string(folder.path("page.md")).unwrap();
    for line in [
        "## pump",
        "| `pump_litres_total` | counter | - | `side`: `left`, empty<br>`site`: one \\| two | Litres pumped. | - |",
        "| `pump_run_seconds` | histogram | seconds | - | Time of a run. | alert Dry |",
        "| 0.5, 1 | `pump_run_seconds` |",
        "| internal | `run` | `site.id` |",
        "| text | `message` |",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(folder.run("--check").status.success());
}

#[test]
fn a_stale_page_is_a_finding_that_names_the_line() {
    let folder = Folder::new();
    folder.run("--write");
    let changed = DECLARED.replace("Litres pumped", "Litres moved");
    std::fs::write(folder.path("declared.json"), changed).unwrap();
    let output = folder.run("--check");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("stale-page") && said.contains("Litres moved"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let folder = Folder::new();
    for (file, text) in [
        ("declared.json", "{}"),
        ("declared.json", r#"{ "program": "p", "metrix": [] }"#),
        ("rules/pump.yml", "groups: 7"),
    ] {
        let folder_of_case = Folder::new();
        std::fs::write(folder_of_case.path(file), text).unwrap();
        let output = folder_of_case.run("--write");
        assert_eq!(output.status.code(), Some(64), "{text}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&folder_of_case.path(file)), "{said}");
    }
    let declared = folder.path("declared.json");
    let output = telemetry(&["--declared", &declared]);
    assert!(!output.status.success(), "neither --write nor --check");
    let output = telemetry(&["--declared", "/nowhere.json", "--check", "/nowhere.md"]);
    assert_eq!(output.status.code(), Some(64));
}

/// What the programs of this project declare is in `docs/telemetry`, which their own tests keep true.
#[test]
fn the_page_of_this_project_is_not_stale() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = |name: &str| root.join(name);
    let there = |path: &PathBuf| path.is_dir();
    let mut arguments = vec!["--declared".to_owned()];
    for program in ["chitram", "chitram-load", "chitram-chaos", "chitram-stack"] {
        arguments.push(
            path(&format!("docs/telemetry/{program}.json"))
                .display()
                .to_string(),
        );
    }
    for (option, folder) in [("--dashboards", "dashboards"), ("--rules", "alerts/rules")] {
        let folder = Some(path(folder)).filter(there);
        arguments.extend(folder.map(|folder| format!("{option}={}", folder.display())));
    }
    arguments.push(format!("--check={}", path("docs/telemetry.md").display()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = telemetry(&arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "run scripts/telemetry: {said}");
}
