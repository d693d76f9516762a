//! Sends again what Elasticsearch refused as a whole.
//!
//! rsyslog looks at each item of a batch. But a request that is refused before its items are looked at (429 from a circuit
//! breaker, 503 while the cluster's state is read after a restart) it writes to a file and forgets. Each entry of that
//! file is taken here and sent until Elasticsearch has said something about each item; the items' ids make that safe to
//! repeat, also when this process starts again at the file's beginning.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::net;

/// As long as rsyslog itself waits for an answer (`indexTimeout` in its configuration): a batch may be of 4 MB.
const BULK_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the file is looked at, and the pause before a refused batch is sent again.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest entry that is read: a batch has at most 4 MB, twice that when all of it is escaped.
const LONGEST_ENTRY: u64 = 16 * 1024 * 1024;

/// What has become of refused lines, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redelivered {
    /// Taken at last.
    pub confirmed: u64,
    /// Elasticsearch had them already.
    pub duplicate: u64,
    /// Refused for good, and kept as plain text.
    pub rejected: u64,
    /// Refusals and failed attempts, counted in lines.
    pub failed: u64,
    /// Being sent now, or in the file and not yet sent again.
    pub waiting: u64,
}

/// Counters that the task writes and a scrape reads.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Mutex<Redelivered>>);

impl Counts {
    /// What they are now.
    pub fn get(&self) -> Redelivered {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Redelivered)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Follows the file until shutdown. Ends before with a sentence when it can go on no further.
pub async fn follow(
    file: PathBuf,
    elasticsearch: String,
    counts: Counts,
    shutdown: CancellationToken,
) -> Result<(), String> {
    let (mut offset, mut seen) = (0, Seen::default());
    loop {
        seen.look(&file, &counts)?;
        // Not beyond what is counted: a line is waiting before it is settled.
        while offset < seen.until
            && let Some((line, end)) = next_line(&file, offset)?
        {
            match serde_json::from_slice::<Entry>(&line) {
                Ok(entry) => {
                    let bulk = format!("{elasticsearch}/_bulk");
                    let look = || seen.look(&file, &counts);
                    let sent = deliver(&bulk, entry.items(), &counts, look);
                    let Some(sent) = shutdown.run_until_cancelled(sent).await else {
                        return Ok(());
                    };
                    sent?;
                }
                // Torn when rsyslog was killed while it wrote: then the batch is still in its queue.
                Err(error) => console::note(&format!(
                    "{} at byte {offset}: not a refused batch ({error}), left out",
                    file.display()
                )),
            }
            offset = end;
        }
        let pause = tokio::time::sleep(INTERVAL);
        if shutdown.run_until_cancelled(pause).await.is_none() {
            return Ok(());
        }
    }
}

/// How far the file's lines are counted. They wait from when they are in it, however long the ones before them take.
#[derive(Debug, Default)]
struct Seen {
    until: u64,
}

impl Seen {
    /// Counts what was added since the last look.
    fn look(&mut self, file: &Path, counts: &Counts) -> Result<(), String> {
        while let Some((line, end)) = next_line(file, self.until)? {
            // What is not an entry is told of when it is its turn.
            if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
                let items = entry.items().len() as u64;
                counts.change(|now| now.waiting += items);
            }
            self.until = end;
        }
        Ok(())
    }
}

/// One entry of rsyslog's error file.
#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    /// The body: a line that says what to do and where, and a line with the document, for each item.
    postdata: String,
}

/// An item of a batch: its action line and its document.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    action: String,
    document: String,
}

impl Entry {
    fn items(&self) -> Vec<Item> {
        let lines: Vec<&str> = self.request.postdata.lines().collect();
        let pairs = lines.chunks_exact(2);
        pairs
            .map(|pair| Item {
                action: pair[0].to_owned(),
                document: pair[1].to_owned(),
            })
            .collect()
    }
}

