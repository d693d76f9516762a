//! A copy of the files that are broken: boards, rules, tests, routes, and what the proof reads beside them.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that the proof reads.
const FOLDERS: [&str; 4] = ["dashboards", "alerts", "docs/runbooks", "docs/telemetry"];

/// A copy in a temporary folder.
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for each in FOLDERS {
            copy(&repository().join(each), &folder.path().join(each));
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a text in the place of a file, or makes one.
    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).unwrap();
    }

    /// Puts the file back as it is in the repository; removes it if it is not there.
    pub(crate) fn restore(&self, file: &str) {
        match fs::read_to_string(repository().join(file)) {
            Ok(text) => self.write(file, &text),
            Err(_) => fs::remove_file(self.path().join(file)).unwrap(),
        }
    }
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Names of the files of a folder of the repository with this extension, relative to the repository's root.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(repository().join(folder)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == extension))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    names
}

/// The text of a file of the repository.
pub(crate) fn text(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
