//! A histogram over time: the darker a cell, the more observations fell into its bucket.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    axis::{SIDE, Tick, TimeAxis},
    chart::Chart,
    line::{steps, time_of},
    plot::{Plot, tooltips},
    shape::px,
    unit,
};

/// Shades of a cell.
const SHADES: f64 = 8.0;
/// Labels of buckets at most.
const LABELS: usize = 8;

/// The observations of one bucket at each step.
#[derive(Debug, PartialEq)]
struct Bucket {
    /// Its upper bound.
    bound: f64,
    /// `None` where Prometheus has no value.
    counts: Vec<Option<f64>>,
}

/// The panel.
pub(super) fn heatmap(chart: &Chart) -> Markup {
    let buckets = match buckets(chart) {
        Ok(buckets) => buckets,
        Err(sentence) => return html! { p.none { "Not drawn: " (sentence) } },
    };
    let unit_of_bounds = chart.panel.options["yAxis"]["unit"]
        .as_str()
        .unwrap_or(chart.panel.unit());
    let bound = |bucket: &Bucket| unit::text(bucket.bound, unit_of_bounds, None);
    let shown = within(&buckets);
    let most = shown
        .iter()
        .flat_map(|bucket| bucket.counts.iter().copied().flatten())
        .fold(0.0, f64::max);
    if most <= 0.0 {
        return html! { p.none { "No observations: every bucket is 0." } };
    }
    let x = TimeAxis::new(chart.range);
    let described = described(chart, shown, &bound);
    let height = SIDE / shown.len() as f64;
    let labels: Vec<Tick> = (shown.iter().enumerate().rev())
        .step_by(shown.len().div_ceil(LABELS))
        .map(|(place, bucket)| Tick {
            percent: 100.0 - (place + 1) as f64 * 100.0 / shown.len() as f64,
            text: bound(bucket),
        })
        .collect();
    let tooltip = |step: usize| -> String {
        let rows: Vec<String> = (shown.iter().rev())
            .filter_map(|bucket| Some((bucket, bucket.counts[step].filter(|count| *count > 0.0)?)))
            .map(|(bucket, count)| {
                format!(
                    "up to {}: {}",
                    bound(bucket),
                    unit::text(count, "short", None)
                )
            })
            .collect();
        rows.join("\n")
    };
    let plot = Plot {
        described: &described,
        x,
        left: &labels,
        right: &[],
        drawing: html! {
            (gaps(shown, x))
            @for (place, bucket) in shown.iter().enumerate() {
                (cells(bucket, SIDE - (place + 1) as f64 * height, height, most, x))
            }
            (tooltips(x, steps(chart.range), |step| time_of(chart.range, step), tooltip))
        },
        events: chart.events,
    };
    html! {
        (plot.markup())
        p.shades { "0 " @for shade in 1..=SHADES as usize { i class=(format!("shade h{shade}")) {} } " " (unit::text(most, "short", None)) " in a bucket" }
    }
}

/// Observations in each bucket. With the format `heatmap`, Grafana takes counts up to each bound apart.
fn buckets(chart: &Chart) -> Result<Vec<Bucket>, String> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for line in &chart.lines {
        let Some(bound) = line.labels.get("le") else {
            return Err("its query has no label le, so there are no buckets.".to_owned());
        };
        let bound = bound
            .parse()
            .map_err(|_| format!("the bucket bound le=\"{bound}\" is no number."))?;
        buckets.push(Bucket {
            bound,
            counts: line
                .values
                .iter()
                .map(|value| value.filter(|value| !value.is_nan()))
                .collect(),
        });
    }
    buckets.sort_by(|one, other| one.bound.total_cmp(&other.bound));
    if buckets
        .windows(2)
        .any(|pair| pair[0].bound.total_cmp(&pair[1].bound).is_eq())
    {
        return Err(
            "several series have the same bucket bound; aggregate them by (le).".to_owned(),
        );
    }
    let is_cumulative = chart
        .panel
        .targets
        .iter()
        .any(|target| target.format == "heatmap");
    Ok(if is_cumulative {
        apart(&buckets)
    } else {
        buckets
    })
}

/// From counts up to each bound to counts in each bucket.
fn apart(buckets: &[Bucket]) -> Vec<Bucket> {
    buckets
        .iter()
        .enumerate()
        .map(|(place, bucket)| {
            let below = place.checked_sub(1).map(|below| &buckets[below].counts);
            let counts = (bucket.counts.iter().enumerate())
                .map(|(step, count)| {
                    let below = below.and_then(|counts| counts[step]).unwrap_or(0.0);
                    count.map(|count| (count - below).max(0.0))
                })
                .collect();
            Bucket {
                bound: bucket.bound,
                counts,
            }
        })
        .collect()
}

