//! The page as its readers get it: whole, self-contained, safe with hostile text.

mod sample;

use report::{
    model::{Ended, Report, State, Unfinished},
    render,
};

#[test]
fn the_verdict_comes_before_everything_else() {
    let page = render(&sample::report());
    let body = &page[page.find("<body>").unwrap()..];
    let first = |text: &str| {
        body.find(text)
            .unwrap_or_else(|| panic!("the page lacks {text:?}"))
    };
    assert!(first("3 of 3 experiments ended as expected") < first("Store slowed by 400 ms"));
    assert!(first("pass (4 of 5 measured)") < first("<main>"));
    assert!(
        first("make demo") < first("<main>"),
        "how to run it again is on the first screen"
    );
}

#[test]
fn the_page_needs_no_network_and_no_script_and_is_small() {
    let page = render(&sample::report());
    for foreign in ["src=", "<link", "@import", "url(http", "javascript:"] {
        assert!(!page.contains(foreign), "{foreign} reaches outside");
    }
    assert_eq!(
        page.matches("<script").count(),
        1,
        "the only script element holds data"
    );
    assert!(page.len() < 200_000, "{} bytes", page.len());
    // To be looked at in a browser.
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/sample.html"), page).unwrap();
}

#[test]
fn hostile_text_stays_text() {
    let mut report = sample::report();
    let hostile = r#"</script><script>alert(1)</script><!-- "' onload=x"#;
    report.title = hostile.to_owned();
    report.experiments[0].name = hostile.to_owned();
    report.experiments[0].reasons = vec![hostile.to_owned()];
    report.experiments[0].waterfalls[0].spans[0].name = hostile.to_owned();
    report.experiments[0].waterfalls[0].link = Some("javascript:alert(1)".to_owned());
    let page = render(&report);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<!-- \""));
    assert!(!page.contains("href=\"javascript"));
}

#[test]
fn the_embedded_data_is_the_report() {
    let report = sample::report();
    let page = render(&report);
    let json = page
        .split(r#"id="data">"#)
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    let back: Report = serde_json::from_str(json).unwrap();
    assert_eq!(
        serde_json::to_value(&back).unwrap(),
        serde_json::to_value(&report).unwrap()
    );
}

#[test]
fn a_report_without_any_measurement_still_says_so() {
    let mut report = sample::report();
    let experiment = &mut report.experiments[0];
    experiment.timeline.windows.clear();
    experiment.waterfalls.clear();
    experiment.routes.clear();
    assert!(render(&report).contains("No requests were measured."));
}

#[test]
fn colour_is_never_the_only_sign() {
    let page = render(&sample::report());
    for sign in [
        "✓ held",
        "? not measured",
        "✓ pass",
        "left it, as the fault implies",
    ] {
        assert!(page.contains(sign), "{sign}");
    }
}

/// The headline with its colour and mark.
fn headline(report: &Report) -> String {
    let page = render(report);
    let from = page.find("<h1").expect("a headline");
    page[from..page[from..].find("</h1>").expect("its end") + from].to_owned()
}

fn unfinished(state: State) -> Unfinished {
    Unfinished {
        name: "cache-down".to_owned(),
        title: "Cache down".to_owned(),
        state,
        why: "the fault was rolled back".to_owned(),
    }
}

#[test]
fn a_page_without_a_result_has_no_tick() {
    for ended in [
        Ended::Interrupted,
        Ended::Failed,
        Ended::Running,
        Ended::Finished,
    ] {
        let mut report = sample::report();
        report.experiments.clear();
        report.ended = ended;
        // Whatever who filled it says.
        report.as_expected = true;
        let headline = headline(&report);
        assert!(
            headline.contains("unknown") && !headline.contains('✓'),
            "{headline}"
        );
    }
}

#[test]
fn experiments_that_were_not_finished_are_on_the_first_screen_and_spoil_the_tick() {
    let mut report = sample::report();
    report.ended = Ended::Interrupted;
    report.unfinished = vec![unfinished(State::Interrupted), unfinished(State::NotRun)];
    assert!(!headline(&report).contains('✓'));
    let page = render(&report);
    let first_screen = &page[..page.find("<main>").expect("main")];
    for words in [
        "Cache down",
        "interrupted: no verdict",
        "not run: no verdict",
        "the fault was rolled back",
    ] {
        assert!(first_screen.contains(words), "{words}");
    }
}

#[test]
fn a_route_or_window_with_too_few_requests_is_neither_good_nor_drawn() {
    let mut report = sample::report();
    for window in &mut report.experiments[0].timeline.windows {
        window.p95_ms = None;
    }
    let page = render(&report);
    assert!(page.contains("? too few requests"));
    assert!(
        page.contains("<path class=\"p95\" d=\"\">"),
        "a p95 is drawn"
    );
}
