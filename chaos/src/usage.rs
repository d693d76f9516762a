//! How much CPU the experiment's processes use and how long their threads wait for it, from `/proc`; and the rule by which
//! one of them was starved, so that a slow answer says nothing about the promise.

use std::collections::BTreeMap;
use std::fs;

use crate::phases::Span;

/// Above this share of the CPU that others leave to the experiment, its figures are those of a full machine.
const MAX_CPU_SHARE: f64 = 0.7;
/// A thread that waits for a CPU for a larger share of the time is starved: what broke meanwhile proves nothing.
const MAX_RUN_DELAY: f64 = 0.1;
/// A thread that waits for longer than this spoils even what held: a baseline of such waits makes a band of anything.
const SPOILING_RUN_DELAY: f64 = 0.3;

/// A process of the experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `generator`, or the name in `stack.toml`.
    pub name: String,
    /// Process id.
    pub pid: u32,
    /// It takes part in no request: it uses CPU like the others, but what it waits for delays no answer.
    pub only_watches: bool,
}

/// What `/proc` said at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Unix microseconds.
    pub at: i64,
    /// CPU seconds used by everything on the machine since boot.
    pub machine_s: f64,
    /// CPUs of the machine.
    pub cpus: f64,
    /// By process.
    pub processes: BTreeMap<String, ProcessReading>,
}

/// One process at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessReading {
    /// CPU seconds used since it started.
    pub cpu_s: f64,
    /// Seconds that each thread waited for a CPU since it started.
    pub waited_s: BTreeMap<u32, f64>,
}

/// Reads `/proc` for these processes; those that are gone are left out. The clock is the caller's.
pub fn read(at: i64, processes: &[Process]) -> Reading {
    let (machine_s, cpus) = fs::read_to_string("/proc/stat")
        .map(|text| machine(&text))
        .unwrap_or_default();
    let processes = processes
        .iter()
        .filter_map(|process| Some((process.name.clone(), read_process(process)?)));
    Reading {
        at,
        machine_s,
        cpus,
        processes: processes.collect(),
    }
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second().max(1) as f64
}

/// Busy CPU seconds (user, nice, system, irq, softirq, steal) and the number of CPUs.
fn machine(stat: &str) -> (f64, f64) {
    let cpus = stat
        .lines()
        .filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "))
        .count();
    let fields: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    let busy: f64 = [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|index| fields.get(*index))
        .sum();
    (busy / ticks_per_second(), cpus as f64)
}

fn read_process(process: &Process) -> Option<ProcessReading> {
    let pid = process.pid;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    // Fields 14 and 15 of the file: user and system time. The first field after the name is field 3.
    let cpu_s = (ticks(11) + ticks(12)) / ticks_per_second();
    let waited_s = if process.only_watches {
        BTreeMap::new()
    } else {
        read_waits(pid)?
    };
    Some(ProcessReading { cpu_s, waited_s })
}

fn read_waits(pid: u32) -> Option<BTreeMap<u32, f64>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let waited = tasks.flatten().filter_map(|task| {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let waited_ns: f64 = schedstat.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((task.file_name().to_str()?.parse().ok()?, waited_ns / 1e9))
    });
    Some(waited.collect())
}

/// Whether a process of the experiment was starved within the stretch, so that what broke there may have broken for
/// want of a CPU: a sentence that names it.
pub fn starved(readings: &[Reading], span: Span) -> Option<String> {
    over(readings, span, MAX_RUN_DELAY)
}

/// Whether a process was starved so badly that nothing measured in the stretch means anything.
pub fn spoiled(readings: &[Reading], span: Span) -> Option<String> {
    over(readings, span, SPOILING_RUN_DELAY)
}

fn over(readings: &[Reading], span: Span, max_run_delay: f64) -> Option<String> {
    let first = readings
        .iter()
        .rfind(|reading| reading.at <= span.from)
        .or(readings.first())?;
    let last = readings
        .iter()
        .find(|reading| reading.at >= span.to)
        .or(readings.last())?;
    let elapsed_s = (last.at - first.at) as f64 / 1e6;
    if elapsed_s <= 0.0 {
        return None;
    }
    longest_wait(first, last, elapsed_s, max_run_delay)
        .or_else(|| full_machine(first, last, elapsed_s))
}

