//! Follows the events file of the load generator while it grows.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use loadtest::events::Event;

use crate::exit::Refusal;

/// Longest line that is accepted.
const MAX_LINE: usize = 1 << 20;

/// A reader of a growing file. The file is removed with it.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    /// What was read of a line that is not whole yet.
    rest: Vec<u8>,
}

impl Tail {
    /// Follows this file, which need not exist yet. One that is there is an earlier run's, and is removed.
    pub fn new(path: &Path) -> Result<Self, Refusal> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Refusal::internal(format!("{}: {error}", path.display())))
            }
            _ => Ok(Self {
                path: path.to_owned(),
                file: None,
                rest: Vec::new(),
            }),
        }
    }

    /// The events of the lines that became whole since the last call. Reads a local file that is in memory, so it does not
    /// need a thread of its own.
    pub fn read(&mut self) -> Result<Vec<Event>, String> {
        let place = self.path.display().to_string();
        let broken = |error: io::Error| format!("{place}: {error}");
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(broken(error)),
            }
        }
        let Some(file) = &mut self.file else {
            return Ok(Vec::new());
        };
        file.read_to_end(&mut self.rest).map_err(broken)?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            let torn = self.rest.len() > MAX_LINE;
            return if torn {
                Err(format!("{place}: a line is longer than {MAX_LINE} bytes"))
            } else {
                Ok(Vec::new())
            };
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        whole
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line)
                    .map_err(|error| format!("{place}: a line is no event: {error}"))
            })
            .collect()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use loadtest::events::End;

    use super::*;

    #[test]
    fn only_whole_lines_are_read_and_each_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("events.ndjson");
        let mut tail = Tail::new(&path).expect("a tail");
        assert_eq!(tail.read(), Ok(vec![]));
        let mut file = File::create(&path).expect("a file");
        let end = Event::End(End {
            stopped: true,
            aborted: false,
        });
        file.write_all(br#"{"type":"end","stopped":true,"abo"#)
            .expect("written");
        assert_eq!(tail.read(), Ok(vec![]));
        file.write_all(b"rted\":false}\n\n{\"type\"")
            .expect("written");
        assert_eq!(tail.read(), Ok(vec![end.clone()]));
        assert_eq!(tail.read(), Ok(vec![]));
        file.write_all(b":\"end\",\"stopped\":true,\"aborted\":false}\n")
            .expect("written");
        assert_eq!(tail.read(), Ok(vec![end]));
        drop(tail);
        assert!(!path.exists());
    }

    #[test]
    fn a_line_that_is_no_event_is_refused_with_its_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("events.ndjson");
        let mut tail = Tail::new(&path).expect("a tail");
        std::fs::write(&path, "{\"type\":\"weather\"}\n").expect("written");
        assert!(tail.read().expect_err("refused").contains("events.ndjson"));
    }
}
