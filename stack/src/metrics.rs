//! The stack's own metrics, declared once: for their text, and for `chitram-stack telemetry`.

use serde_json::{Value, json};

/// Declaration of a metric with at most one label.
pub(crate) struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    label: Option<Label>,
}

struct Label {
    name: &'static str,
    values: Values,
}

enum Values {
    Closed(&'static [&'static str]),
    /// Few, for this reason.
    Bounded(&'static str),
}

const PROCESS: Label = Label {
    name: "process",
    values: Values::Bounded("the processes of the platform"),
};

pub(crate) const PROCESS_UP: Metric = Metric {
    name: "chitram_stack_process_up",
    kind: "gauge",
    help: "1 while the process runs, else 0.",
    label: Some(PROCESS),
};
pub(crate) const PROCESS_RESTARTS: Metric = Metric {
    name: "chitram_stack_process_restarts_total",
    kind: "counter",
    help: "How many times the process ended by itself and was started again.",
    label: Some(PROCESS),
};
pub(crate) const SHIPPED: Metric = Metric {
    name: "chitram_log_shipping_lines_total",
    kind: "counter",
    help: "Log lines by what Elasticsearch answered to them; failed ones are sent again.",
    label: Some(Label {
        name: "outcome",
        values: Values::Closed(&["confirmed", "duplicate", "rejected", "failed"]),
    }),
};
pub(crate) const SHIPPING_QUEUE: Metric = Metric {
    name: "chitram_log_shipping_queue_lines",
    kind: "gauge",
    help: "Log lines that were read and are not yet confirmed.",
    label: None,
};

impl Metric {
    /// The family in Prometheus' text format: a series for each value of the label, or one without. The values are the
    /// stack's own words, so there is nothing to escape.
    pub(crate) fn render<'a>(&self, series: impl IntoIterator<Item = (&'a str, u64)>) -> String {
        let Self {
            name, kind, help, ..
        } = self;
        let lines = series.into_iter().map(|(value, number)| match &self.label {
            Some(label) => format!("{name}{{{}=\"{value}\"}} {number}\n", label.name),
            None => format!("{name} {number}\n"),
        });
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n") + &lines.collect::<String>()
    }

    fn declaration(&self) -> Value {
        let labels: Vec<Value> = self.label.iter().map(Label::declaration).collect();
        json!({
            "name": self.name, "kind": self.kind, "unit": null, "help": self.help,
            "labels": labels, "buckets": null,
        })
    }
}

impl Label {
    fn declaration(&self) -> Value {
        match self.values {
            Values::Closed(values) => json!({ "name": self.name, "values": values }),
            Values::Bounded(by) => {
                json!({ "name": self.name, "values": null, "bounded_by": by })
            }
        }
    }
}

/// Everything that is declared, in the form in which each program of the platform says it.
pub fn declarations() -> Value {
    let metrics = [SHIPPED, SHIPPING_QUEUE, PROCESS_RESTARTS, PROCESS_UP];
    json!({
        "program": "chitram-stack",
        "metrics": metrics.iter().map(Metric::declaration).collect::<Vec<Value>>(),
        "spans": [],
        "log_fields": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_help_its_type_and_a_line_for_each_series() {
        assert_eq!(
            PROCESS_UP.render([("jaeger", 1), ("service", 0)]),
            "# HELP chitram_stack_process_up 1 while the process runs, else 0.\n\
             # TYPE chitram_stack_process_up gauge\n\
             chitram_stack_process_up{process=\"jaeger\"} 1\n\
             chitram_stack_process_up{process=\"service\"} 0\n"
        );
        assert!(
            SHIPPING_QUEUE
                .render([("", 9)])
                .ends_with("\nchitram_log_shipping_queue_lines 9\n")
        );
    }
}
