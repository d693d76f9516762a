//! The processes of an experiment, and what `/proc` says of them.

use std::path::PathBuf;

use crate::context::Context;
use crate::stack_file::{Child, Stack};
use crate::usage::{self, Process, Reading};

/// The processes of an experiment.
pub(super) struct Machine {
    /// This one, the stack, the load generator.
    own: Vec<Process>,
    /// The stack's children, as they were last read.
    children: Vec<Child>,
    /// Where they are read.
    dir: PathBuf,
}

impl Machine {
    pub(super) fn new(context: &Context) -> Self {
        let mut machine = Self {
            own: Vec::new(),
            children: context.stack.processes.clone(),
            dir: context.dir.clone(),
        };
        machine.add("chitram-chaos", std::process::id());
        if let Some(owner) = context.stack.owner {
            machine.add("the stack", owner.pid);
        }
        machine
    }

    /// Adds a process that takes part in requests.
    pub(super) fn add(&mut self, name: &str, pid: u32) {
        self.own.push(Process {
            name: name.to_owned(),
            pid,
            only_watches: false,
        });
    }

    /// What they use and wait for. The stack's are read anew: one that was started again has another pid, and would be taken
    /// for somebody else's.
    pub(super) fn read(&mut self, now: i64) -> Reading {
        if let Ok(stack) = Stack::read(&self.dir) {
            self.children = stack.processes;
        }
        let children = self.children.iter().map(|child| Process {
            name: child.name.clone(),
            pid: child.process.pid,
            only_watches: child.only_watches(),
        });
        let processes: Vec<Process> = self.own.iter().cloned().chain(children).collect();
        usage::read(now, &processes)
    }
}
