//! The registry: series by declaration, rendered as Prometheus text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{Counter, Desc, Gauge, Histogram, Kind, computed};
use crate::settings::Service;

const BUILD_INFO: Desc = Desc::gauge(
    "chitram_build_info",
    "Always 1; the labels say which build is running.",
    &["version", "revision"],
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
        debug_assert!(
            matches!(desc.kind, Kind::Counter),
            "{} is not declared as a counter",
            desc.name
        );
        Counter(self.with_recorder(desc, |recorder| {
            recorder.register_counter(&key(desc, labels), &METADATA)
        }))
    }

    /// The gauge series of `desc` with these labels, present at 0 from now on.
    pub fn gauge(&self, desc: &'static Desc, labels: &[(&'static str, &str)]) -> Gauge {
        debug_assert!(
            matches!(desc.kind, Kind::Gauge),
            "{} is not declared as a gauge",
            desc.name
        );
        Gauge(self.with_recorder(desc, |recorder| {
            recorder.register_gauge(&key(desc, labels), &METADATA)
        }))
    }

    /// The histogram series of `desc` with these labels, present with a count of 0 from now on.
    pub fn histogram(&self, desc: &'static Desc, labels: &[(&'static str, &str)]) -> Histogram {
        debug_assert!(
            matches!(desc.kind, Kind::Histogram(_)),
            "{} is not declared as a histogram",
            desc.name
        );
        Histogram(self.with_recorder(desc, |recorder| {
            recorder.register_histogram(&key(desc, labels), &METADATA)
        }))
    }

    /// Every series as Prometheus text (format 0.0.4), families in the order of their names.
    pub fn render(&self) -> String {
        let texts: Vec<String> = self
            .handles()
            .iter()
            .map(PrometheusHandle::render)
            .collect();
        let computed = computed::render();
        let mut families: Vec<&str> = texts
            .iter()
            .map(String::as_str)
            .chain([computed.as_str()])
            .flat_map(|text| text.split("\n\n"))
            .collect();
        families.retain(|family| !family.trim().is_empty());
        families.sort_by_key(|family| family_name(family));
        let mut text = families.join("\n");
        text.push('\n');
        text
    }

    /// Moves recorded samples into their buckets. Needed now and then, or samples pile up between two scrapes.
    pub(crate) fn upkeep(&self) {
        for handle in self.handles() {
            handle.run_upkeep();
        }
    }

    fn handles(&self) -> Vec<PrometheusHandle> {
        self.lock()
            .recorders
            .iter()
            .map(|(_, recorder)| recorder.handle())
            .collect()
    }

    fn with_recorder<T>(
        &self,
        desc: &'static Desc,
        register: impl FnOnce(&PrometheusRecorder) -> T,
    ) -> T {
        let mut inner = self.lock();
        let first = inner.declare(desc);
        let recorder = inner.recorder(desc.kind);
        if first {
            describe(recorder, desc);
        }
        register(recorder)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The exporter fixes its buckets when it is built, while crates declare their metrics one by one. So there is one
/// recorder for each set of bounds (and one for counters and gauges, whose bounds are empty).
#[derive(Default)]
struct Inner {
    recorders: Vec<(&'static [f64], PrometheusRecorder)>,
    declared: BTreeMap<&'static str, &'static Desc>,
}

impl Inner {
    /// Whether this name is declared for the first time. Two different declarations of one name are a programming error.
    fn declare(&mut self, desc: &'static Desc) -> bool {
        let known = self.declared.insert(desc.name, desc);
        debug_assert!(
            known.is_none_or(|known| known == desc),
            "{} is declared twice, differently",
            desc.name
        );
        known.is_none()
    }

    fn recorder(&mut self, kind: Kind) -> &PrometheusRecorder {
        let bounds = match kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        };
        let index = self
            .recorders
            .iter()
            .position(|(known, _)| *known == bounds)
            .unwrap_or_else(|| {
                self.recorders.push((bounds, build(bounds)));
                self.recorders.len() - 1
            });
        &self.recorders[index].1
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.declared.keys())
            .finish()
    }
}

static METADATA: Metadata<'static> = Metadata::new("observability", Level::INFO, None);

fn build(bounds: &[f64]) -> PrometheusRecorder {
    // Refused for empty bounds only, which are those of the counters' and gauges' recorder.
    let builder = PrometheusBuilder::new()
        .set_buckets(bounds)
        .unwrap_or_default();
    builder.build_recorder()
}

fn describe(recorder: &PrometheusRecorder, desc: &Desc) {
    let name = KeyName::from_const_str(desc.name);
    let help = SharedString::const_str(desc.help);
    match desc.kind {
        Kind::Counter => recorder.describe_counter(name, None, help),
        Kind::Gauge => recorder.describe_gauge(name, None, help),
        Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
    }
}

fn key(desc: &'static Desc, labels: &[(&'static str, &str)]) -> Key {
    debug_assert!(
        labels.len() == desc.labels.len()
            && desc
                .labels
                .iter()
                .all(|name| labels.iter().any(|(given, _)| given == name)),
        "{} is declared with the labels {:?}, but recorded with {labels:?}",
        desc.name,
        desc.labels,
    );
    let labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(desc.name, labels)
}

fn family_name(family: &str) -> &str {
    let first = family.trim_start().lines().next().unwrap_or_default();
    first.split_ascii_whitespace().nth(2).unwrap_or(first)
}
