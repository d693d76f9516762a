//! Panels of single figures: a number (`stat`), an arc (`gauge`), bars (`bargauge`).

use maud::{Markup, html};

use super::{
    axis::{Extent, SIDE, TimeAxis, ValueAxis},
    chart::Chart,
    field::Field,
    line::{Line, time_of},
    reduction::Reduction,
    shape::{Interpolation, Pen, Shape, px, runs},
    unit,
};

/// One figure, ready to be shown.
struct Figure<'a> {
    line: &'a Line<'a>,
    name: String,
    /// `None` if the series has no such figure; then nothing has a colour.
    value: Option<f64>,
    text: String,
    /// Colour as CSS.
    colour: Option<String>,
    /// Since when the series has no values: what it last said is no news.
    ended: Option<String>,
}

/// The panel's figures, or the name of a reduction that is unknown here.
fn figures<'a>(chart: &'a Chart) -> Result<Vec<Figure<'a>>, String> {
    let reduction = chart.reduction()?;
    let figure = |line| figure(chart, line, reduction);
    Ok(chart.lines.iter().map(figure).collect())
}

fn figure<'a>(chart: &Chart, line: &'a Line<'a>, reduction: Reduction) -> Figure<'a> {
    let value = line.figure(reduction);
    // Only what claims to be current can be out of date.
    let ended = line
        .ended()
        .filter(|_| reduction == Reduction::LastNotNull)
        .map(|step| unit::date(time_of(chart.range, step), "%H:%M:%S"));
    let label = label_shown(chart, line);
    let text = match (&label, value) {
        (Some(label), _) => line
            .field
            .mapped_text(label)
            .and_then(|mapped| mapped.text)
            .unwrap_or_else(|| label.clone()),
        (None, Some(value)) => line.field.text(value),
        (None, None) => line.field.no_value().unwrap_or("No data").to_owned(),
    };
    Figure {
        line,
        name: line.name.clone(),
        value,
        text,
        colour: value
            .filter(|_| ended.is_none())
            .and_then(|value| line.field.colour(value)),
        ended,
    }
}

/// A panel may show a label instead of the value: `fields` is its name, written as a pattern.
fn label_shown(chart: &Chart, line: &Line) -> Option<String> {
    let fields = chart.panel.options["reduceOptions"]["fields"].as_str()?;
    let name = fields
        .trim_matches('/')
        .trim_start_matches('^')
        .trim_end_matches('$');
    line.labels.get(name).cloned()
}

/// A reduction that is unknown here has no figure.
fn unknown(reduction: &str) -> Markup {
    html! { p.none { "Not drawn: the reduction \u{201c}" (reduction) "\u{201d} is not known here." } }
}

/// Large numbers, with a sparkline where the board wants it.
pub(super) fn stat(chart: &Chart) -> Markup {
    let figures = match figures(chart) {
        Ok(figures) => figures,
        Err(reduction) => return unknown(&reduction),
    };
    let options = &chart.panel.options;
    let text_mode = options["textMode"].as_str().unwrap_or("auto");
    let has_name = match text_mode {
        "value" | "none" => false,
        "value_and_name" | "name" => true,
        _ => figures.len() > 1,
    };
    let is_ground = options["colorMode"]
        .as_str()
        .is_some_and(|mode| mode.starts_with("background"));
    let has_sparkline = options["graphMode"].as_str().unwrap_or("area") == "area";
    html! {
        div.stats {
            @for figure in &figures {
                div class=(if is_ground { "stat ground" } else { "stat" }) style=(colour(figure)) {
                    @if has_name { span.name { (figure.name) } }
                    @if text_mode != "name" || figure.value.is_none() { b.value { (figure.text) } }
                    (ended(figure))
                    @if has_sparkline && figure.line.values.iter().flatten().count() > 2 { (sparkline(figure.line, chart)) }
                }
            }
        }
    }
}

fn colour(figure: &Figure) -> String {
    let otherwise = if figure.ended.is_some() || figure.value.is_none() {
        "var(--unknown)"
    } else {
        "var(--text)"
    };
    format!("--c:{}", figure.colour.as_deref().unwrap_or(otherwise))
}

fn ended(figure: &Figure) -> Markup {
    html! {
        @if let Some(since) = &figure.ended { span.ended { "? no value since " (since) } }
    }
}

