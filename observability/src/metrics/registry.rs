//! The registry: series by declaration, rendered as text for Prometheus.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::text::{Format, Page, label_text};
use super::{Counter, Desc, Gauge, Histogram, Kind, Label, computed};
use crate::settings::Service;

pub(super) const BUILD_INFO: Desc = Desc::gauge(
    "chitram_build_info",
    "Always 1; the labels say which build is running.",
    &[
        Label::bounded("version", "one for each program that runs"),
        Label::bounded("revision", "one for each program that runs"),
    ],
);

/// All series of one app. Cloning shares them.
///
/// Each app, and each test, makes its own, so that nothing is counted twice. Handles are made once, when the app is
/// built, and kept: making one takes a lock.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

impl Registry {
    /// A registry with `chitram_build_info` and, on every [`render`](Self::render), the `process_*` and `tokio_*` metrics.
    pub fn new(service: &Service) -> Self {
        let registry = Self {
            inner: Arc::new(Mutex::new(Inner::default())),
        };
        let revision = service.revision.unwrap_or("unknown");
        registry
            .gauge(
                &BUILD_INFO,
                &[("version", service.version), ("revision", revision)],
            )
            .set(1.0);
        registry
    }

    /// The counter series of `desc` with these labels, present at 0 from now on.
    pub fn counter(&self, desc: &'static Desc, labels: &[(&'static str, &str)]) -> Counter {
        match self.series(desc, labels) {
            Series::Counter(counter) => counter,
            _ => mistaken(desc, "counter", Counter::new),
        }
    }

    /// The gauge series of `desc` with these labels, present at 0 from now on.
    pub fn gauge(&self, desc: &'static Desc, labels: &[(&'static str, &str)]) -> Gauge {
        match self.series(desc, labels) {
            Series::Gauge(gauge) => gauge,
            _ => mistaken(desc, "gauge", Gauge::default),
        }
    }

    /// The histogram series of `desc` with these labels, present from its first observation on: a histogram without any
    /// is a dozen lines of zeros, and a metric has many of them. OpenMetrics text says when the series came to be, so
    /// that a rate sees the first observation.
    pub fn histogram(&self, desc: &'static Desc, labels: &[(&'static str, &str)]) -> Histogram {
        match self.series(desc, labels) {
            Series::Histogram(histogram) => histogram,
            _ => mistaken(desc, "histogram", || Histogram::new(&[])),
        }
    }

    /// As [`histogram`](Self::histogram), present at 0 from now on: for the few whose absence could be mistaken for
    /// something.
    pub fn histogram_from_zero(
        &self,
        desc: &'static Desc,
        labels: &[(&'static str, &str)],
    ) -> Histogram {
        let histogram = self.histogram(desc, labels);
        histogram.show();
        histogram
    }

    /// Every series as Prometheus text (format 0.0.4), families in the order of their names.
    pub fn render(&self) -> String {
        self.render_as(Format::Classic)
    }

    pub(crate) fn render_as(&self, format: Format) -> String {
        let computed: BTreeMap<_, _> = computed::read()
            .into_iter()
            .map(|(desc, value)| (desc.name, (desc, value)))
            .collect();
        let inner = self.lock();
        let mut page = Page::new(format);
        let mut names: Vec<_> = inner.families.keys().chain(computed.keys()).collect();
        names.sort_unstable();
        for name in names {
            if let Some(family) = inner.families.get(name) {
                family.write(&mut page);
            } else if let Some((desc, value)) = computed.get(name) {
                page.family(desc);
                page.value(desc.name, *value);
            }
        }
        page.end()
    }

    fn series(&self, desc: &'static Desc, labels: &[(&'static str, &str)]) -> Series {
        check(desc, labels);
        let mut inner = self.lock();
        let family = inner.families.entry(desc.name).or_insert(Family {
            desc,
            series: BTreeMap::new(),
        });
        debug_assert!(
            family.desc == desc,
            "{} is declared twice, differently",
            desc.name
        );
        let series = family
            .series
            .entry(label_text(desc, labels))
            .or_insert_with(|| Series::new(family.desc.kind));
        series.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Inner {
    families: BTreeMap<&'static str, Family>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.families.keys())
            .finish()
    }
}

/// All series of one metric.
struct Family {
    desc: &'static Desc,
    /// By their labels as text.
    series: BTreeMap<String, Series>,
}

impl Family {
    fn write(&self, page: &mut Page) {
        let snapshots: Vec<_> = self
            .series
            .iter()
            .filter_map(|(labels, series)| Some((labels, series.read()?)))
            .collect();
        if snapshots.is_empty() {
            return;
        }
        page.family(self.desc);
        for (labels, reading) in snapshots {
            match reading {
                Reading::Counter(value, created) => {
                    page.counter(self.desc, labels, value, created);
                }
                Reading::Gauge(value) => page.gauge(self.desc, labels, value),
                Reading::Histogram(snapshot) => page.histogram(self.desc, labels, &snapshot),
            }
        }
    }
}

#[derive(Clone)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

enum Reading {
    Counter(u64, u64),
    Gauge(f64),
    Histogram(super::histogram::Snapshot),
}

impl Series {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Counter::new()),
            Kind::Gauge => Self::Gauge(Gauge::default()),
            Kind::Histogram(bounds) => Self::Histogram(Histogram::new(bounds)),
        }
    }

    /// `None` for a histogram that nobody may see yet.
    fn read(&self) -> Option<Reading> {
        Some(match self {
            Self::Counter(counter) => Reading::Counter(counter.value(), counter.created()),
            Self::Gauge(gauge) => Reading::Gauge(gauge.value()),
            Self::Histogram(histogram) => Reading::Histogram(histogram.snapshot()?),
        })
    }
}

/// A handle that is asked for as another kind than the declared one: a defect, which debug builds refuse. What is recorded
/// through it is not exported.
fn mistaken<T>(desc: &Desc, kind: &str, make: impl FnOnce() -> T) -> T {
    debug_assert!(
        false,
        "{} is declared as a {}, not as a {kind}",
        desc.name,
        desc.kind.name()
    );
    make()
}

/// In debug builds, that a series has the declared labels with declared values. In others a value that is not declared is
/// recorded as it is: losing it would be worse.
fn check(desc: &Desc, labels: &[(&'static str, &str)]) {
    debug_assert!(
        labels.len() == desc.labels.len()
            && desc
                .labels
                .iter()
                .all(|label| labels.iter().any(|(given, _)| *given == label.name)),
        "{} is declared with the labels {:?}, but recorded with {labels:?}",
        desc.name,
        desc.labels,
    );
    debug_assert!(
        desc.labels.iter().all(|label| labels
            .iter()
            .all(|(given, value)| *given != label.name || label.allows(value))),
        "{} is recorded with a value that is not declared: {labels:?}",
        desc.name,
    );
}