fn longest_wait(
    first: &Reading,
    last: &Reading,
    elapsed_s: f64,
    max_run_delay: f64,
) -> Option<String> {
    let mut waits: Vec<(f64, &str)> = Vec::new();
    for (name, after) in &last.processes {
        let before = first.processes.get(name);
        for (thread, waited_s) in &after.waited_s {
            let earlier = before
                .and_then(|before| before.waited_s.get(thread))
                .copied()
                .unwrap_or(0.0);
            waits.push(((waited_s - earlier) / elapsed_s, name));
        }
    }
    let (share, name) = waits.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
    (share > max_run_delay).then(|| {
        format!(
            "{name} was starved: a thread of it waited for a CPU for {:.0} % of {elapsed_s:.0} s",
            share * 100.0
        )
    })
}

fn full_machine(first: &Reading, last: &Reading, elapsed_s: f64) -> Option<String> {
    let used = |reading: &Reading, name: &str| {
        reading
            .processes
            .get(name)
            .map_or(0.0, |process| process.cpu_s)
    };
    let ours: f64 = last
        .processes
        .keys()
        .map(|name| (used(last, name) - used(first, name)).max(0.0))
        .sum();
    let others = (last.machine_s - first.machine_s - ours).max(0.0);
    let left = (last.cpus * elapsed_s - others).max(f64::MIN_POSITIVE);
    (last.cpus > 0.0 && ours / left > MAX_CPU_SHARE).then(|| {
        format!(
            "the machine was full: the experiment's processes used {:.0} % of the CPU that others left to them, over \
             {elapsed_s:.0} s",
            (ours / left * 100.0).min(100.0)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span {
        from: 0,
        to: 10_000_000,
    };

    /// Two readings ten seconds apart on two CPUs.
    fn readings(ours_s: f64, others_s: f64, waits_s: &[f64]) -> [Reading; 2] {
        let reading = |at, machine_s, cpu_s, waits: &[f64]| Reading {
            at,
            machine_s,
            cpus: 2.0,
            processes: BTreeMap::from([(
                "service".to_owned(),
                ProcessReading {
                    cpu_s,
                    waited_s: (1..).zip(waits.iter().copied()).collect(),
                },
            )]),
        };
        let none = vec![0.0; waits_s.len()];
        [
            reading(0, 100.0, 3.0, &none),
            reading(10_000_000, 100.0 + ours_s + others_s, 3.0 + ours_s, waits_s),
        ]
    }

    #[test]
    fn a_machine_with_room_starves_nobody() {
        assert_eq!(starved(&readings(8.0, 2.0, &[0.4, 0.9]), SPAN), None);
    }

    #[test]
    fn a_thread_that_waits_a_tenth_of_the_time_is_starved_and_its_process_is_named() {
        let said = starved(&readings(2.0, 0.0, &[0.1, 1.2]), SPAN).expect("starved");
        assert!(
            said.starts_with("service was starved") && said.contains("12 %"),
            "{said}"
        );
    }

    #[test]
    fn using_most_of_the_cpu_is_starvation_also_when_others_took_the_rest() {
        assert!(
            starved(&readings(15.0, 0.0, &[]), SPAN)
                .expect("full")
                .contains("75 %")
        );
        assert!(
            starved(&readings(8.0, 10.0, &[]), SPAN)
                .expect("full")
                .contains("80 %")
        );
    }

    #[test]
    fn readings_that_are_missing_accuse_nobody() {
        assert_eq!(starved(&[], SPAN), None);
        assert_eq!(starved(&readings(20.0, 0.0, &[])[..1], SPAN), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let own = Process {
            name: "chaos".into(),
            pid: std::process::id(),
            only_watches: false,
        };
        let reading = read(7, std::slice::from_ref(&own));
        assert_eq!(reading.at, 7);
        assert!(reading.cpus >= 1.0 && reading.machine_s > 0.0);
        assert!(!reading.processes["chaos"].waited_s.is_empty());
        let watcher = Process {
            only_watches: true,
            ..own
        };
        let watching = &read(7, &[watcher]).processes["chaos"];
        assert!(watching.cpu_s >= reading.processes["chaos"].cpu_s);
        assert!(watching.waited_s.is_empty());
    }
}
