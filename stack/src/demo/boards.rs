//! The boards at the end of a demo, drawn from its own Prometheus by `chitram-proof`. Both may be missing: then a line says how to
//! get them, and the demo is what it is without.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::{finish, repository, talking};
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::platform::{Platform, Programs};
use crate::process::Output;

/// What `chitram-proof` returns when it drew the boards: without findings, and with some. A short demo has panels that are
/// rightly empty.
const DRAWN: [i32; 2] = [0, 1];
/// How long drawing may take. It takes some seconds.
const DEADLINE: Duration = Duration::from_mins(1);
/// The least stretch that is drawn, in seconds: rates need some scrapes.
const SHORTEST_RANGE: u64 = 60;

/// Draws what happened in the last `elapsed` beside the report. The line for the person says where, or why not.
pub(super) async fn draw(
    platform: &Platform,
    report: &Path,
    elapsed: Duration,
    interrupts: &Interrupts,
) -> Result<String, Error> {
    let programs = platform.programs();
    let Some(prometheus) = platform.state().endpoints.prometheus else {
        return Ok("not drawn: no Prometheus (`make backends` installs it)".to_owned());
    };
    let Some(proof) = &programs.proof else {
        return Ok(format!(
            "not drawn: `{}` builds what draws them",
            build(programs)
        ));
    };
    let Some(dashboards) = repository("dashboards") else {
        return Ok("not drawn: no folder `dashboards` here".to_owned());
    };
    let page = report.with_file_name("boards.html");
    let log = platform.folder().logs().join("proof.log");
    let mut spec =
        talking(platform, "proof", proof).args(arguments(&dashboards, &prometheus, elapsed, &page));
    // Its findings are about a demo of two minutes.
    spec.output = Output::Log(log.clone());
    let drawing = finish(platform, spec, interrupts);
    let Ok(status) = tokio::time::timeout(DEADLINE, drawing).await else {
        return Ok(format!("not drawn within {} s", DEADLINE.as_secs()));
    };
    Ok(told(status?, &page, &log))
}

fn arguments(dashboards: &Path, prometheus: &str, elapsed: Duration, page: &Path) -> Vec<OsString> {
    let range = format!("{}s", elapsed.as_secs().max(SHORTEST_RANGE));
    let expectations = dashboards.join("expectations.toml");
    let mut arguments: Vec<OsString> = vec!["boards".into(), dashboards.into()];
    for (option, value) in [
        ("--prometheus", prometheus.into()),
        ("--range", range.into()),
        ("--expectations", expectations.into_os_string()),
        ("--preview", page.as_os_str().to_owned()),
    ] {
        arguments.extend([option.into(), value]);
    }
    arguments
}

fn told(status: ExitStatus, page: &Path, log: &Path) -> String {
    if status.code().is_some_and(|code| DRAWN.contains(&code)) {
        return page.display().to_string();
    }
    // Its log may go with the temporary folder.
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let last = text.lines().last().unwrap_or("it said nothing");
    format!("not drawn: chitram-proof ended with {status}: {last}")
}

/// The command that puts `chitram-proof` beside this program.
fn build(programs: &Programs) -> String {
    let folder = programs.load.parent().and_then(Path::file_name);
    match folder.and_then(|folder| folder.to_str()) {
        None | Some("debug") => "cargo build -p proof".to_owned(),
        Some(profile) => format!("cargo build --profile {profile} -p proof"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn boards_with_findings_are_drawn_and_a_failure_is_told_with_its_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("proof.log");
        std::fs::write(&log, "one\nx does not answer\n").unwrap();
        let told = |code: i32| {
            told(
                ExitStatus::from_raw(code << 8),
                Path::new("a/boards.html"),
                &log,
            )
        };
        assert_eq!(
            (told(0), told(1)),
            ("a/boards.html".into(), "a/boards.html".into())
        );
        assert_eq!(
            told(69),
            "not drawn: chitram-proof ended with exit status: 69: x does not answer"
        );
    }

    #[test]
    fn the_command_that_is_missing_is_built_in_the_profile_of_the_others() {
        let build = |folder: &str| {
            let program = |name: &str| PathBuf::from(format!("/x/target/{folder}/{name}"));
            build(&Programs {
                service: program("chitram"),
                load: program("chitram-load"),
                chaos: program("chitram-chaos"),
                proof: None,
            })
        };
        assert_eq!(build("demo"), "cargo build --profile demo -p proof");
        assert_eq!(build("debug"), "cargo build -p proof");
    }
}
