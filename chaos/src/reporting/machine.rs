//! The machine and the servers that the figures belong to.

use std::fs;

use crate::context::Context;
use crate::http::shown;

/// Name and value, in the order in which they are shown.
pub(super) fn environment(context: &Context) -> Vec<(String, String)> {
    let mut rows = vec![
        (
            "chitram-chaos".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("run".to_owned(), context.run_id.clone()),
        ("processors".to_owned(), processors()),
        ("memory".to_owned(), memory()),
        ("kernel".to_owned(), kernel()),
    ];
    let servers = context.stack.servers.iter();
    rows.extend(servers.map(|s| {
        (
            s.role.clone(),
            format!("{} {} ({})", s.name, s.version, s.kind),
        )
    }));
    let endpoints = &context.stack.endpoints;
    for (name, url) in [
        ("target", &endpoints.api),
        ("Toxiproxy", &endpoints.toxiproxy),
        ("Jaeger", &endpoints.jaeger),
        ("Prometheus", &endpoints.prometheus),
    ] {
        rows.push((
            name.to_owned(),
            url.as_ref()
                .map_or_else(|| "none".to_owned(), |url| shown(url).to_string()),
        ));
    }
    rows
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find(|line| line.starts_with(key))?
        .split_once(':')
        .map(|(_, value)| value.trim())
}

fn processors() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = read("/proc/cpuinfo");
    let model = field(&cpuinfo, "model name").map(|model| format!(" ({model})"));
    format!("{cores}{}", model.unwrap_or_default())
}

fn memory() -> String {
    let meminfo = read("/proc/meminfo");
    let kib =
        field(&meminfo, "MemTotal").and_then(|value| value.split(' ').next()?.parse::<f64>().ok());
    kib.map_or_else(
        || "unknown".to_owned(),
        |kib| format!("{:.1} GiB", kib / f64::from(1 << 20)),
    )
}

fn kernel() -> String {
    let release = read("/proc/sys/kernel/osrelease");
    if release.is_empty() {
        std::env::consts::OS.to_owned()
    } else {
        format!("Linux {}", release.trim())
    }
}