/// The figure over time, without axes.
fn sparkline(line: &Line, chart: &Chart) -> Markup {
    let shape = Shape {
        base: vec![f64::MIN; line.values.len()],
        top: line
            .values
            .iter()
            .map(|value| value.filter(|value| super::axis::is_drawable(*value)))
            .collect(),
    };
    let values = || shape.top.iter().copied().flatten();
    let low = values().reduce(f64::min);
    let y = ValueAxis::new(
        Extent {
            values: low.zip(values().reduce(f64::max)),
            min: line.field.min(),
            max: line.field.max(),
            logarithmic: false,
            unit: &line.field.unit,
            decimals: None,
        },
        2,
    );
    let pen = Pen {
        x: TimeAxis::new(chart.range),
        y: &y,
        interpolation: Interpolation::Straight,
    };
    let runs = runs(&shape, 1);
    html! {
        svg.sparkline viewBox=(format!("0 0 {SIDE} {SIDE}")) preserveAspectRatio="none" aria-hidden="true" {
            path class="fill" d=(pen.area(&shape, &runs)) style="fill-opacity:.15" {}
            path class="line" d=(pen.line(&shape, &runs)) {}
        }
    }
}

/// The range that a gauge covers: the board's, else Grafana's own for the unit.
fn ends(field: &Field, largest: f64) -> (f64, f64) {
    let low = field.min().unwrap_or(0.0);
    let high = field.max().unwrap_or(match field.unit.as_str() {
        "percent" => 100.0,
        "percentunit" => 1.0,
        _ => largest,
    });
    (low, if high > low { high } else { low + 1.0 })
}

fn largest(figures: &[Figure]) -> f64 {
    figures
        .iter()
        .filter_map(|figure| figure.value)
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max)
}

fn share(value: f64, (low, high): (f64, f64)) -> f64 {
    let share = (value - low) / (high - low);
    if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    }
}

/// An arc from the lower to the upper end, with the thresholds around it.
pub(super) fn gauge(chart: &Chart) -> Markup {
    let figures = match figures(chart) {
        Ok(figures) => figures,
        Err(reduction) => return unknown(&reduction),
    };
    let largest = largest(&figures);
    html! {
        div.stats {
            @for figure in &figures {
                @let field = &figure.line.field;
                @let ends = ends(field, largest);
                div.gauge style=(colour(figure)) {
                    svg viewBox="0 0 120 68" role="img" aria-label=(format!("{}: {}, from {} to {}", figure.name, figure.text, field.number(ends.0), field.number(ends.1))) {
                        path class="track" d=(arc(0.0, 1.0, 48.0)) {}
                        @for (from, to, colour) in bounds(field, ends) {
                            path class="bound" d=(arc(from, to, 56.5)) style=(format!("--c:{colour}")) {}
                        }
                        @if let Some(value) = figure.value { path class="value" d=(arc(0.0, share(value, ends), 48.0)) {} }
                    }
                    b.value { (figure.text) }
                    @if figures.len() > 1 { span.name { (figure.name) } }
                    (ended(figure))
                }
            }
        }
    }
}

/// The thresholds as stretches from 0 to 1 with their colours.
fn bounds(field: &Field, ends: (f64, f64)) -> Vec<(f64, f64, String)> {
    let steps = field.thresholds();
    let from = |place: usize| {
        steps.get(place).map_or(1.0, |(from, _)| {
            if from.is_finite() {
                share(*from, ends)
            } else {
                0.0
            }
        })
    };
    (0..steps.len())
        .filter_map(|place| Some((from(place), from(place + 1), steps[place].1.clone()?)))
        .filter(|(from, to, _)| to > from)
        .collect()
}

/// A part of the half circle around (60, 60).
fn arc(from: f64, to: f64, radius: f64) -> String {
    let point = |share: f64| {
        let angle = std::f64::consts::PI * (1.0 - share);
        format!(
            "{} {}",
            px(60.0 + radius * angle.cos()),
            px(60.0 - radius * angle.sin())
        )
    };
    format!("M{}A{radius} {radius} 0 0 1 {}", point(from), point(to))
}

/// A bar for each series.
pub(super) fn bargauge(chart: &Chart) -> Markup {
    let figures = match figures(chart) {
        Ok(figures) => figures,
        Err(reduction) => return unknown(&reduction),
    };
    let largest = largest(&figures);
    html! {
        div.bargauge {
            @for figure in &figures {
                @let share = figure.value.map_or(0.0, |value| share(value, ends(&figure.line.field, largest)));
                div.bar style=(colour(figure)) {
                    span.name { (figure.name) }
                    span.track { span style=(format!("width:{}%", px(share * 100.0))) {} }
                    b { (figure.text) }
                    (ended(figure))
                }
            }
        }
    }
}
