//! What holds for any page, whatever the program.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::codes;
use super::super::expectations::Exposition;
use super::super::judgement::Judgement;
use super::page::{Exemplar, Format, Page, Sample};

/// How far two clocks of one machine may be apart, in seconds: the start of a process is often known to a second only.
const CLOCKS: f64 = 2.0;

pub(super) fn check(page: &Page, judgement: &mut Judgement) {
    for (line, sentence) in &page.faults {
        let subject = format!("line {line}");
        judgement.find(codes::PAGE_MALFORMED, &page.address, subject, sentence);
    }
    content_type(page, judgement);
    families(page, judgement);
    series(page, judgement);
    histograms(page, judgement);
    for sample in &page.samples {
        value(page, sample, judgement);
        if let Some(exemplar) = &sample.exemplar {
            self::exemplar(page, sample, exemplar, judgement);
        }
    }
}

/// Prometheus 3 refuses a page whose media type it does not know.
pub(super) fn content_type(page: &Page, judgement: &mut Judgement) {
    let (media_type, version) = match page.format {
        Format::Classic => ("text/plain", "0.0.4"),
        Format::OpenMetrics => ("application/openmetrics-text", "1.0.0"),
    };
    let mut parts = page.content_type.split(';').map(str::trim);
    let right =
        parts.next() == Some(media_type) && parts.any(|part| part == format!("version={version}"));
    if !right {
        judgement.find(
            codes::CONTENT_TYPE_WRONG,
            &page.address,
            media_type,
            format!(
                "Content-Type is {:?} for a reader who asks for {media_type}; version={version}",
                page.content_type
            ),
        );
    }
}

fn families(page: &Page, judgement: &mut Judgement) {
    let mut names = BTreeSet::new();
    for family in &page.families {
        let name = &family.name;
        if !names.insert(name) {
            judgement.find(
                codes::FAMILY_TORN,
                &page.address,
                name,
                "it has two heads on one page",
            );
        }
        if family.kind.is_none() || family.help.as_deref().is_none_or(str::is_empty) {
            judgement.find(
                codes::FAMILY_WITHOUT_HEAD,
                &page.address,
                name,
                "TYPE or HELP is missing",
            );
        }
        if let Some(unit) = family.unit.as_deref().filter(|unit| !unit.is_empty())
            && !name.ends_with(&format!("_{unit}"))
        {
            judgement.find(
                codes::UNIT_WRONG,
                &page.address,
                name,
                format!("its UNIT is {unit:?}, and its name does not end with it"),
            );
        }
    }
}

fn series(page: &Page, judgement: &mut Judgement) {
    let (mut known, mut ended) = (BTreeSet::new(), BTreeSet::new());
    let mut open = None;
    for sample in &page.samples {
        let Sample { name, family, .. } = sample;
        if !known.insert(sample.series()) {
            let sentence = format!("{} is there twice", sample.series());
            judgement.find(codes::SERIES_TWICE, &page.address, name, sentence);
        }
        let Some(family) = *family else {
            let sentence = "no head of its family is above it, or one of another type";
            judgement.find(codes::FAMILY_WITHOUT_HEAD, &page.address, name, sentence);
            continue;
        };
        if open != Some(family) {
            ended.extend(open);
            open = Some(family);
            if ended.contains(&family) {
                let sentence = "lines of another family are between its lines";
                judgement.find(codes::FAMILY_TORN, &page.address, name, sentence);
            }
        }
    }
}

fn kind<'a>(page: &'a Page, sample: &Sample) -> &'a str {
    let family = sample.family.map(|family| &page.families[family]);
    family
        .and_then(|family| family.kind.as_deref())
        .unwrap_or_default()
}

fn value(page: &Page, sample: &Sample, judgement: &mut Judgement) {
    let counts = match kind(page, sample) {
        "counter" => true,
        "histogram" => sample.name.ends_with("_bucket") || sample.name.ends_with("_count"),
        _ => false,
    };
    if counts && (!sample.value.is_finite() || sample.value < 0.0) {
        judgement.find(
            codes::VALUE_IMPOSSIBLE,
            &page.address,
            &sample.name,
            format!(
                "{} is {}: a count is finite and not negative",
                sample.series(),
                sample.value
            ),
        );
    }
}

