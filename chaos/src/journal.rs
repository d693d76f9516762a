//! The write-ahead journal: what is about to be done to a proxy is on the disk before it is done, so that a run that was
//! killed can be undone by whoever comes next. One JSON object a line; a last line that was torn by a crash never
//! happened, since nothing is injected before its line is complete.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::exit::Refusal;
use crate::process::Identity;
use crate::toxiproxy::{Definition, Proxy, Toxic};

/// The journal's file in the stack's folder.
pub const FILE: &str = "chaos-journal.ndjson";

/// What the names of all runners' toxics begin with.
pub const PREFIX: &str = "chitram-";

/// What is about to be done to a proxy, and how it was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Names the intent: `chitram-<run id>-<n>`; also the toxic's name when there is one.
    pub name: String,
    /// The experiment, for the message of who recovers it.
    pub experiment: String,
    /// Toxiproxy's API.
    pub toxiproxy: Url,
    /// The proxy as it was before.
    pub proxy: Definition,
    /// Whether a toxic of this name is added; otherwise the proxy is only disabled.
    pub toxic: bool,
    /// All proxies as they were with their toxics, for a server that was restarted and forgot them. Journals of earlier
    /// versions hold no toxics here.
    pub all: Vec<Proxy>,
    /// Those of them that are being made again: whoever finds one there must not take it for whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub making: Vec<String>,
    /// The process in which the fault lives, where it is one of our stack's: with it the fault has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Identity>,
}

impl Intent {
    /// The toxics of other people that were on this proxy.
    pub fn others_on(&self, proxy: &str) -> Vec<Toxic> {
        let known = self.all.iter().find(|known| known.definition.name == proxy);
        let toxics = known.map_or(&[][..], |known| &known.toxics);
        self.others(toxics)
    }

    /// Of these toxics, those that are no runner's: each runner's own journal answers for its own, and one of a runner that
    /// has died would never go away again.
    pub fn others(&self, toxics: &[Toxic]) -> Vec<Toxic> {
        let mut others = toxics.to_vec();
        others.retain(|toxic| toxic.name != self.name && !toxic.name.starts_with(PREFIX));
        others
    }

