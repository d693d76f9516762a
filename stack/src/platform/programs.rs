//! The platform's other programs: they lie beside `chitram-stack`.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// Paths of the programs that the stack runs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `chitram`, the service.
    pub service: PathBuf,
    /// `chitram-load`, the load generator.
    pub load: PathBuf,
    /// `chitram-chaos`, the experiment runner.
    pub chaos: PathBuf,
    /// `chitram-proof`, which draws boards; nothing needs it, and `make demo` does not build it.
    pub proof: Option<PathBuf>,
}

impl Programs {
    /// Looks beside this program.
    pub fn find() -> Result<Self, Error> {
        let own = std::env::current_exe()
            .map_err(|source| Error::io("find this program's own path", source))?;
        Self::in_folder(own.parent().unwrap_or(Path::new("/")))
    }

    fn in_folder(folder: &Path) -> Result<Self, Error> {
        let program = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
            let place = folder.display();
            Err(Error::Unavailable(format!(
                "{name} is not in {place}: build it with `cargo build --workspace --bins`"
            )))
        };
        Ok(Self {
            service: program("chitram")?,
            load: program("chitram-load")?,
            chaos: program("chitram-chaos")?,
            proof: program("chitram-proof").ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_command_that_builds_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chitram"), "").unwrap();
        let error = Programs::in_folder(folder.path()).unwrap_err();
        assert!(
            error.to_string().starts_with("chitram-load is not in "),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .ends_with("build it with `cargo build --workspace --bins`"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 69);
    }
}
