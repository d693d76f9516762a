//! What a person sees while a run goes on.

use crate::process::{Run, plan};
use crate::service::Service;

/// What people have who never changed anything.
const COLUMNS: usize = 80;

#[test]
fn on_a_terminal_one_line_shows_phase_elapsed_and_expected_time_rate_errors_and_latency() {
    let service = Service::start(3);
    let text = plan(50.0, "3s", "", "list = { share = 100 }");
    let run = Run::of(&text, &service.address).arguments(&["--warmup", "2"]);
    let Some(run) = run.on_terminal(COLUMNS) else {
        return;
    };
    // Whether a busy machine kept the schedule is another matter.
    let ended = run.end();
    assert!(matches!(ended.code, Some(0 | 2)), "{}", ended.stdout);
    // Every movement of the cursor begins with one of these.
    let drawn: Vec<&str> = ended
        .stdout
        .split(['\r', '\n', '\u{1b}'])
        .map(|piece| piece.strip_prefix("[2K").unwrap_or(piece))
        .filter(|piece| piece.contains("/5 s  "))
        .collect();
    for phase in ["warm-up ", "measure "] {
        let shown = drawn.iter().any(|line| line.contains(phase));
        assert!(shown, "no {phase}: {drawn:?}");
    }
    for line in &drawn {
        for part in ["/s  ", " errors  ", " not sent  ", "p50 ", "max "] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(line.chars().count() <= COLUMNS, "too long: {line}");
    }
    let rate = |line: &&&str| !line.contains(" 0.0/s");
    assert!(drawn.iter().find(rate).is_some(), "no rate: {drawn:?}");
}
