//! The folder in which a proof runs.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::exit::Refusal;

/// The folder of all runs, removed unless there is something to look at.
pub(super) struct Home(TempDir);

impl Home {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes it.
    pub(super) fn new() -> Result<Self, Refusal> {
        let folder = tempfile::Builder::new().prefix("chitram-fired-").tempdir();
        folder
            .map(Self)
            .map_err(|error| Refusal::internal(format!("no temporary folder can be made: {error}")))
    }

    /// The folder of it that all runs share.
    pub(super) fn shared(&self) -> Result<PathBuf, Refusal> {
        let shared = self.0.path().join("shared");
        std::fs::create_dir_all(&shared).map_err(|error| {
            Refusal::internal(format!("{} can't be made: {error}", shared.display()))
        })?;
        Ok(shared)
    }

    /// Keeps it, and says where, if there is something to look at.
    pub(super) fn keep_unless(self, all_is_well: bool) {
        if !all_is_well {
            let kept = self.0.keep();
            eprintln!(
                "logs of runs that are not proven are kept in {}",
                kept.display()
            );
        }
    }
}
