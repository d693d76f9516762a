//! Injecting a cause and rolling it back.

use super::super::bench::Broken;
use super::Rig;

impl Rig<'_, '_> {
    /// Injects the cause.
    pub(crate) async fn inject(&mut self) -> Result<(), Broken> {
        for (number, command) in self.run.inject.iter().enumerate() {
            let values = self.values()?;
            let runner = self.bench.runner(&values, &self.logs)?;
            let (name, words) = (
                format!("inject-{}", number + 1),
                values.fill_all(command.words())?,
            );
            if command.goes_on() {
                self.background.push(runner.start(&name, &words)?);
            } else {
                let done = runner.run(&name, &words, command.within());
                self.bench.unless_stopped(done).await??;
            }
        }
        Ok(())
    }

    /// Rolls the cause back, whatever happened: every command is run, also when one fails. A second wish to stop ends it.
    pub(crate) async fn restore(&mut self) -> Result<(), Broken> {
        let hurry = &self.bench.interrupts.hurry;
        for child in self.background.drain(..) {
            child.stop(hurry).await;
        }
        let values = match self.values() {
            Ok(values) => values,
            // The system's file is gone: what does not need it is still rolled back.
            Err(_) => self.values.clone(),
        };
        let runner = self.bench.runner(&values, &self.logs)?;
        let mut failed = None;
        for (number, command) in self.run.restore.iter().enumerate() {
            let name = format!("restore-{}", number + 1);
            let done = async {
                let words = values.fill_all(command.words())?;
                runner.run(&name, &words, command.within()).await
            };
            let done = tokio::select! {
                biased;
                () = hurry.cancelled() => return Err(Broken::Interrupted),
                done = done => done,
            };
            if let Err(sentence) = done {
                failed.get_or_insert(format!("rolling back failed: {sentence}"));
            }
        }
        failed.map_or(Ok(()), |sentence| Err(Broken::Because(sentence)))
    }
}
