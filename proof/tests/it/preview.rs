//! A page as its readers get it: whole, self-contained, safe with hostile boards and labels, honest about what is missing.

use proof::{
    boards::model::Board,
    preview::{
        render, save,
        view::{Answer, BoardView, EventView, PanelView, Preview, Reason},
    },
    prometheus::{Range, Series},
};
use serde_json::{Value, json};

use crate::support::{self, BEGIN, CLEAN, END, Folder};

/// Ten steps of five seconds.
const RANGE: Range = Range {
    from: 1_796_000_400.0,
    to: 1_796_000_445.0,
    step: 5.0,
};

/// A series with a value for each of the first steps; NaN stands for a sample that is missing.
fn series(labels: &[(&str, &str)], values: &[f64]) -> Series {
    Series {
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        samples: values
            .iter()
            .enumerate()
            .filter(|(_, value)| !value.is_nan())
            .map(|(step, value)| (RANGE.from + step as f64 * RANGE.step, *value))
            .collect(),
    }
}

fn answer(target: usize, result: Result<Vec<Series>, &str>) -> Answer {
    Answer {
        target,
        query: format!("query_{target}"),
        result: result.map_err(str::to_owned),
        reason: None,
    }
}

fn data(title: &str, answers: Vec<Answer>) -> PanelView {
    PanelView {
        title: title.to_owned(),
        range: RANGE,
        answers,
        not_asked: Vec::new(),
    }
}

fn preview(board: Value, panels: Vec<PanelView>) -> Preview {
    let board: Board = serde_json::from_value(board).expect("a board");
    assert_eq!(
        board.leaf_panels().len(),
        panels.len(),
        "data for each panel"
    );
    Preview {
        source: "dashboards".to_owned(),
        server: "http://127.0.0.1:9090".to_owned(),
        range: RANGE,
        made_at: RANGE.to,
        boards: vec![BoardView {
            file: "dashboards/overview.json".to_owned(),
            board,
            variables: vec![("Route".to_owned(), "All (.*)".to_owned())],
            events: Vec::new(),
            panels,
        }],
    }
}

/// A page of one panel.
fn page_of(panel: Value, answers: Vec<Answer>) -> String {
    let title = panel["title"].as_str().unwrap_or("Panel").to_owned();
    render(&preview(
        json!({"uid": "one", "title": "One", "panels": Value::Array(vec![panel])}),
        vec![data(&title, answers)],
    ))
}

fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let begin = page
        .find(from)
        .unwrap_or_else(|| panic!("the page lacks {from:?}"));
    let rest = &page[begin..];
    &rest[..rest
        .find(to)
        .unwrap_or_else(|| panic!("{from:?} is not followed by {to:?}"))]
}

fn timeseries(custom: Value, defaults: Value) -> Value {
    let mut field = json!({"unit": "reqps"});
    field["custom"] = custom;
    if let Value::Object(defaults) = defaults {
        for (name, value) in defaults {
            field[name] = value;
        }
    }
    json!({
        "id": 1, "type": "timeseries", "title": "Requests", "description": "How many.",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8}, "fieldConfig": {"defaults": field},
        "targets": [{"refId": "A", "legendFormat": "{{route}}"}, {"refId": "B", "legendFormat": "{{route}}"}],
    })
}

