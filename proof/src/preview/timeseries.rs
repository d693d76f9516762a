//! Values over time: lines, areas, bars and dots, stacked or not, on one axis for each unit.

use maud::{Markup, html};

use super::{
    axis::{Extent, SIDE, TimeAxis, ValueAxis},
    chart::Chart,
    colour,
    field::Field,
    legend::{self, Entry},
    line::{Line, steps, time_of},
    plot::{Plot, tooltips},
    shape::{Interpolation, Pen, Shape, bridge, px, runs, shapes},
};

/// Series of a tooltip at most.
const IN_TOOLTIP: usize = 8;

/// The series that share an axis: those of one unit and side.
struct Group {
    axis: ValueAxis,
    /// The board wants it at the right edge.
    is_right: bool,
    members: Vec<usize>,
}

/// The panel.
pub(super) fn timeseries(chart: &Chart) -> Markup {
    let lines: Vec<Line> = chart
        .lines
        .iter()
        .filter(|line| !line.field.is_hidden_from("viz"))
        .cloned()
        .collect();
    let shapes = shapes(&lines);
    let groups = groups(&lines, &shapes, chart.label_count());
    let left = groups.iter().position(|group| !group.is_right);
    let right = groups
        .iter()
        .enumerate()
        .position(|(place, group)| Some(place) != left && (group.is_right || left.is_some()));
    let colours: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| colour_of(line, place))
        .collect();
    let x = TimeAxis::new(chart.range);
    let described = legend::described(&chart.title, "time series", &lines);
    let ticks =
        |place: Option<usize>| place.map_or(&[][..], |place| groups[place].axis.ticks.as_slice());
    let plot = Plot {
        described: &described,
        x,
        left: ticks(left),
        right: ticks(right),
        drawing: html! {
            @for group in &groups { (thresholds(group, &lines)) }
            @for group in &groups {
                @for member in &group.members {
                    (series(&lines[*member], &shapes[*member], x, group, &colours[*member], *member, chart.range.step))
                }
            }
            (tooltips(x, steps(chart.range), |step| time_of(chart.range, step), |step| tooltip(&lines, step)))
        },
        events: chart.events,
    };
    let entries: Vec<Entry> = (lines.iter().zip(colours).enumerate())
        .filter(|(_, (line, _))| !line.field.is_hidden_from("legend"))
        .map(|(place, (line, colour))| Entry {
            line,
            colour,
            dash: colour::dash(place),
            own_scale: groups
                .iter()
                .position(|group| group.members.contains(&place))
                .is_some_and(|group| Some(group) != left && Some(group) != right),
        })
        .collect();
    let axis_names: Vec<&str> = lines
        .iter()
        .map(|line| line.field.custom_text("axisLabel"))
        .collect();
    let axis_name = axis_names
        .first()
        .filter(|name| axis_names.iter().all(|other| other == *name));
    html! {
        @if let Some(name) = axis_name.filter(|name| !name.is_empty()) { p.axis-name { (name) } }
        (plot.markup())
        @if chart.has_legend() { (legend::legend(&entries, &chart.legend_figures(), chart.range)) }
    }
}

fn colour_of(line: &Line, place: usize) -> String {
    line.field
        .line_colour(line.last().map(|(_, value)| value))
        .unwrap_or_else(|| colour::of_series(place))
}

/// One group for each unit and side, in the order of the series.
fn groups(lines: &[Line], shapes: &[Shape], labels: usize) -> Vec<Group> {
    let mut members: Vec<((String, String), Vec<usize>)> = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let placement = line.field.custom_text("axisPlacement");
        let side = if placement == "right" {
            "right"
        } else {
            "left"
        };
        let key = (line.field.unit.clone(), side.to_owned());
        match members.iter_mut().find(|(known, _)| *known == key) {
            Some((_, places)) => places.push(place),
            None => members.push((key, vec![place])),
        }
    }
    members
        .into_iter()
        .map(|((unit, side), members)| Group {
            axis: axis(&unit, lines, shapes, &members, labels),
            is_right: side == "right",
            members,
        })
        .collect()
}

