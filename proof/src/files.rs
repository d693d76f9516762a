//! Files from outside: listed and read up to a bound, and refused by name.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::exit::Refusal;

/// Largest file that is read, in bytes. The largest board of a well-known collection has 0.5 MB.
const MAX_BYTES: u64 = 8 << 20;
/// Files of one folder that are read at most.
const MAX_FILES: usize = 1000;

/// The text of a file.
pub(crate) fn read(file: &Path) -> Result<String, Refusal> {
    let name = file.display();
    let unreadable = |error| Refusal::usage(format!("{name} cannot be read: {error}"));
    let mut text = String::new();
    // Not by its size alone, which a pipe does not tell.
    let opened = File::open(file).map_err(unreadable)?;
    opened
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        let sentence = format!("{name} has more than {MAX_BYTES} bytes, and so much is not read");
        return Err(Refusal::usage(sentence));
    }
    Ok(text)
}

/// The files directly in a folder that have one of these extensions, in the order of their names.
pub(crate) fn listed(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Refusal> {
    let name = folder.display();
    let unreadable = |error| Refusal::usage(format!("{name} cannot be read: {error}"));
    let wanted = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !wanted(&path) {
            continue;
        }
        if files.len() == MAX_FILES {
            let sentence = format!("{name} has more than {MAX_FILES} files to read");
            return Err(Refusal::usage(sentence));
        }
        files.push(path);
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_long_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES).unwrap();
        assert_eq!(read(file.path()).unwrap().len() as u64, MAX_BYTES);
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        let refusal = read(file.path()).unwrap_err();
        assert!(refusal.sentence.contains("more than 8388608 bytes"));
        let name = file.path().display().to_string();
        assert!(refusal.sentence.starts_with(&name), "{refusal}");
    }

    #[test]
    fn files_are_listed_by_extension_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", "c.json", "d"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = listed(folder.path(), &["yml", "yaml"])
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a.yaml", "b.yml"]);
        assert!(listed(&folder.path().join("e"), &["yml"]).is_err());
    }
}
