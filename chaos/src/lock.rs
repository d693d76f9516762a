//! One run at a time in a folder. The lock names its owner by pid and start time, so that the stack can tell a run that
//! was killed from one that goes on; the kernel's lock on the file settles who takes over from the dead.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Refusal};
use crate::process::Identity;

/// The lock's file in the stack's folder.
pub const FILE: &str = "chaos.lock";

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    #[serde(flatten)]
    process: Identity,
    run_id: String,
}

impl Lock {
    /// Takes the lock, also over from an owner that is gone.
    pub fn take(dir: &Path, run_id: &str) -> Result<Self, Refusal> {
        let path = dir.join(FILE);
        let failed =
            |error: std::io::Error| Refusal::internal(format!("{}: {error}", path.display()));
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(&path, read_owner(&mut file))),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // The owner before may have removed the file between our opening and locking it.
            if !is_still(&path, &file) {
                continue;
            }
            if let Some(owner) = read_owner(&mut file)
                .filter(|o| o.process.is_alive() && o.process != Identity::own())
            {
                return Err(held(&path, Some(owner)));
            }
            let owner = Owner {
                process: Identity::own(),
                run_id: run_id.to_owned(),
            };
            write_owner(&mut file, &owner).map_err(failed)?;
            return Ok(Self { path, _file: file });
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_still(path: &Path, file: &File) -> bool {
    let inode = |metadata: std::io::Result<Metadata>| metadata.map(|of| (of.dev(), of.ino())).ok();
    inode(path.metadata()).is_some_and(|at| inode(file.metadata()) == Some(at))
}

fn read_owner(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_owner(file: &mut File, owner: &Owner) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(owner)?.as_bytes())?;
    file.sync_all()
}

fn held(path: &Path, owner: Option<Owner>) -> Refusal {
    let who = owner.map_or("another process".into(), |o| {
        format!("process {} (run {})", o.process.pid, o.run_id)
    });
    let sentence = format!(
        "{} is held by {who}: wait for it to end, or stop it with Ctrl-C so that it rolls back",
        path.display()
    );
    Refusal {
        exit: Exit::Locked,
        sentence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Lock::take(dir.path(), "first").expect("free");
        let refusal = Lock::take(dir.path(), "second").expect_err("held");
        assert_eq!(refusal.exit, Exit::Locked);
        assert!(refusal.sentence.contains("run first"), "{refusal}");
        drop(first);
        assert!(!dir.path().join(FILE).exists());
        Lock::take(dir.path(), "third").expect("free again");
    }

    #[test]
    fn the_lock_of_a_process_that_is_gone_is_taken_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let gone = Identity {
            start_time: 1,
            ..Identity::own()
        };
        let owner = Owner {
            process: gone,
            run_id: "gone".into(),
        };
        std::fs::write(
            dir.path().join(FILE),
            serde_json::to_string(&owner).expect("json"),
        )
        .expect("written");
        let _lock = Lock::take(dir.path(), "next").expect("taken over");
        let text = std::fs::read_to_string(dir.path().join(FILE)).expect("a lock");
        assert!(
            text.contains("\"run_id\":\"next\"") && text.contains("\"start_time\""),
            "{text}"
        );
    }

    #[test]
    fn a_lock_that_is_no_json_belongs_to_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(FILE), "{\"pid\":").expect("written");
        Lock::take(dir.path(), "next").expect("taken over");
    }
}
