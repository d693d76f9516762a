//! A small disk of its own: what is full or read-only is a real file system, and no mock of one.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system in memory. Unmounted when dropped.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// One of this many MB. `None`, with a line that says so, where this process may not mount; with
    /// `CHITRAM_REQUIRE=all` that fails the test.
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={megabytes}m,mode=0700");
        if !mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], folder.path()) {
            assert!(
                std::env::var_os("CHITRAM_REQUIRE").is_none_or(|all| all != "all"),
                "needs the right to mount a tmpfs: run it as root"
            );
            eprintln!("not run: needs the right to mount a tmpfs (run it as root)");
            return None;
        }
        Some(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).expect("a file");
        let end = std::io::copy(&mut std::io::repeat(0), &mut file).expect_err("no room");
        assert_eq!(end.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Gives the room back.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("removed");
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }

    /// Whether it can be written. It must have no file open for writing when that is taken away.
    pub(crate) fn set_writable(&self, writable: bool) {
        let option = if writable { "remount,rw" } else { "remount,ro" };
        assert!(mount(&["-o", option], self.path()), "{option} failed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process of the test may still have a file open for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(folder).output();
    output.is_ok_and(|output| output.status.success())
}
