//! Metrics that are read when somebody asks, not recorded: the process and the async runtime.
//!
//! Seconds of CPU are a counter with a fraction, which the metrics library does not have, so the text is written here.

use std::fmt::Write as _;

/// `process_*` and, inside a Tokio runtime, `tokio_*`, as families of Prometheus text separated by an empty line.
pub(super) fn render() -> String {
    let mut text = String::with_capacity(1024);
    process(&mut text);
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        tokio_runtime(&mut text, &runtime.metrics());
    }
    text
}

fn process(text: &mut String) {
    let now = metrics_process::collector::collect();
    let count = |value: Option<u64>| value.map(|value| value as f64);
    family(
        text,
        "process_cpu_seconds_total",
        "counter",
        "User and system CPU time spent.",
        now.cpu_seconds_total,
    );
    family(
        text,
        "process_open_fds",
        "gauge",
        "Open file descriptors.",
        count(now.open_fds),
    );
    family(
        text,
        "process_max_fds",
        "gauge",
        "Limit of open file descriptors.",
        count(now.max_fds),
    );
    family(
        text,
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory.",
        count(now.resident_memory_bytes),
    );
    family(
        text,
        "process_virtual_memory_bytes",
        "gauge",
        "Virtual memory.",
        count(now.virtual_memory_bytes),
    );
    family(
        text,
        "process_threads",
        "gauge",
        "Operating system threads.",
        count(now.threads),
    );
    let started = now.start_time_seconds.map(|seconds| seconds as f64);
    family(
        text,
        "process_start_time_seconds",
        "gauge",
        "Start of the process, as Unix time.",
        started,
    );
}

fn tokio_runtime(text: &mut String, runtime: &tokio::runtime::RuntimeMetrics) {
    let workers = runtime.num_workers();
    let busy: f64 = (0..workers)
        .map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64())
        .sum();
    let queued = runtime.global_queue_depth() as f64;
    let alive = runtime.num_alive_tasks() as f64;
    family(
        text,
        "tokio_workers",
        "gauge",
        "Worker threads of the async runtime.",
        Some(workers as f64),
    );
    family(
        text,
        "tokio_worker_busy_seconds_total",
        "counter",
        "Time workers were busy, over all workers.",
        Some(busy),
    );
    family(
        text,
        "tokio_global_queue_depth",
        "gauge",
        "Tasks waiting in the runtime's global queue.",
        Some(queued),
    );
    family(
        text,
        "tokio_alive_tasks",
        "gauge",
        "Tasks that have not ended.",
        Some(alive),
    );
}

fn family(text: &mut String, name: &str, kind: &str, help: &str, value: Option<f64>) {
    if let Some(value) = value {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
        );
    }
}
