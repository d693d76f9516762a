//! The registry's text.

use std::time::Duration;

use observability::metrics::{Desc, Label};
use observability::testing::Scrape;

use crate::support::{assert_declared, registry};

const UPLOADS: Desc = Desc::counter(
    "test_uploads_total",
    "Uploads, by outcome.",
    &[Label::closed("outcome", &["created", "refused"])],
);
const DEPTH: Desc = Desc::gauge("test_queue_depth", "Jobs waiting.", &[]);
const FAST: Desc = Desc::histogram(
    "test_fast_seconds",
    "Something fast.",
    &[Label::bounded("stage", "the stages of the test")],
    &[0.001, 0.25, 1.0],
);
const SIZE: Desc = Desc::histogram(
    "test_size_bytes",
    "Something big.",
    &[],
    &[1024.0, 1_048_576.0],
);

const GOLDEN: &str = r#"# HELP test_fast_seconds Something fast.
# TYPE test_fast_seconds histogram
test_fast_seconds_bucket{stage="decode",le="0.001"} 0
test_fast_seconds_bucket{stage="decode",le="0.25"} 2
test_fast_seconds_bucket{stage="decode",le="1.0"} 2
test_fast_seconds_bucket{stage="decode",le="+Inf"} 3
test_fast_seconds_sum{stage="decode"} 2.5
test_fast_seconds_count{stage="decode"} 3
# HELP test_queue_depth Jobs waiting.
# TYPE test_queue_depth gauge
test_queue_depth 7
# HELP test_size_bytes Something big.
# TYPE test_size_bytes histogram
test_size_bytes_bucket{le="1024.0"} 0
test_size_bytes_bucket{le="1048576.0"} 0
test_size_bytes_bucket{le="+Inf"} 0
test_size_bytes_sum 0
test_size_bytes_count 0
# HELP test_uploads_total Uploads, by outcome.
# TYPE test_uploads_total counter
test_uploads_total{outcome="created"} 3
"#;

#[test]
fn the_text_has_help_type_and_buckets_of_each_metric_in_the_order_of_names() {
    let registry = registry();
    let uploads = registry.counter(&UPLOADS, &[("outcome", "created")]);
    uploads.inc();
    uploads.add(2);
    let depth = registry.gauge(&DEPTH, &[]);
    depth.set(8.0);
    depth.sub(1.0);
    let fast = registry.histogram(&FAST, &[("stage", "decode")]);
    fast.record(Duration::from_millis(250));
    fast.record(Duration::from_millis(250));
    fast.record(Duration::from_secs(2));
    // Nobody sees it before its first observation.
    registry.histogram(&FAST, &[("stage", "encode")]);
    registry.histogram_from_zero(&SIZE, &[]);
    let text = registry.render();
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("test_")).collect();
    assert_eq!(ours.join("\n") + "\n", GOLDEN);
}

#[test]
fn samples_survive_several_renderings() {
    let registry = registry();
    let fast = registry.histogram(&FAST, &[("stage", "decode")]);
    for round in 1..=3 {
        fast.record(Duration::from_millis(1));
        assert_eq!(
            Scrape::parse(&registry.render()).value("test_fast_seconds_count", &[]),
            Some(f64::from(round))
        );
    }
}

#[test]
fn a_gauge_goes_back_when_its_guard_is_dropped_however_that_happens() {
    let registry = registry();
    let depth = registry.gauge(&DEPTH, &[]);
    let value = || Scrape::parse(&registry.render()).value("test_queue_depth", &[]);
    let guard = depth.guard();
    assert_eq!(value(), Some(1.0));
    drop(guard);
    assert_eq!(value(), Some(0.0));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = depth.guard();
        panic!("on purpose");
    }));
    assert!(unwound.is_err());
    assert_eq!(value(), Some(0.0));
}

#[test]
fn a_label_value_is_escaped_and_an_empty_one_is_left_out() {
    let registry = registry();
    registry.histogram_from_zero(&FAST, &[("stage", "a\"b\\c\nd")]);
    registry.histogram_from_zero(&FAST, &[("stage", "")]);
    let text = registry.render();
    assert!(
        text.contains(r#"test_fast_seconds_count{stage="a\"b\\c\nd"} 0"#),
        "{text}"
    );
    assert!(text.contains("\ntest_fast_seconds_count 0\n"), "{text}");
    assert!(
        text.contains("\ntest_fast_seconds_bucket{le=\"0.25\"} 0\n"),
        "{text}"
    );
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a value that is not declared")]
fn a_label_value_that_is_not_declared_is_a_defect() {
    registry().counter(&UPLOADS, &[("outcome", "lost")]);
}

#[test]
fn observations_of_many_threads_are_all_there() {
    let registry = registry();
    let fast = registry.histogram(&FAST, &[("stage", "decode")]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    fast.record(Duration::from_millis(500));
                }
            });
        }
    });
    let scrape = Scrape::parse(&registry.render());
    assert_eq!(scrape.value("test_fast_seconds_count", &[]), Some(4000.0));
    assert_eq!(scrape.value("test_fast_seconds_sum", &[]), Some(2000.0));
    let below = scrape.value("test_fast_seconds_bucket", &[("le", "0.25")]);
    assert_eq!(below, Some(0.0));
}

#[test]
fn two_registries_count_apart() {
    let (first, second) = (registry(), registry());
    first.counter(&UPLOADS, &[("outcome", "created")]).inc();
    second.counter(&UPLOADS, &[("outcome", "created")]);
    let value = |text: &str| Scrape::parse(text).value("test_uploads_total", &[]);
    assert_eq!(value(&first.render()), Some(1.0));
    assert_eq!(value(&second.render()), Some(0.0));
}

#[tokio::test]
async fn build_process_and_runtime_are_exported() {
    let scrape = Scrape::parse(&registry().render());
    assert_eq!(
        scrape.value(
            "chitram_build_info",
            &[("version", "0.0.0"), ("revision", "unknown")]
        ),
        Some(1.0)
    );
    for positive in [
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_threads",
        "tokio_workers",
    ] {
        assert!(scrape.value(positive, &[]).unwrap() > 0.0, "{positive}");
    }
    for there in [
        "tokio_worker_busy_seconds_total",
        "tokio_global_queue_depth",
        "tokio_alive_tasks",
    ] {
        assert!(scrape.value(there, &[]).is_some(), "{there}");
    }
}

#[test]
fn every_family_has_help_type_a_declaration_and_a_name_that_promtool_accepts() {
    let registry = registry();
    observability::http::layer(&registry, &[crate::support::get("/", &[200])]);
    let text = registry.render();
    assert_declared(&text);
    let families: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    for (name, kind) in &families {
        assert!(
            text.contains(&format!("# HELP {name} ")),
            "{name} has no help"
        );
        assert_eq!(
            name.ends_with("_total"),
            *kind == "counter",
            "{name} is a {kind}"
        );
        for reserved in ["_count", "_sum", "_bucket"] {
            assert!(
                !name.ends_with(reserved),
                "{name} ends like a histogram's sample"
            );
        }
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit()),
            "{name}"
        );
    }
    let mut sorted = families.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted, families, "each family once, in order");
}