/// The line at `offset` and where it ends; `None` when it is not written to its end yet.
fn next_line(path: &Path, offset: u64) -> Result<Option<(Vec<u8>, u64)>, String> {
    let Ok(mut file) = File::open(path) else {
        return Ok(None); // nothing was refused yet
    };
    let cannot = |what: &str| {
        let path = path.display();
        format!("{path} at byte {offset}: {what}; refused batches are no longer sent again")
    };
    let mut line = Vec::new();
    let read = file.seek(SeekFrom::Start(offset)).and_then(|_| {
        let mut reader = BufReader::new(file.take(LONGEST_ENTRY));
        reader.read_until(b'\n', &mut line)
    });
    let length = read.map_err(|error| cannot(&error.to_string()))? as u64;
    match line.last() {
        Some(b'\n') => Ok(Some((line, offset + length))),
        _ if length == LONGEST_ENTRY => Err(cannot("the entry is too long")),
        _ => Ok(None),
    }
}

/// Sends the items until each is taken, was there before, or is kept as plain text. Looks in between what else was refused.
async fn deliver(
    bulk: &str,
    items: Vec<Item>,
    counts: &Counts,
    mut look: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    // The refusal that brought them here.
    counts.change(|now| now.failed += items.len() as u64);
    let mut open = vec![items];
    while let Some(batch) = open.pop() {
        look()?;
        match send(bulk, &batch).await {
            Sent::Items(statuses) => {
                let again = settle(batch, &statuses, counts);
                if !again.is_empty() {
                    open.push(again);
                    tokio::time::sleep(INTERVAL).await;
                }
            }
            // Something in it breaks the request: each half alone, down to the one item.
            Sent::Broken if batch.len() > 1 => {
                let mut first = batch;
                let second = first.split_off(first.len() / 2);
                open.extend([second, first]);
            }
            Sent::Broken => {
                let again = settle(batch, &[StatusCode::BAD_REQUEST], counts);
                if !again.is_empty() {
                    open.push(again);
                }
            }
            Sent::NotNow => {
                counts.change(|now| now.failed += batch.len() as u64);
                open.push(batch);
                tokio::time::sleep(INTERVAL).await;
            }
        }
    }
    Ok(())
}

enum Sent {
    /// A status for each item.
    Items(Vec<StatusCode>),
    /// Refused as a whole, and it would be again.
    Broken,
    /// Refused as a whole or not answered, for the moment.
    NotNow,
}

async fn send(bulk: &str, items: &[Item]) -> Sent {
    let mut body = String::new();
    for line in items.iter().flat_map(|item| [&item.action, &item.document]) {
        body.push_str(line);
        body.push('\n');
    }
    let Ok(client) = net::http() else {
        return Sent::NotNow;
    };
    let request = client
        .post(bulk)
        .header("content-type", "application/x-ndjson")
        .timeout(BULK_TIMEOUT)
        .body(body);
    let Ok(answer) = request.send().await else {
        return Sent::NotNow;
    };
    let status = answer.status();
    let statuses = match answer.json::<Value>().await {
        Ok(answer) if status.is_success() => statuses(&answer),
        _ => None,
    };
    match statuses {
        Some(statuses) if statuses.len() == items.len() => Sent::Items(statuses),
        _ if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => Sent::Broken,
        _ => Sent::NotNow,
    }
}

/// Each item of the answer is an object with one key, the action's name.
fn statuses(answer: &Value) -> Option<Vec<StatusCode>> {
    let items = answer["items"].as_array()?.iter();
    items
        .map(|item| {
            let status = item.as_object()?.values().next()?["status"].as_u64()?;
            StatusCode::from_u16(u16::try_from(status).ok()?).ok()
        })
        .collect()
}

/// Counts what was said about each item, and returns what is to be sent next: refused ones again, rejected ones as text.
fn settle(items: Vec<Item>, statuses: &[StatusCode], counts: &Counts) -> Vec<Item> {
    let mut again = Vec::new();
    for (item, status) in items.into_iter().zip(statuses) {
        let next = match *status {
            StatusCode::CONFLICT => {
                counts.change(|now| now.duplicate += 1);
                None
            }
            status if status.is_success() => {
                counts.change(|now| now.confirmed += 1);
                None
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                counts.change(|now| now.failed += 1);
                Some(item)
            }
            status => {
                counts.change(|now| now.rejected += 1);
                as_text(&item, status)
            }
        };
        match next {
            Some(item) => again.push(item),
            None => counts.change(|now| now.waiting = now.waiting.saturating_sub(1)),
        }
    }
    again
}

/// The prefix of the ids of documents that hold a rejected one as text.
const REJECTED: &str = "rejected-";

