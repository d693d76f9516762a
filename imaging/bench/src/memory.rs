//! Peak memory of one render of ours, in a process of its own: beside the judge's pictures it could not be seen.

use std::{path::Path, process::Command};

use crate::{Result, contenders::Ours, heap, task::Case};

/// Peaks above what the process had with the input read, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    /// Of what Rust allocated, the kept scratch included.
    pub heap: usize,
    /// Of the resident memory.
    pub resident: usize,
}

/// Measures in a child process.
pub(crate) fn peak(case: &Case, input: &Path) -> Result<Peak> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--case", case.name, "--memory-of"])
        .arg(input)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<usize> = text
        .split(' ')
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    let &[heap, resident] = &numbers[..] else {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("measuring the memory of {}: {why}", case.name).into());
    };
    Ok(Peak { heap, resident })
}

/// What the child does: one render with a fresh scratch.
pub(crate) fn print_peak(case: &Case, input: &Path) -> Result<()> {
    let input = std::fs::read(input)?;
    let mut ours = Ours::default();
    let before = peak_resident()?;
    let (rendered, heap) = heap::peak_of(|| ours.render(&input, &case.task));
    rendered?;
    println!("{heap} {}", peak_resident()?.saturating_sub(before));
    Ok(())
}

fn peak_resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: usize = kib.ok_or("/proc/self/status has no VmHWM in kB")?.parse()?;
    Ok(kib * 1024)
}
