//! Where a demo lives: a temporary folder, or the one that the person names.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

/// A folder that is removed with this value, if it is temporary.
#[derive(Debug)]
pub(super) enum Home {
    Temporary(TempDir),
    Given(PathBuf),
}

impl Home {
    pub(super) fn create(given: Option<&Path>) -> Result<Self, Error> {
        if let Some(path) = given {
            return Ok(Self::Given(path.to_owned()));
        }
        let folder = tempfile::Builder::new().prefix("chitram-demo-").tempdir();
        folder
            .map(Self::Temporary)
            .map_err(|source| Error::io("make a temporary folder", source))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Given(path) => path,
        }
    }
}
