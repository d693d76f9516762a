//! One experiment over time: rate, errors and latency above one another, the fault as a hatched band through all three.
//!
//! Drawn twice, for wide and for narrow screens, so that text keeps its size; the style sheet shows one of them.

use maud::{Markup, html};

use crate::{
    format,
    model::{Timeline, Window},
    scale::Scale,
};

const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const HEAD: f64 = 22.0;
const GAP: f64 = 30.0;
const FOOT: f64 = 24.0;

/// Where a panel lies, in pixels from the top.
#[derive(Clone, Copy)]
struct Panel {
    top: f64,
    bottom: f64,
}

/// Both drawings of a timeline, with a legend.
pub(crate) fn timeline(timeline: &Timeline, name: &str) -> Markup {
    if timeline.windows.is_empty() {
        return html! { p.quiet { "No requests were measured." } };
    }
    html! {
        figure.timeline {
            div.wide { (drawing(timeline, name, 1080.0, "wide")) }
            div.narrow { (drawing(timeline, name, 350.0, "narrow")) }
            figcaption.legend {
                span { i.key.rate {} "requests/s" }
                span { i.key.errors {} "errors/s" }
                span { i.key.p95 {} "p95 from the due time" }
                span { i.key.p50 {} "median" }
                @if timeline.band_p95_ms.is_some() { span { i.key.band {} "bound of the baseline band for p95" } }
                @if let Some((_, _, label)) = &timeline.fault { span { i.key.fault {} (label) } }
            }
        }
    }
}

fn drawing(timeline: &Timeline, name: &str, width: f64, id: &str) -> Markup {
    let rate = Panel {
        top: HEAD,
        bottom: HEAD + 84.0,
    };
    let errors = Panel {
        top: rate.bottom + GAP,
        bottom: rate.bottom + GAP + 60.0,
    };
    let latency = Panel {
        top: errors.bottom + GAP,
        bottom: errors.bottom + GAP + 190.0,
    };
    let height = latency.bottom + FOOT;
    let begin = timeline.windows.first().map_or(0.0, |window| window.from_s);
    let end = timeline.windows.last().map_or(1.0, |window| window.to_s);
    let x = Scale::linear(begin, end, LEFT, width - RIGHT);
    let hatch = format!("hatch-{name}-{id}");

    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(described(timeline)) {
            defs {
                pattern id=(hatch) width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect class="hatch-ground" width="8" height="8" {}
                    line class="hatch-line" x1="0" y1="0" x2="0" y2="8" {}
                }
            }
            (bands(timeline, &x, &hatch, latency.bottom))
            (counts(&timeline.windows, &x, rate, "rate", "requests/s", |w| w.requests))
            (counts(&timeline.windows, &x, errors, "errors", "errors/s", |w| w.errors))
            (latencies(timeline, &x, latency))
            (time_axis(&x, latency.bottom, if width > 600.0 { 12 } else { 5 }))
        }
    }
}

/// The fault's band, and the phases' names above their begins.
fn bands(timeline: &Timeline, x: &Scale, hatch: &str, bottom: f64) -> Markup {
    html! {
        @if let Some((from, to, _)) = &timeline.fault {
            rect x=(px(x.px(*from))) y=(px(HEAD - 4.0)) width=(px(x.px(*to) - x.px(*from))) height=(px(bottom - HEAD + 4.0))
                fill=(format!("url(#{hatch})")) {}
        }
        @for (name, from, to) in &timeline.phases {
            line class="phase" x1=(px(x.px(*from))) x2=(px(x.px(*from))) y1=(px(4.0)) y2=(px(bottom)) {}
            @if x.px(*to) - x.px(*from) > 8.0 * name.len() as f64 + 6.0 {
                text class="phase-name" x=(px(x.px(*from) + 4.0)) y="13" { (name) }
            }
        }
    }
}

/// Bars of a count for each second.
fn counts(
    windows: &[Window],
    x: &Scale,
    panel: Panel,
    class: &str,
    title: &str,
    count: impl Fn(&Window) -> u64,
) -> Markup {
    let per_second =
        |window: &Window| count(window) as f64 / (window.to_s - window.from_s).max(1e-9);
    let most = windows.iter().map(&per_second).fold(0.0, f64::max).max(1.0);
    let y = Scale::linear(0.0, most * 1.1, panel.bottom, panel.top);
    html! {
        (y_axis(&y, panel, x, title, 3, |value| format!("{value}")))
        @for window in windows {
            @let top = y.px(per_second(window));
            @if count(window) > 0 {
                rect class=(class) x=(px(x.px(window.from_s) + 0.5)) y=(px(top))
                    width=(px((x.px(window.to_s) - x.px(window.from_s) - 1.0).max(0.5))) height=(px(panel.bottom - top)) {
                    title { (format!("{:.0}-{:.0} s: {} {title}", window.from_s, window.to_s, per_second(window))) }
                }
            }
        }
    }
}