fn exemplar(page: &Page, sample: &Sample, exemplar: &Exemplar, judgement: &mut Judgement) {
    let name = &sample.name;
    if page.format == Format::Classic {
        let sentence = "an exemplar, which the classic text does not have: parsers refuse the page";
        return judgement.find(codes::EXEMPLAR_IN_CLASSIC, &page.address, name, sentence);
    }
    let trace = exemplar
        .labels
        .iter()
        .find(|(label, _)| label == "trace_id");
    let whole = trace
        .is_some_and(|(_, id)| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !whole {
        let sentence = format!(
            "the exemplar has no trace_id of 32 hexadecimal digits: {:?}",
            exemplar.labels
        );
        judgement.find(codes::EXEMPLAR_INVALID, &page.address, name, sentence);
    }
    let bound = sample.label("le").map(super::declared::bound);
    if bound.flatten().is_some_and(|bound| exemplar.value > bound) {
        let sentence = format!(
            "the exemplar's value {} is above its bucket",
            exemplar.value
        );
        judgement.find(codes::EXEMPLAR_INVALID, &page.address, name, sentence);
    }
}

/// Buckets of one histogram series, in the order of the page, and its count.
#[derive(Default)]
struct Buckets<'a> {
    bounds: Vec<(&'a str, f64)>,
    count: Option<f64>,
}

fn histograms(page: &Page, judgement: &mut Judgement) {
    let mut histograms: BTreeMap<(usize, String), Buckets<'_>> = BTreeMap::new();
    for sample in &page.samples {
        let Some(family) = sample.family.filter(|_| kind(page, sample) == "histogram") else {
            continue;
        };
        let mut labels: Vec<_> = sample
            .labels
            .iter()
            .filter(|(name, _)| name != "le")
            .collect();
        labels.sort();
        let buckets = histograms
            .entry((family, format!("{labels:?}")))
            .or_default();
        if sample.name.ends_with("_bucket") {
            buckets
                .bounds
                .push((sample.label("le").unwrap_or_default(), sample.value));
        } else if sample.name.ends_with("_count") {
            buckets.count = Some(sample.value);
        }
    }
    for ((family, labels), buckets) in histograms {
        let name = &page.families[family].name;
        for (bound, _) in &buckets.bounds {
            if !bound.contains(['.', 'e', 'I']) {
                let sentence = format!(
                    "le={bound:?}: Prometheus 3 keeps it with a fraction, so a query for it finds nothing"
                );
                judgement.find(codes::BOUND_WITHOUT_FRACTION, &page.address, name, sentence);
            }
        }
        let counts: Vec<f64> = buckets.bounds.iter().map(|(_, count)| *count).collect();
        let last = buckets.bounds.last();
        let whole =
            last.is_some_and(|(bound, count)| *bound == "+Inf" && Some(*count) == buckets.count);
        if !whole || !counts.is_sorted_by(|one, next| one <= next) {
            let sentence =
                format!("of {labels}, the buckets fall, or the last is not +Inf with the count");
            judgement.find(codes::BUCKETS_INCONSISTENT, &page.address, name, sentence);
        }
    }
}

/// Only OpenMetrics has times of creation: of each counter above 0 and of each histogram.
pub(super) fn created(page: &Page, expected: &Exposition, judgement: &mut Judgement) {
    let begun = expected
        .start_time
        .as_ref()
        .and_then(|term| page.sum(std::slice::from_ref(term)).ok());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    let mut created = BTreeSet::new();
    for sample in &page.samples {
        let kind = kind(page, sample);
        if !sample.name.ends_with("_created") || !matches!(kind, "counter" | "histogram") {
            continue;
        }
        created.insert((sample.family, labels(sample)));
        let early = begun.is_some_and(|begun| sample.value < begun - CLOCKS);
        if early || sample.value > now + CLOCKS {
            let sentence = format!(
                "{} is {}: before its process, or in the future",
                sample.series(),
                sample.value
            );
            judgement.find(
                codes::CREATED_IMPLAUSIBLE,
                &page.address,
                &sample.name,
                sentence,
            );
        }
    }
    for sample in &page.samples {
        let counts = match kind(page, sample) {
            "counter" => sample.name.ends_with("_total"),
            "histogram" => sample.name.ends_with("_count"),
            _ => false,
        };
        let accepted = expected.without_created.contains(&sample.name);
        // A 0 says itself that nothing was before.
        if counts
            && !accepted
            && sample.value > 0.0
            && !created.contains(&(sample.family, labels(sample)))
        {
            let sentence = format!(
                "{} has no _created: the first increment is lost to a rate",
                sample.series()
            );
            judgement.find(
                codes::CREATED_MISSING,
                &page.address,
                &sample.name,
                sentence,
            );
        }
    }
}

fn labels(sample: &Sample) -> Vec<(String, String)> {
    let mut labels = sample.labels.clone();
    labels.sort();
    labels
}