fn axis(
    unit: &str,
    lines: &[Line],
    shapes: &[Shape],
    members: &[usize],
    labels: usize,
) -> ValueAxis {
    let fields = || members.iter().map(|place| &lines[*place].field);
    let mut values: Vec<f64> = members
        .iter()
        .flat_map(|place| shapes[*place].top.iter().copied().flatten())
        .collect();
    // An end that gives way to values beyond it.
    values.extend(fields().filter_map(|field| field.custom_number("axisSoftMin")));
    values.extend(fields().filter_map(|field| field.custom_number("axisSoftMax")));
    let low = values.iter().copied().reduce(f64::min);
    let high = values.iter().copied().reduce(f64::max);
    let is_share = fields().any(|field| field.custom("stacking")["mode"] == "percent");
    ValueAxis::new(
        Extent {
            values: low.zip(high),
            min: fields().filter_map(Field::min).reduce(f64::min),
            max: fields().filter_map(Field::max).reduce(f64::max),
            logarithmic: fields().any(|field| field.custom("scaleDistribution")["type"] == "log"),
            unit: if is_share { "percentunit" } else { unit },
            decimals: fields().next().and_then(Field::decimals),
        },
        labels,
    )
}

/// One series: area, then line; or bars; or dots.
fn series(
    line: &Line,
    shape: &Shape,
    x: TimeAxis,
    group: &Group,
    colour: &str,
    place: usize,
    step_s: f64,
) -> Markup {
    let field = &line.field;
    let pen = Pen {
        x,
        y: &group.axis,
        interpolation: Interpolation::named(field.custom_text("lineInterpolation")),
    };
    let fill = field
        .custom_number("fillOpacity")
        .unwrap_or(0.0)
        .clamp(0.0, 100.0)
        / 100.0;
    let width = field
        .custom_number("lineWidth")
        .unwrap_or(1.0)
        .clamp(0.0, 10.0);
    let style = field.custom_text("drawStyle");
    let is_dashed = field.custom("lineStyle")["fill"] == "dash";
    let dash = if is_dashed { 1 } else { colour::dash(place) };
    let runs = runs(shape, bridge(field.custom("spanNulls"), step_s));
    html! {
        g.series style=(format!("--c:{colour}")) {
            @match style {
                "bars" => { path class="bars" d=(pen.bars(shape)) style=(format!("fill-opacity:{:.2}", fill.max(0.3))) {} },
                "points" => { path class="dots" d=(pen.dots(shape)) {} },
                _ => {
                    @if fill > 0.0 { path class="fill" d=(pen.area(shape, &runs)) style=(format!("fill-opacity:{fill:.2}")) {} }
                    path class=(format!("line d{dash}")) d=(pen.line(shape, &runs)) style=(format!("stroke-width:{}", width.max(1.5))) {}
                }
            }
        }
    }
}

/// Bounds of the group's first series, which are the panel's where no override sets others.
fn thresholds(group: &Group, lines: &[Line]) -> Markup {
    let field = group.members.first().map(|place| &lines[*place].field);
    let style = field.map(Field::threshold_style);
    let bounds = field.map(Field::thresholds).unwrap_or_default();
    let ends: Vec<f64> = bounds
        .iter()
        .skip(1)
        .map(|(from, _)| group.axis.y(*from))
        .chain([0.0])
        .collect();
    html! {
        @if let Some(style) = style {
            @for ((from, colour), end) in bounds.iter().zip(ends) {
                @let begin = if from.is_finite() { group.axis.y(*from) } else { SIDE };
                @let style_c = format!("--c:{}", colour.as_deref().unwrap_or("var(--quiet)"));
                @if style.areas && begin > end {
                    rect class="threshold" style=(style_c) x="0" y=(px(end)) width=(SIDE) height=(px(begin - end)) {}
                }
                @if style.lines && begin > 0.0 && begin < SIDE {
                    path class="threshold" style=(style_c) d=(format!("M0 {}H{SIDE}", px(begin))) {}
                }
            }
        }
    }
}

/// The values at a step, the largest first.
fn tooltip(lines: &[Line], step: usize) -> String {
    let mut there: Vec<(&Line, f64)> = lines
        .iter()
        .filter_map(|line| Some((line, line.values.get(step).copied().flatten()?)))
        .collect();
    there.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut rows: Vec<String> = there
        .iter()
        .take(IN_TOOLTIP)
        .map(|(line, value)| format!("{}: {}", line.name, line.field.text(*value)))
        .collect();
    if there.len() > IN_TOOLTIP {
        rows.push(format!("and {} more", there.len() - IN_TOOLTIP));
    }
    rows.join("\n")
}
