//! Metrics that are read when somebody asks, not recorded: the process and the async runtime.

use super::Desc;

pub(super) const CPU: Desc = Desc::counter(
    "process_cpu_seconds_total",
    "CPU time that the process has used, in user and system mode.",
    &[],
);
pub(super) const OPEN_FDS: Desc = Desc::gauge(
    "process_open_fds",
    "File descriptors that the process has open.",
    &[],
);
pub(super) const MAX_FDS: Desc = Desc::gauge(
    "process_max_fds",
    "File descriptors that the process may have open; 0 when there is no limit.",
    &[],
);
pub(super) const RESIDENT: Desc = Desc::gauge(
    "process_resident_memory_bytes",
    "Memory of the process that is in RAM.",
    &[],
);
pub(super) const VIRTUAL: Desc = Desc::gauge(
    "process_virtual_memory_bytes",
    "Address space of the process.",
    &[],
);
pub(super) const THREADS: Desc = Desc::gauge(
    "process_threads",
    "Operating system threads of the process.",
    &[],
);
pub(super) const START_TIME: Desc = Desc::gauge(
    "process_start_time_seconds",
    "Start of the process as Unix time.",
    &[],
);
pub(super) const WORKERS: Desc =
    Desc::gauge("tokio_workers", "Worker threads of the async runtime.", &[]);
pub(super) const BUSY: Desc = Desc::counter(
    "tokio_worker_busy_seconds_total",
    "Time that the workers of the async runtime were busy, over all of them; its rate divided by tokio_workers is the busy ratio.",
    &[],
);
pub(super) const QUEUE_DEPTH: Desc = Desc::gauge(
    "tokio_global_queue_depth",
    "Tasks that wait in the global queue of the async runtime.",
    &[],
);
pub(super) const ALIVE_TASKS: Desc = Desc::gauge(
    "tokio_alive_tasks",
    "Tasks of the async runtime that have not ended.",
    &[],
);

/// `process_*` and, inside a Tokio runtime, `tokio_*`, with their values now. What the system does not tell is left out.
pub(super) fn read() -> Vec<(&'static Desc, f64)> {
    let mut values = process();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        values.extend(tokio_runtime(&runtime.metrics()));
    }
    values
}

fn process() -> Vec<(&'static Desc, f64)> {
    let now = metrics_process::collector::collect();
    let whole = |value: Option<u64>| value.map(|value| value as f64);
    let values = [
        (&CPU, now.cpu_seconds_total),
        (&OPEN_FDS, whole(now.open_fds)),
        (&MAX_FDS, whole(now.max_fds)),
        (&RESIDENT, whole(now.resident_memory_bytes)),
        (&VIRTUAL, whole(now.virtual_memory_bytes)),
        (&THREADS, whole(now.threads)),
        (&START_TIME, whole(now.start_time_seconds)),
    ];
    let known = values
        .into_iter()
        .filter_map(|(desc, value)| Some((desc, value?)));
    known.collect()
}

fn tokio_runtime(runtime: &tokio::runtime::RuntimeMetrics) -> [(&'static Desc, f64); 4] {
    let workers = runtime.num_workers();
    let busy = (0..workers).map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64());
    [
        (&WORKERS, workers as f64),
        (&BUSY, busy.sum()),
        (&QUEUE_DEPTH, runtime.global_queue_depth() as f64),
        (&ALIVE_TASKS, runtime.num_alive_tasks() as f64),
    ]
}
