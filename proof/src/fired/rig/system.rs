//! The system of a run, and its load.

use std::time::Duration;

use stack::server::answers_ok;

use super::super::bench::Broken;
use super::super::command::said;
use super::Rig;

/// How long a system may take until it is ready.
const READY: Duration = Duration::from_mins(5);
/// How long a system may take to stop.
const GRACE: Duration = Duration::from_mins(1);

impl Rig<'_, '_> {
    pub(super) async fn before(&self) -> Result<(), Broken> {
        let (bench, values) = (self.bench, &self.values);
        let runner = bench.runner(values, &self.logs)?;
        bench
            .commands("before", &self.run.before, values, &runner)
            .await
    }

    pub(super) async fn start_system(&mut self) -> Result<(), Broken> {
        let system = &self.bench.causes.system;
        let mut words = self.values.fill_all(&system.start)?;
        words.extend(self.values.fill_all(&self.run.arguments)?);
        let mut env = Vec::new();
        for (name, value) in &self.run.env {
            env.push((name.clone(), self.values.fill(value)?));
        }
        let runner = self.bench.runner(&self.values, &self.logs)?;
        self.system = Some(runner.start_system(&words, &env, GRACE)?);
        let ready = async || {
            let values = self.values().ok()?;
            for url in system.ready.iter().chain(&self.run.ready) {
                // What is not known yet is not ready.
                let url = values.fill(url).ok()?;
                if !answers_ok(&url).await {
                    return None;
                }
            }
            Some(())
        };
        let waited = self
            .bench
            .unless_stopped(self.alive_until(READY, ready))
            .await??;
        waited.ok_or_else(|| {
            let said = self.system.as_ref().map(said).unwrap_or_default();
            Broken::Because(format!("the system was not ready within {READY:?}{said}"))
        })
    }

    pub(super) fn start_load(&mut self) -> Result<(), Broken> {
        let words = self
            .run
            .load
            .as_ref()
            .unwrap_or(&self.bench.causes.system.load);
        if words.is_empty() {
            return Ok(());
        }
        let values = self.values()?;
        let runner = self.bench.runner(&values, &self.logs)?;
        self.load = Some(runner.start("load", &values.fill_all(words)?)?);
        Ok(())
    }
}