/// A document that holds the rejected one as text, as `deploy/logs/rsyslog.conf` makes it; `None` when it is one already.
fn as_text(item: &Item, status: StatusCode) -> Option<Item> {
    let mut action: Value = serde_json::from_str(&item.action).ok()?;
    let id = action["create"]["_id"].as_str()?;
    if id.starts_with(REJECTED) {
        return None;
    }
    action["create"]["_id"] = Value::String(format!("{REJECTED}{id}"));
    let document = json!({
        "@timestamp": format!("{:.6}", jiff::Timestamp::now()),
        "ecs.version": "8.11.0",
        "event.kind": "pipeline_error",
        "event.dataset": "rejected",
        "message": item.document,
        "error.type": status.as_str(),
    });
    Some(Item {
        action: action.to_string(),
        document: document.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str) -> Item {
        Item {
            action: format!("{{\"create\":{{\"_index\":\"logs\",\"_id\":\"{id}\"}}}}"),
            document: "{\"a\":1}".to_owned(),
        }
    }

    #[test]
    fn each_item_is_counted_by_its_own_status_and_a_rejected_one_becomes_text() {
        let counts = Counts::default();
        counts.change(|now| now.waiting = 4);
        let items = ["1", "2", "3", "4"].map(item).to_vec();
        let statuses = [201, 409, 429, 400].map(|status| StatusCode::from_u16(status).unwrap());
        let again = settle(items, &statuses, &counts);
        assert_eq!(again[0], item("3"));
        assert!(
            again[1].action.contains("\"_id\":\"rejected-4\""),
            "{again:?}"
        );
        assert!(
            again[1].document.contains(r#""message":"{\"a\":1}""#),
            "{again:?}"
        );
        let expected = Redelivered {
            confirmed: 1,
            duplicate: 1,
            rejected: 1,
            failed: 1,
            waiting: 2,
        };
        assert_eq!(counts.get(), expected);
    }

    #[test]
    fn text_that_is_rejected_is_not_made_text_again() {
        let counts = Counts::default();
        let again = settle(
            vec![item("rejected-1")],
            &[StatusCode::BAD_REQUEST],
            &counts,
        );
        assert!(again.is_empty());
        assert_eq!(counts.get().rejected, 1);
    }

    #[test]
    fn a_line_is_taken_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("refused");
        assert_eq!(next_line(&file, 0), Ok(None));
        std::fs::write(&file, "one\ntw").unwrap();
        assert_eq!(next_line(&file, 0), Ok(Some((b"one\n".to_vec(), 4))));
        assert_eq!(next_line(&file, 4), Ok(None));
    }

    #[tokio::test]
    async fn lines_wait_from_when_they_are_in_the_file() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused");
        let entry = |lines: usize| {
            let postdata = "{\"create\":{}}\n{\"a\":1}\n".repeat(lines);
            json!({ "request": { "postdata": postdata } }).to_string() + "\n"
        };
        std::fs::write(&path, entry(2)).unwrap();
        let (counts, shutdown) = (Counts::default(), CancellationToken::new());
        // Nobody listens on this port: the first batch goes on being refused.
        let url = "http://127.0.0.1:1".to_owned();
        let follower = tokio::spawn(follow(path.clone(), url, counts.clone(), shutdown.clone()));
        let waiting = async |expected| {
            let deadline = Duration::from_mins(1);
            let there = async || (counts.get().waiting == expected).then_some(());
            crate::wait::until(deadline, there).await
        };
        assert!(waiting(2).await.is_some(), "{:?}", counts.get());
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all((entry(3) + &entry(1)).as_bytes()).unwrap();
        assert!(waiting(6).await.is_some(), "{:?}", counts.get());
        shutdown.cancel();
        assert_eq!(follower.await.unwrap(), Ok(()));
    }

    #[test]
    fn an_entry_is_what_rsyslog_writes() {
        let line = r#"{ "request": { "url": "http://h/_bulk?", "postdata": "{\"create\":{}}\n{\"a\":1}\n{\"create\":{}}\n{\"a\":2}\n" }, "reply": { "error": { }, "status": 503 } }"#;
        let entry: Entry = serde_json::from_str(line).unwrap();
        let documents: Vec<String> = entry
            .items()
            .into_iter()
            .map(|item| item.document)
            .collect();
        assert_eq!(documents, ["{\"a\":1}", "{\"a\":2}"]);
    }
}