/// The buckets from the lowest to the highest that has observations.
fn within(buckets: &[Bucket]) -> &[Bucket] {
    let is_used = |bucket: &Bucket| bucket.counts.iter().flatten().any(|count| *count > 0.0);
    let first = buckets.iter().position(is_used).unwrap_or(0);
    let last = buckets
        .iter()
        .rposition(is_used)
        .map_or(buckets.len(), |last| last + 1);
    &buckets[first..last]
}

/// Steps at which no bucket has a value: not the same as none in any bucket.
fn gaps(buckets: &[Bucket], x: TimeAxis) -> Markup {
    let length = buckets.first().map_or(0, |bucket| bucket.counts.len());
    let missing = |step: &usize| buckets.iter().all(|bucket| bucket.counts[*step].is_none());
    html! {
        @for (first, last) in stretches((0..length).filter(missing).map(|step| (step, 1))).into_values().flatten() {
            @let (left, right) = x.edges(first, last, 1.0);
            rect class="gap" x=(px(left)) y="0" width=(px(right - left)) height=(SIDE) {
                title { "no data" }
            }
        }
    }
}

/// The cells of a bucket: neighbours of one shade are one shape.
fn cells(bucket: &Bucket, top: f64, height: f64, most: f64, x: TimeAxis) -> Markup {
    let shade = |count: f64| ((count / most).sqrt() * SHADES).ceil().clamp(1.0, SHADES) as usize;
    let shaded = bucket
        .counts
        .iter()
        .enumerate()
        .filter_map(|(step, count)| Some((step, shade(count.filter(|count| *count > 0.0)?))));
    html! {
        @for (shade, stretches) in stretches(shaded) {
            path class=(format!("cell h{shade}")) d=(rectangles(&stretches, top, height, x)) {}
        }
    }
}

fn rectangles(stretches: &[(usize, usize)], top: f64, height: f64, x: TimeAxis) -> String {
    let rectangle = |(first, last): &(usize, usize)| {
        let (left, right) = x.edges(*first, *last, 1.0);
        format!(
            "M{} {}H{}V{}H{}Z",
            px(left),
            px(top),
            px(right),
            px(top + height),
            px(left)
        )
    };
    stretches.iter().map(rectangle).collect()
}

/// Steps in a row of one shade as (first, last), by shade.
fn stretches(shaded: impl Iterator<Item = (usize, usize)>) -> BTreeMap<usize, Vec<(usize, usize)>> {
    let mut found: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (step, shade) in shaded {
        let of_shade = found.entry(shade).or_default();
        match of_shade.last_mut() {
            Some((_, last)) if *last + 1 == step => *last = step,
            _ => of_shade.push((step, step)),
        }
    }
    found
}

fn described(chart: &Chart, buckets: &[Bucket], bound: &impl Fn(&Bucket) -> String) -> String {
    let sum = |bucket: &Bucket| bucket.counts.iter().flatten().sum::<f64>();
    let total: f64 = buckets.iter().map(sum).sum();
    let share = |bucket: &Bucket| {
        let share = unit::text(sum(bucket) / total, "percentunit", None);
        format!(" up to {}, {share};", bound(bucket))
    };
    let shares: String = buckets.iter().map(share).collect();
    format!(
        "{}: heatmap of {} buckets. Share of all observations:{shares}",
        chart.title,
        buckets.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(bound: f64, counts: &[Option<f64>]) -> Bucket {
        Bucket {
            bound,
            counts: counts.to_vec(),
        }
    }

    #[test]
    fn counts_up_to_a_bound_become_counts_in_a_bucket() {
        let cumulative = [
            bucket(0.1, &[Some(2.0), Some(0.0), None]),
            bucket(0.5, &[Some(5.0), Some(1.0), None]),
            bucket(f64::INFINITY, &[Some(5.0), Some(1.0), None]),
        ];
        let apart = apart(&cumulative);
        assert_eq!(apart[0].counts, [Some(2.0), Some(0.0), None]);
        assert_eq!(apart[1].counts, [Some(3.0), Some(1.0), None]);
        assert_eq!(apart[2].counts, [Some(0.0), Some(0.0), None]);
        assert_eq!(within(&apart).len(), 2);
    }

    #[test]
    fn neighbours_of_one_shade_are_one_shape() {
        let shaded = [(0, 3), (1, 3), (2, 1), (4, 3)];
        let found = stretches(shaded.into_iter());
        assert_eq!(found[&3], [(0, 1), (4, 4)]);
        assert_eq!(found[&1], [(2, 2)]);
    }
}