/// A board with every kind of panel, for the tests of the whole page.
fn whole() -> Preview {
    let panel = |kind: &str, x: u32, y: u32, more: Value| {
        let mut panel = json!({
            "type": kind, "title": kind, "gridPos": {"x": x, "y": y, "w": 8, "h": 8},
            "targets": [{"refId": "A", "legendFormat": "{{route}}"}], "fieldConfig": {"defaults": {"unit": "s"}},
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            panel[name] = value.clone();
        }
        panel
    };
    let le = |bound: &str, values: &[f64]| series(&[("le", bound)], values);
    let one = || {
        vec![answer(
            0,
            Ok(vec![series(&[("route", "list")], &[0.1, 0.2, 0.3])]),
        )]
    };
    let board = json!({"uid": "whole", "title": "Whole", "description": "Is **everything** drawn?", "panels": [
        panel("timeseries", 0, 0, json!({})),
        panel("stat", 8, 0, json!({})),
        panel("gauge", 16, 0, json!({"fieldConfig": {"defaults": {"unit": "percentunit"}}})),
        panel("bargauge", 0, 8, json!({})),
        panel("heatmap", 8, 8, json!({"targets": [{"refId": "A", "format": "heatmap"}]})),
        panel("table", 16, 8, json!({})),
        {"type": "row", "title": "More", "collapsed": true, "panels": [
            panel("state-timeline", 0, 0, json!({})),
            {"type": "text", "title": "", "options": {"mode": "markdown", "content": "# How to read\n- top first"}},
            panel("piechart", 8, 0, json!({})),
        ]},
    ]});
    let heat = vec![answer(
        0,
        Ok(vec![
            le("0.1", &[1.0, 2.0]),
            le("0.5", &[4.0, 2.0]),
            le("+Inf", &[4.0, 3.0]),
        ]),
    )];
    let panels = vec![
        data("timeseries", one()),
        data("stat", one()),
        data("gauge", one()),
        data("bargauge", one()),
        data("heatmap", heat),
        data("table", one()),
        data("state-timeline", one()),
        data("", Vec::new()),
        data("piechart", one()),
    ];
    preview(board, panels)
}

#[test]
fn every_kind_of_panel_is_drawn_and_the_others_are_named() {
    let page = render(&whole());
    for part in [
        "path class=\"line",
        "class=\"stat\"",
        "class=\"gauge\"",
        "class=\"bar\"",
        "path class=\"cell",
        "<table class=\"data\">",
        "class=\"state\"",
        "<h5>How to read</h5>",
        "Not drawn: piechart",
        "<strong>everything</strong>",
        "(collapsed in Grafana)",
        "All (.*)",
    ] {
        assert!(page.contains(part), "the page lacks {part}");
    }
    // To be looked at in a browser.
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/whole.html"), page).expect("a file");
}

#[test]
fn the_page_needs_no_network_and_no_script() {
    let page = render(&whole());
    for foreign in [
        "src=",
        "<link",
        "@import",
        "url(",
        "javascript:",
        "<script",
        "onclick",
    ] {
        assert!(!page.contains(foreign), "{foreign} reaches outside or runs");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn panels_stand_where_the_board_has_them() {
    let page = render(&whole());
    assert!(
        page.contains("--x:9;--y:1;--w:8;--h:8"),
        "the stat is in the ninth column"
    );
    assert!(
        page.contains("--x:1;--y:9;--w:8;--h:8"),
        "the bar gauge is below"
    );
}

#[test]
fn hostile_text_stays_text() {
    let hostile = r#"</title></style></svg><script>alert(1)</script><!-- "' onload=x {{"#;
    let mut preview = whole();
    preview.source = hostile.to_owned();
    preview.server = hostile.to_owned();
    let view = &mut preview.boards[0];
    view.file = hostile.to_owned();
    view.board.uid = hostile.to_owned();
    view.board.title = hostile.to_owned();
    view.board.description = format!("{hostile} [x](javascript:alert(1)) `{hostile}`");
    view.variables = vec![(hostile.to_owned(), hostile.to_owned())];
    view.events = vec![EventView {
        name: hostile.to_owned(),
        colour: "red;background:url(http://x)".to_owned(),
        title: String::new(),
        result: Ok(vec![series(&[("experiment", hostile)], &[1.0, 1.0])]),
    }];
    for (panel, data) in view.board.panels.iter_mut().zip(&mut view.panels) {
        panel.title = hostile.to_owned();
        panel.description = hostile.to_owned();
        panel.field_config.defaults.unit = Some(hostile.to_owned());
        panel.field_config.defaults.color = json!({"mode": "fixed", "fixedColor": hostile});
        data.title = hostile.to_owned();
        data.not_asked = vec![hostile.to_owned()];
        for answer in &mut data.answers {
            answer.query = hostile.to_owned();
            for one in answer.result.iter_mut().flatten() {
                one.labels.insert("route".to_owned(), hostile.to_owned());
            }
        }
    }
    view.board.panels.last_mut().expect("a row").title = hostile.to_owned();
    view.panels[0].answers.push(answer(0, Err(hostile)));
    let page = render(&preview);
    for broken in [
        "<script",
        "<!--",
        "\" onload",
        "url(http",
        "href=\"javascript",
        "</svg><script",
    ] {
        assert!(!page.contains(broken), "{broken}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("</title></style>").count(), 0);
}

#[test]
fn a_gap_in_a_series_is_a_gap_in_its_line() {
    let values = [1.0, 2.0, f64::NAN, 4.0, 3.0];
    let page = page_of(
        timeseries(json!({}), json!({})),
        vec![answer(0, Ok(vec![series(&[("route", "list")], &values)]))],
    );
    let path = between(&page, "class=\"line", "</path>");
    assert_eq!(path.matches('M').count(), 2, "{path}");
    assert!(
        page.contains("ended 01:00:20"),
        "a series that ended before the page does is said to have ended"
    );
}

#[test]
fn a_stack_reaches_the_sum_of_its_series() {
    let page = page_of(
        timeseries(
            json!({"stacking": {"mode": "normal"}, "fillOpacity": 20}),
            json!({"min": 0, "max": 10}),
        ),
        vec![answer(
            0,
            Ok(vec![
                series(&[("route", "a")], &[2.0, 2.0]),
                series(&[("route", "b")], &[3.0, 8.0]),
            ]),
        )],
    );
    let lines: Vec<&str> = page.split("class=\"line").skip(1).collect();
    assert!(lines[0].contains("M0 800L111.1 800"), "{}", &lines[0][..80]);
    assert!(lines[1].contains("M0 500L111.1 0"), "{}", &lines[1][..80]);
}

#[test]
fn thresholds_are_lines_at_their_values() {
    let thresholds = json!({"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "red", "value": 7.5}]});
    let page = page_of(
        timeseries(
            json!({"thresholdsStyle": {"mode": "line+area"}}),
            json!({"min": 0, "max": 10, "thresholds": thresholds}),
        ),
        vec![answer(0, Ok(vec![series(&[("route", "a")], &[2.0, 2.0])]))],
    );
    assert!(page.contains(r#"<path class="threshold" style="--c:var(--red)" d="M0 250H1000">"#));
    assert!(page.contains(
        r#"<rect class="threshold" style="--c:var(--red)" x="0" y="0" width="1000" height="250">"#
    ));
}

#[test]
fn two_units_have_an_axis_each() {
    let mut panel = timeseries(json!({}), json!({}));
    panel["fieldConfig"]["overrides"] = json!([
        {"matcher": {"id": "byFrameRefID", "options": "B"}, "properties": [{"id": "unit", "value": "s"}]}
    ]);
    let page = page_of(
        panel,
        vec![
            answer(0, Ok(vec![series(&[("route", "rate")], &[100.0, 200.0])])),
            answer(1, Ok(vec![series(&[("route", "latency")], &[0.1, 0.2])])),
        ],
    );
    assert!(between(&page, "axis left", "</div>").contains("200 req/s"));
    assert!(between(&page, "axis right", "</div>").contains("200 ms"));
}

#[test]
fn a_chart_is_told_in_words_and_figures() {
    let page = page_of(
        timeseries(json!({}), json!({})),
        vec![answer(
            0,
            Ok(vec![series(&[("route", "list")], &[1.0, 5.0, 2.0])]),
        )],
    );
    let words = between(&page, "aria-label=\"Requests:", "\"><");
    for part in [
        "requests/s",
        "1 series",
        "list: last 2 req/s, min 1 req/s, max 5 req/s",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let legend = between(&page, "<table class=\"legend\">", "</table>");
    assert!(
        legend.contains("<td>1 req/s</td><td>5 req/s</td><td>2 req/s</td>"),
        "{legend}"
    );
}

#[test]
fn a_panel_without_data_says_so_with_the_reason_and_is_counted() {
    let mut empty = answer(0, Ok(Vec::new()));
    empty.reason = Some(Reason::Found(
        "no series is called http_requests_total".to_owned(),
    ));
    let page = page_of(timeseries(json!({}), json!({"noValue": "0"})), vec![empty]);
    assert!(page.contains("<b>No data</b><p>no series is called http_requests_total</p>"));
    assert!(page.contains("Grafana shows \u{201c}0\u{201d} here."));
    assert!(page.contains("? 1 no data") && !page.contains('✓'));
}

#[test]
fn a_panel_that_is_expected_to_be_empty_is_told_apart() {
    let mut empty = answer(0, Ok(Vec::new()));
    empty.reason = Some(Reason::Expected("no upload was rejected".to_owned()));
    let page = page_of(timeseries(json!({}), json!({})), vec![empty]);
    assert!(page.contains("<b>No data, as expected</b><p>no upload was rejected</p>"));
    assert!(page.contains("○ 1 empty as expected") && !page.contains('✓'));
}

#[test]
fn a_refused_query_shows_the_servers_sentence() {
    let page = page_of(
        timeseries(json!({}), json!({})),
        vec![answer(0, Err("parse error: unexpected end of input"))],
    );
    assert!(page.contains("Error in query A: parse error: unexpected end of input"));
    assert!(page.contains("✗ 1 error") && !page.contains('✓'));
}

#[test]
fn one_query_without_data_beside_a_live_one_is_not_whole() {
    let live = Ok(vec![series(&[("route", "list")], &[1.0])]);
    let page = page_of(
        timeseries(json!({}), json!({})),
        vec![answer(0, live), answer(1, Ok(Vec::new()))],
    );
    assert!(page.contains("No data from query B"));
    assert!(page.contains("? 1 no data") && !page.contains('✓'));
}

#[test]
fn nothing_but_nan_is_no_data() {
    let mut nan = series(&[("route", "list")], &[]);
    nan.samples = vec![(RANGE.from, f64::NAN)];
    let page = page_of(
        timeseries(json!({}), json!({})),
        vec![answer(0, Ok(vec![nan]))],
    );
    assert!(page.contains("<b>NaN only</b>") && !page.contains('✓'));
}

#[test]
fn the_last_value_of_a_series_that_ended_has_no_colour_of_health() {
    let panel = json!({
        "type": "stat", "title": "Up", "targets": [{"refId": "A"}],
        "fieldConfig": {"defaults": {"thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}]}}},
    });
    let all = [1.0; 10];
    let alive = page_of(panel.clone(), vec![answer(0, Ok(vec![series(&[], &all)]))]);
    assert!(between(&alive, "class=\"stat\"", "<b").contains("--c:var(--green)"));
    let ended = page_of(panel, vec![answer(0, Ok(vec![series(&[], &all[..4])]))]);
    assert!(between(&ended, "class=\"stat\"", "<b").contains("--c:var(--unknown)"));
    assert!(ended.contains("? no value since 01:00:15"));
}

#[test]
fn more_series_than_can_be_read_are_counted_and_not_drawn() {
    let many: Vec<Series> = (0..45)
        .map(|n| series(&[("route", &format!("r{n}"))], &[1.0, 2.0]))
        .collect();
    let page = page_of(timeseries(json!({}), json!({})), vec![answer(0, Ok(many))]);
    assert_eq!(page.matches("path class=\"line").count(), 40);
    assert!(page.contains("5 more series are not drawn."));
    assert!(
        page.contains("32 more series</summary>"),
        "the legend unfolds"
    );
}

#[test]
fn cells_of_a_heatmap_are_counts_of_their_own_bucket() {
    let panel = json!({
        "type": "heatmap", "title": "Latency", "targets": [{"refId": "A", "format": "heatmap"}],
        "options": {"yAxis": {"unit": "s"}},
    });
    let le = |bound: &str, values: &[f64]| series(&[("le", bound)], values);
    let page = page_of(
        panel.clone(),
        vec![answer(
            0,
            Ok(vec![
                le("+Inf", &[9.0, 9.0]),
                le("0.25", &[1.0, 0.0]),
                le("0.5", &[9.0, 9.0]),
            ]),
        )],
    );
    let words = between(&page, "aria-label=\"Latency: heatmap", "\"><");
    assert!(
        words.contains("2 buckets") && words.contains("up to 250 ms, 5.56 %"),
        "{words}"
    );
    assert!(
        page.contains("01:00:05\nup to 500 ms: 9"),
        "the tooltip has the count"
    );
    let page = page_of(
        panel,
        vec![answer(0, Ok(vec![series(&[("route", "list")], &[1.0])]))],
    );
    assert!(page.contains("Not drawn: its query has no label le"));
}

#[test]
fn faults_are_bands_over_every_panel_and_listed_with_their_times() {
    let mut preview = whole();
    preview.boards[0].events = vec![
        EventView {
            name: "Faults".to_owned(),
            colour: "orange".to_owned(),
            title: "{{experiment}}".to_owned(),
            result: Ok(vec![series(
                &[("experiment", "store-slow")],
                &[0.0, 1.0, 1.0, 0.0],
            )]),
        },
        EventView {
            name: "Load".to_owned(),
            colour: "blue".to_owned(),
            title: String::new(),
            result: Err("query timed out".to_owned()),
        },
    ];
    let page = render(&preview);
    assert!(page.contains(r#"<rect class="region" x="111.1" y="0" width="111.1" height="1000">"#));
    assert!(page.contains("01:00:05 to 01:00:10"));
    assert!(page.contains("Error: query timed out"));
}

#[test]
fn a_transformation_that_is_not_known_here_is_named() {
    let mut panel = timeseries(json!({}), json!({}));
    panel["transformations"] = json!([{"id": "calculateField", "options": {}}]);
    let page = page_of(
        panel,
        vec![answer(0, Ok(vec![series(&[("route", "list")], &[1.0])]))],
    );
    assert!(page.contains("Not applied: the transformation calculateField."));
}

#[test]
fn the_legend_shows_first_what_happened() {
    let mut many: Vec<Series> = (0..12)
        .map(|n| series(&[("route", &format!("quiet{n}"))], &[0.0, 0.0]))
        .collect();
    many.push(series(&[("route", "busy")], &[0.0, 7.0]));
    let page = page_of(timeseries(json!({}), json!({})), vec![answer(0, Ok(many))]);
    let at_sight = between(&page, "<table class=\"legend\">", "</table>");
    assert!(at_sight.contains("busy") && !at_sight.contains("quiet11"));
}

#[test]
fn a_page_is_drawn_from_a_real_server_with_the_reasons_of_the_check() {
    let Some(server) = support::prometheus() else {
        return;
    };
    let mut board = support::board(CLEAN);
    let mut dead = board["panels"][0].clone();
    dead["id"] = json!(77);
    dead["title"] = json!("Dead");
    dead["targets"][0]["expr"] = json!("http_requests_renamed_total");
    board["panels"].as_array_mut().unwrap().push(dead);
    let folder = Folder::new();
    folder.board("boards/a.json", &board);
    let (boards, file) = (folder.path_of("boards"), folder.path_of("page.html"));
    let [from, to] = [BEGIN, END].map(|at| at.to_string());
    let output = support::boards(&[
        &boards,
        "--prometheus",
        &server.url,
        "--from",
        &from,
        "--to",
        &to,
        "--preview",
        &file,
    ]);
    let page = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(
        page.contains("path class=\"line"),
        "the live panel is drawn"
    );
    assert!(
        page.contains("<b>No data</b><p>") && page.contains("http_requests_renamed_total"),
        "the dead one has its reason"
    );
    assert!(page.contains("? 1 no data"));
    assert!(!std::path::Path::new(&format!("{file}.part")).exists());
}

#[test]
fn a_page_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    let file = folder.path_of("missing/page.html");
    let refusal = save(&whole(), std::path::Path::new(&file)).unwrap_err();
    assert_eq!(refusal.exit, proof::exit::Exit::Usage);
    assert!(refusal.sentence.contains(&file), "{refusal}");
}