    /// Notes how a proxy is now. One that is being made is not what it will be.
    pub fn know(&mut self, now: Proxy) {
        let name = &now.definition.name;
        if self.making.contains(name) {
            return;
        }
        match self
            .all
            .iter_mut()
            .find(|known| &known.definition.name == name)
        {
            Some(known) => *known = now,
            None => self.all.push(now),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Intent(Box<Intent>),
    Done { name: String },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal of this folder, whether or not its file exists.
    pub fn at(dir: &Path) -> Self {
        Self {
            path: dir.join(FILE),
        }
    }

    /// What was begun and not undone, oldest first.
    pub fn pending(&self) -> Result<Vec<Intent>, Refusal> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.refusal(&error)),
        };
        let mut pending: Vec<Intent> = Vec::new();
        // What follows the last line feed was torn: its fsync never returned, so its deed never began.
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(&[][..], |end| &text[..end]);
        for (index, line) in whole
            .split(|byte| *byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            match serde_json::from_slice(line) {
                // A later line of the same name knows more.
                Ok(Line::Intent(intent)) => {
                    match pending.iter_mut().find(|known| known.name == intent.name) {
                        Some(known) => *known = *intent,
                        None => pending.push(*intent),
                    }
                }
                Ok(Line::Done { name }) => pending.retain(|intent| intent.name != name),
                Err(error) => {
                    return Err(Refusal::internal(format!(
                        "{}:{}: {error}: this line was not written by chitram-chaos; look at the proxies for toxics \
                         named `chitram-...`, then remove the file",
                        self.path.display(),
                        index + 1
                    )));
                }
            }
        }
        Ok(pending)
    }

    /// Writes an intent and returns once it is on the disk.
    pub fn intend(&self, intent: &Intent) -> Result<(), Refusal> {
        self.append(&Line::Intent(Box::new(intent.clone())))
            .map_err(|error| self.refusal(&error))
    }

    /// Writes that an intent was undone, and removes the file when nothing else is pending.
    pub fn done(&self, name: &str) -> Result<(), Refusal> {
        // A folder that was removed took the journal with it.
        if self.path.parent().is_some_and(|folder| !folder.exists()) {
            return Ok(());
        }
        self.append(&Line::Done {
            name: name.to_owned(),
        })
        .map_err(|error| self.refusal(&error))?;
        self.tidy()
    }

    /// Removes the file when nothing is pending.
    pub fn tidy(&self) -> Result<(), Refusal> {
        if !self.pending()?.is_empty() || !self.path.exists() {
            return Ok(());
        }
        std::fs::remove_file(&self.path)
            .and_then(|()| self.sync_folder())
            .map_err(|error| self.refusal(&error))
    }

    fn append(&self, line: &Line) -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        let whole = std::fs::read(&self.path)?
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        self.sync_folder()
    }

    /// A new file's name is on the disk only when its folder is.
    fn sync_folder(&self) -> std::io::Result<()> {
        self.path
            .parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }

    fn refusal(&self, error: &std::io::Error) -> Refusal {
        Refusal::internal(format!("{}: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(name: &str) -> Intent {
        let proxy = Definition {
            name: "store".into(),
            listen: "127.0.0.1:1".into(),
            upstream: "127.0.0.1:2".into(),
            enabled: true,
        };
        Intent {
            name: name.into(),
            experiment: "store-slow".into(),
            toxiproxy: Url::parse("http://127.0.0.1:8474").expect("an address"),
            all: vec![Proxy {
                definition: proxy.clone(),
                toxics: Vec::new(),
            }],
            proxy,
            toxic: true,
            making: Vec::new(),
            holder: None,
        }
    }

    #[test]
    fn what_was_begun_is_pending_until_it_is_done_and_then_the_file_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let journal = Journal::at(dir.path());
        assert_eq!(journal.pending().expect("readable"), []);
        journal.intend(&intent("a")).expect("written");
        journal.intend(&intent("b")).expect("written");
        assert_eq!(
            Journal::at(dir.path()).pending().expect("readable"),
            [intent("a"), intent("b")]
        );
        journal.done("a").expect("written");
        assert_eq!(journal.pending().expect("readable"), [intent("b")]);
        journal.done("b").expect("written");
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn a_journal_whose_folder_was_removed_is_closed() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("stack");
        std::fs::create_dir(&folder).expect("a folder");
        let journal = Journal::at(&folder);
        journal.intend(&intent("a")).expect("written");
        std::fs::remove_dir_all(&folder).expect("removed");
        journal.done("a").expect("closed");
        assert!(!folder.exists());
    }

    #[test]
    fn a_torn_last_line_never_happened_and_what_follows_is_readable() {
        let dir = tempfile::tempdir().expect("a folder");
        let journal = Journal::at(dir.path());
        journal.intend(&intent("a")).expect("written");
        let whole = std::fs::read(dir.path().join(FILE)).expect("a file");
        for cut in 1..whole.len() {
            let torn: Vec<u8> = whole.iter().chain(&whole[..cut]).copied().collect();
            let kept = if cut == whole.len() { 2 } else { 1 };
            std::fs::write(dir.path().join(FILE), torn).expect("written");
            assert_eq!(
                journal.pending().expect("readable").len(),
                kept,
                "cut after {cut} bytes"
            );
        }
        journal.intend(&intent("b")).expect("written");
        assert_eq!(
            journal.pending().expect("readable"),
            [intent("a"), intent("b")]
        );
    }

    #[test]
    fn a_journal_of_an_earlier_version_without_toxics_and_holder_is_readable() {
        let dir = tempfile::tempdir().expect("a folder");
        let proxy =
            r#"{"name":"store","listen":"127.0.0.1:1","upstream":"127.0.0.1:2","enabled":true}"#;
        let line = format!(
            r#"{{"type":"intent","name":"a","experiment":"store-slow","toxiproxy":"http://127.0.0.1:8474/","proxy":{proxy},"toxic":true,"all":[{proxy}]}}"#
        );
        std::fs::write(dir.path().join(FILE), line + "\n").expect("written");
        let pending = Journal::at(dir.path()).pending().expect("readable");
        assert_eq!(pending, [intent("a")]);
    }

    #[test]
    fn a_later_intent_of_the_same_name_knows_more_and_takes_its_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let journal = Journal::at(dir.path());
        let mut more = intent("a");
        let foreign = Toxic::new(
            "foreign",
            "latency",
            crate::definition::Stream::Upstream,
            1.0,
            &[],
        );
        more.know(Proxy {
            definition: more.proxy.clone(),
            toxics: vec![foreign.clone()],
        });
        journal.intend(&intent("a")).expect("written");
        journal.intend(&more).expect("written");
        assert_eq!(journal.pending().expect("readable"), [more.clone()]);
        assert_eq!(more.others_on("store"), [foreign]);
    }

    #[test]
    fn toxics_of_other_runners_are_theirs_to_answer_for_and_everybody_elses_are_kept() {
        let toxic = |name| {
            Toxic::new(
                name,
                "latency",
                crate::definition::Stream::Upstream,
                1.0,
                &[],
            )
        };
        let mut intent = intent("chitram-me-1");
        intent.all[0].toxics = vec![
            toxic("chitram-me-1"),
            toxic("chitram-dead-1"),
            toxic("foreign"),
        ];
        assert_eq!(intent.others_on("store"), [toxic("foreign")]);
    }

    #[test]
    fn a_proxy_that_is_being_made_is_not_learnt_from_a_look_at_it() {
        let mut intent = intent("chitram-me-1");
        let before = intent.all.clone();
        let mut half = before[0].clone();
        half.definition.enabled = false;
        intent.making.push("store".into());
        intent.know(half);
        assert_eq!(intent.all, before);
    }

    #[test]
    fn a_line_that_is_not_ours_is_refused_with_file_and_line() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(
            dir.path().join(FILE),
            "{\"type\":\"done\",\"name\":\"x\"}\nhello\n",
        )
        .expect("written");
        let refusal = Journal::at(dir.path()).pending().expect_err("refused");
        assert!(
            refusal.sentence.contains("chaos-journal.ndjson:2:"),
            "{refusal}"
        );
    }
}
