//! A page against the declarations of its program.

use std::collections::{BTreeMap, BTreeSet};

use super::super::codes;
use super::super::judgement::Judgement;
use super::page::{Format, Page, Sample};
use crate::declarations::{Metric, Program};

pub(super) fn check(page: &Page, program: &Program, judgement: &mut Judgement) {
    let mut missing: BTreeSet<&str> = BTreeSet::new();
    for metric in &program.metrics {
        let name = family(metric, page.format);
        match page.families.iter().find(|family| family.name == name) {
            None => drop(missing.insert(&metric.name)),
            Some(family) => head(page, metric, family, judgement),
        }
    }
    for name in missing {
        let sentence = format!(
            "{} declares it, and the page does not have it",
            program.name
        );
        judgement.find(codes::METRIC_MISSING, &page.address, name, sentence);
    }
    let mut bounds: BTreeMap<(&str, String), Vec<f64>> = BTreeMap::new();
    for sample in &page.samples {
        let Some(metric) = declaration(program, sample) else {
            let sentence = format!("{} does not declare it", program.name);
            judgement.find(
                codes::UNDECLARED_METRIC,
                &page.address,
                &sample.name,
                sentence,
            );
            continue;
        };
        labels(page, metric, sample, judgement);
        if sample.name.ends_with("_bucket") && metric.kind == "histogram" {
            let others: Vec<_> = sample
                .labels
                .iter()
                .filter(|(name, _)| name != "le")
                .collect();
            let found = bounds
                .entry((&metric.name, format!("{others:?}")))
                .or_default();
            found.extend(sample.label("le").and_then(bound));
        }
    }
    buckets(page, program, &bounds, judgement);
}

/// The bound of a bucket as a number.
pub(super) fn bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        text => text.parse().ok(),
    }
}

fn family(metric: &Metric, format: Format) -> &str {
    match (metric.kind.as_str(), format) {
        ("counter", Format::OpenMetrics) => {
            metric.name.strip_suffix("_total").unwrap_or(&metric.name)
        }
        _ => &metric.name,
    }
}

fn declaration<'a>(program: &'a Program, sample: &Sample) -> Option<&'a Metric> {
    program.metrics.iter().find(|metric| {
        let suffixes: &[&str] = match metric.kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count", "_created"],
            _ => &[""],
        };
        let name = metric.name.as_str();
        let created = name
            .strip_suffix("_total")
            .filter(|_| metric.kind == "counter");
        suffixes
            .iter()
            .any(|suffix| sample.name.strip_suffix(suffix) == Some(name))
            || created.is_some_and(|base| sample.name.strip_suffix("_created") == Some(base))
    })
}

fn head(page: &Page, metric: &Metric, family: &super::page::Family, judgement: &mut Judgement) {
    let kind = family.kind.as_deref().unwrap_or_default();
    if kind != metric.kind {
        let sentence = format!(
            "it is a {} by its declaration, and TYPE says {kind:?}",
            metric.kind
        );
        judgement.find(codes::TYPE_WRONG, &page.address, &metric.name, sentence);
    }
    // A name ends with its unit; that of a counter has _total after it.
    let base = metric.name.strip_suffix("_total").unwrap_or(&metric.name);
    let Some(unit) = metric.unit.as_deref().filter(|unit| base.ends_with(unit)) else {
        return;
    };
    if page.format == Format::OpenMetrics && family.unit.as_deref() != Some(unit) {
        let sentence = format!(
            "its unit is {unit} by its declaration, and UNIT says {:?}",
            family.unit
        );
        judgement.find(codes::UNIT_WRONG, &page.address, &metric.name, sentence);
    }
}

fn labels(page: &Page, metric: &Metric, sample: &Sample, judgement: &mut Judgement) {
    let of_histogram = metric.kind == "histogram" && sample.name.ends_with("_bucket");
    for (name, value) in &sample.labels {
        if of_histogram && name == "le" {
            continue;
        }
        let Some(label) = metric.labels.iter().find(|label| label.name == *name) else {
            let sentence = format!("its declaration has no label {name}");
            judgement.find(
                codes::UNDECLARED_LABEL,
                &page.address,
                &metric.name,
                sentence,
            );
            continue;
        };
        if label
            .values
            .as_ref()
            .is_some_and(|values| !values.contains(value))
        {
            let sentence = format!("{name}={value:?} is not among the declared values");
            judgement.find(
                codes::UNDECLARED_VALUE,
                &page.address,
                &metric.name,
                sentence,
            );
        }
    }
    for label in &metric.labels {
        // An empty value is left out, as good as absent, where the declaration has it.
        let may_lack = label
            .values
            .as_ref()
            .is_some_and(|values| values.iter().any(String::is_empty));
        if !may_lack && sample.label(&label.name).is_none_or(str::is_empty) {
            let sentence = format!("{} lacks the label {}", sample.series(), label.name);
            judgement.find(codes::LABEL_MISSING, &page.address, &metric.name, sentence);
        }
    }
}

fn buckets(
    page: &Page,
    program: &Program,
    bounds: &BTreeMap<(&str, String), Vec<f64>>,
    judgement: &mut Judgement,
) {
    for ((name, labels), found) in bounds {
        let metric = program.metrics.iter().find(|metric| metric.name == *name);
        let Some(declared) = metric.and_then(|metric| metric.buckets.as_ref()) else {
            continue;
        };
        let declared: Vec<f64> = declared.iter().copied().chain([f64::INFINITY]).collect();
        if *found != declared {
            let sentence = format!(
                "of {labels}, the bounds are {found:?}, and {declared:?} by the declaration"
            );
            judgement.find(codes::BUCKETS_WRONG, &page.address, *name, sentence);
        }
    }
    // A histogram without buckets cannot be aggregated.
    for metric in program
        .metrics
        .iter()
        .filter(|metric| metric.kind == "histogram")
    {
        let count = format!("{}_count", metric.name);
        let seen = page.samples.iter().any(|sample| sample.name == count);
        if seen && !bounds.keys().any(|(name, _)| *name == metric.name) {
            let sentence = "it has a count and no buckets: a summary, which cannot be added up";
            judgement.find(codes::BUCKETS_WRONG, &page.address, &metric.name, sentence);
        }
    }
}