/// Median and p95 of each window, on a logarithmic axis: a fault moves them by orders of magnitude.
fn latencies(timeline: &Timeline, x: &Scale, panel: Panel) -> Markup {
    let measured: Vec<&Window> = timeline
        .windows
        .iter()
        .filter(|window| window.requests > 0)
        .collect();
    let low = measured
        .iter()
        .map(|window| window.p50_ms)
        .fold(f64::INFINITY, f64::min);
    let high = measured
        .iter()
        .map(|window| window.p95_ms.unwrap_or(window.p50_ms))
        .fold(timeline.band_p95_ms.unwrap_or(1.0), f64::max);
    let y = Scale::logarithmic(
        (low * 0.7).clamp(0.01, 10.0),
        high * 1.4,
        panel.bottom,
        panel.top,
    );
    html! {
        (y_axis(&y, panel, x, "latency from the due time", 9, |value| format::milliseconds(value).replace(".0 ", " ").replace(".00 ", " ")))
        @if let Some(bound) = timeline.band_p95_ms {
            line class="band" x1=(px(x.px(f64::MIN))) x2=(px(x.px(f64::MAX))) y1=(px(y.px(bound))) y2=(px(y.px(bound))) {}
        }
        path class="p95" d=(steps(&measured, x, &y, |window| window.p95_ms)) {}
        path class="p50" d=(steps(&measured, x, &y, |window| Some(window.p50_ms))) {}
        @for window in measured {
            rect class="hover" x=(px(x.px(window.from_s))) y=(px(panel.top)) width=(px(x.px(window.to_s) - x.px(window.from_s)))
                height=(px(panel.bottom - panel.top)) {
                title {
                    (format!("{:.0}-{:.0} s: p95 {}, median {}, n {}", window.from_s, window.to_s,
                        window.p95_ms.map_or_else(|| "n too small".to_owned(), format::milliseconds), format::milliseconds(window.p50_ms), window.requests))
                }
            }
        }
    }
}

/// A stepped line: a window's figure holds for the whole window. One without a figure leaves a gap.
fn steps(
    windows: &[&Window],
    x: &Scale,
    y: &Scale,
    value: impl Fn(&Window) -> Option<f64>,
) -> String {
    let mut command = 'M';
    let step = |window: &&Window| {
        let Some(value) = value(window) else {
            command = 'M';
            return String::new();
        };
        let level = px(y.px(value));
        let begin = std::mem::replace(&mut command, 'L');
        format!(
            "{begin}{} {level}L{} {level}",
            px(x.px(window.from_s)),
            px(x.px(window.to_s))
        )
    };
    windows.iter().map(step).collect()
}

fn y_axis(
    y: &Scale,
    panel: Panel,
    x: &Scale,
    title: &str,
    most: usize,
    label: impl Fn(f64) -> String,
) -> Markup {
    html! {
        text class="title" x=(px(LEFT)) y=(px(panel.top - 6.0 + if panel.top > HEAD + 1.0 { 0.0 } else { 18.0 })) {
            @if panel.top > HEAD + 1.0 { (title) }
        }
        @for tick in y.ticks(most) {
            line class="grid" x1=(px(LEFT)) x2=(px(x.px(f64::MAX))) y1=(px(y.px(tick))) y2=(px(y.px(tick))) {}
            text class="tick y" x=(px(LEFT - 6.0)) y=(px(y.px(tick) + 4.0)) { (label(tick)) }
        }
        @if panel.top <= HEAD + 1.0 {
            text class="tick y unit" x=(px(LEFT - 6.0)) y=(px(panel.top - 9.0)) { "req/s" }
        }
    }
}

fn time_axis(x: &Scale, bottom: f64, most: usize) -> Markup {
    html! {
        @for tick in x.ticks(most) {
            text class="tick x" x=(px(x.px(tick))) y=(px(bottom + 17.0)) { (format!("{tick} s")) }
        }
    }
}

/// One sentence for those who cannot see the plot.
fn described(timeline: &Timeline) -> String {
    let requests: u64 = timeline.windows.iter().map(|window| window.requests).sum();
    let errors: u64 = timeline.windows.iter().map(|window| window.errors).sum();
    let worst = timeline
        .windows
        .iter()
        .filter_map(|window| window.p95_ms)
        .fold(0.0, f64::max);
    let fault = timeline
        .fault
        .as_ref()
        .map_or_else(String::new, |(from, to, label)| {
            format!("; {label} from {from:.0} s to {to:.0} s")
        });
    format!(
        "Timeline: {requests} requests, {errors} errors, highest p95 of a window {}{fault}.",
        format::milliseconds(worst)
    )
}

/// Pixels with one decimal: more only makes the file larger.
fn px(value: f64) -> String {
    format!("{value:.1}")
}
