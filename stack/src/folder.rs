//! The stack's folder (`--dir`, by default `.chitram`): one owner at a time, readable by its user only.
//!
//! The lock is the kernel's (`flock`), so it ends with its owner however that ends; what a dead owner left behind is
//! cleared by the next one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};

use crate::error::Error;
use crate::process::Identity;
use crate::state::State;
use crate::wait;

/// How long what a dead owner left running may take to end, before SIGKILL.
const LEFTOVER_GRACE: Duration = Duration::from_secs(5);

/// A folder that this process owns until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    state: Mutex<State>,
    stale: Option<State>,
    lock: File,
}

impl Folder {
    /// Makes the folder (mode 0700) and becomes its owner. What a dead owner left is stopped and removed first.
    pub async fn claim(path: &Path) -> Result<Self, Error> {
        create_private(path)?;
        // Children get paths below it, and not all of them run in our working folder.
        let path = path.canonicalize().map_err(Error::file("open", path))?;
        let lock = lock(&path)?;
        let stale = State::read(&path.join("stack.toml"))?;
        if let Some(stale) = &stale {
            stop_leftovers(stale).await;
        }
        let folder = Self {
            path,
            state: Mutex::new(State::empty()),
            stale,
            lock,
        };
        folder.remove_run_files();
        create_private(&folder.logs())?;
        create_private(&folder.data())?;
        create_private(&folder.targets())?;
        folder.update(|_| {})?;
        Ok(folder)
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where children's output goes. Kept when the stack ends.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Where stand-ins and the service keep their data. Removed when the stack ends.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Where load and experiments register what Prometheus scrapes of them. Empty at the start, removed when the stack ends.
    pub fn targets(&self) -> PathBuf {
        self.path.join("targets")
    }

    /// What a dead owner had written, if there was one.
    pub fn stale(&self) -> Option<&State> {
        self.stale.as_ref()
    }

    /// What `stack.toml` says now.
    pub fn state(&self) -> State {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes `stack.toml`, in memory and on disk.
    pub fn update(&self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.write(&self.path.join("stack.toml"))
    }

    fn remove_run_files(&self) {
        // What cannot be removed is in nobody's way: the next start writes it anew.
        let _ = fs::remove_file(self.path.join("stack.toml"));
        let _ = fs::remove_dir_all(self.data());
        let _ = fs::remove_dir_all(self.targets());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove_run_files();
        let _ = self.lock.set_len(0);
        // Not left to the closing of the file: a child that is being started has it open too until it becomes its program.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

/// A folder with mode 0700. One that many share (such as `/tmp`) or that is another user's is refused, not changed.
fn create_private(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::file("make the folder", path))?;
    let metadata = fs::metadata(path).map_err(Error::file("look at", path))?;
    let sticky = metadata.mode() & 0o1000 != 0;
    if sticky || metadata.uid() != rustix::process::geteuid().as_raw() {
        let sentence = format!(
            "{} is shared or another user's: give --dir a folder of your own",
            path.display()
        );
        return Err(Error::Usage(sentence));
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
        .map_err(Error::file("make private", path))
}

/// Takes `stack.lock`, which holds the owner's pid for the message of whoever comes second.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("stack.lock");
    let open = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path);
    let mut file = open.map_err(Error::file("open", &path))?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        return Err(Error::Owned {
            folder: folder.to_owned(),
            pid: pid.trim().to_owned(),
        });
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(Error::file("write", &path))?;
    Ok(file)
}

/// Ends the processes that a dead owner's file names, if they are still those processes. The death signal ends them
/// too; this only makes sure that they are gone before their ports and files are used again.
async fn stop_leftovers(stale: &State) {
    let leftovers: Vec<Identity> = stale
        .processes
        .iter()
        .map(crate::state::Process::identity)
        .collect();
    for (signal, grace) in [
        (Signal::TERM, LEFTOVER_GRACE),
        (Signal::KILL, LEFTOVER_GRACE),
    ] {
        for identity in leftovers.iter().filter(|identity| identity.is_alive()) {
            if let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        let gone = async || {
            leftovers
                .iter()
                .all(|identity| !identity.is_alive())
                .then_some(())
        };
        if wait::until(grace, gone).await.is_some() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_given_back_although_a_child_that_is_being_started_has_its_lock_open() {
        let parent = tempfile::tempdir().unwrap();
        let first = Folder::claim(parent.path()).await.unwrap();
        // As a fork has it, until its exec closes it.
        let inherited = first.lock.try_clone().unwrap();
        drop(first);
        Folder::claim(parent.path()).await.unwrap();
        drop(inherited);
    }
}
