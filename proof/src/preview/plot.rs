//! The frame of everything that is drawn over time: labels of the axes, grid, events and tooltips.

use maud::{Markup, html};

use super::{
    axis::{SIDE, Tick, TimeAxis},
    event::Events,
    shape::px,
    unit,
};

/// Labels of the time axis at most.
const TIMES: usize = 8;

/// A drawing in its frame.
pub(super) struct Plot<'a> {
    /// One sentence or more for those who cannot see it.
    pub(super) described: &'a str,
    /// The axis of time.
    pub(super) x: TimeAxis,
    /// Labels at the left edge.
    pub(super) left: &'a [Tick],
    /// Labels at the right edge.
    pub(super) right: &'a [Tick],
    /// What is drawn behind, within and before the grid.
    pub(super) drawing: Markup,
    /// Events of the board.
    pub(super) events: &'a [Events],
}

impl Plot<'_> {
    /// Axes and drawing. The widths of the axes follow their longest label.
    pub(super) fn markup(self) -> Markup {
        let times = self.x.ticks(TIMES);
        let style = format!(
            "--left:{}ch;--right:{}ch",
            width(self.left),
            width(self.right)
        );
        html! {
            div.plot style=(style) {
                (labels("axis left", self.left))
                div.area {
                    svg viewBox=(format!("0 0 {SIDE} {SIDE}")) preserveAspectRatio="none" role="img" aria-label=(self.described) {
                        (grid(self.left, &times))
                        (events(self.events, self.x))
                        (self.drawing)
                    }
                }
                (labels("axis right", self.right))
                div.axis.time aria-hidden="true" {
                    @for tick in &times { span style=(format!("left:{}%", px(tick.percent))) { (tick.text) } }
                }
            }
        }
    }
}

/// Characters of the longest label and some room, or 0 without labels.
fn width(ticks: &[Tick]) -> usize {
    ticks
        .iter()
        .map(|tick| tick.text.chars().count() + 1)
        .max()
        .unwrap_or(0)
        .min(24)
}

fn labels(class: &str, ticks: &[Tick]) -> Markup {
    html! {
        div class=(class) aria-hidden="true" {
            @for tick in ticks { span style=(format!("top:{}%", px(tick.percent))) { (tick.text) } }
        }
    }
}

fn grid(left: &[Tick], times: &[Tick]) -> Markup {
    let place = |tick: &Tick| px(tick.percent / 100.0 * SIDE);
    let across = left.iter().map(|tick| format!("M0 {}H{SIDE}", place(tick)));
    let upright = times
        .iter()
        .map(|tick| format!("M{} 0V{SIDE}", place(tick)));
    let path: String = across.chain(upright).collect();
    html! { path class="grid" d=(path) {} }
}

/// Regions as tinted bands, moments as dashed lines.
pub(super) fn events(all: &[Events], x: TimeAxis) -> Markup {
    html! {
        @for events in all {
            @if !events.all.is_empty() {
                g.events style=(format!("--c:{}", events.colour)) {
                    @for event in &events.all {
                        @let (from, to) = (x.at(event.from), x.at(event.to));
                        @if event.is_moment() {
                            path class="moment" d=(format!("M{} 0V{SIDE}", px(from))) {
                                title { (events.name) ": " (event.label) ", " (event.time()) }
                            }
                        } @else {
                            rect class="region" x=(px(from)) y="0" width=(px((to - from).max(1.0))) height=(SIDE) {
                                title { (events.name) ": " (event.label) ", " (event.time()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Columns with tooltips: the time of a step, and what `values` says of it.
pub(super) fn tooltips(
    x: TimeAxis,
    steps: usize,
    time: impl Fn(usize) -> f64,
    values: impl Fn(usize) -> String,
) -> Markup {
    /// More of them only make the file larger.
    const MOST: usize = 60;
    let stride = steps.div_ceil(MOST).max(1);
    html! {
        g.tooltips {
            @for step in (0..steps).step_by(stride) {
                @let text = values(step);
                @if !text.is_empty() {
                    @let (left, right) = x.edges(step, step, stride as f64);
                    rect x=(px(left)) y="0" width=(px(right - left)) height=(SIDE) {
                        title { (unit::date(time(step), "%H:%M:%S")) "\n" (text) }
                    }
                }
            }
        }
    }
}
