//! The events file: a bounded queue, and one thread that writes it.
//!
//! Who records never waits for the disk: when the queue is full the event is dropped and counted.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::events::{End, Event};
use crate::exit::Failure;

/// Events that may wait for the disk: at 1,000 requests a second, half a minute.
const QUEUE: usize = 32_768;
/// Lines between two flushes while there is always a next one; otherwise each batch is flushed as it ends.
const FLUSH_EVERY: usize = 64;
/// How long the end of a run waits for the disk.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Where events are put. Without a file they go nowhere.
#[derive(Clone, Default)]
pub(crate) struct EventQueue {
    sender: Option<SyncSender<Event>>,
    lost: Arc<AtomicU64>,
}

/// The file behind an [`EventQueue`].
pub(crate) struct EventFile {
    queue: EventQueue,
    writer: Option<JoinHandle<()>>,
}

impl EventQueue {
    pub(crate) fn put(&self, event: Event) {
        if let Some(sender) = &self.sender
            && sender.try_send(event).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl EventFile {
    /// Creates `path`; without one, every event goes nowhere.
    pub(crate) fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self {
                queue: EventQueue::default(),
                writer: None,
            });
        };
        let refuse =
            |error: io::Error| Failure::Internal(format!("--events {}: {error}", path.display()));
        let file = File::create(path).map_err(refuse)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let (path, lost_by_writer): (PathBuf, _) = (path.to_owned(), Arc::clone(&lost));
        let writer = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || write_all(&receiver, BufWriter::new(file), &path, &lost_by_writer))
            .map_err(refuse)?;
        Ok(Self {
            queue: EventQueue {
                sender: Some(sender),
                lost,
            },
            writer: Some(writer),
        })
    }

    pub(crate) fn queue(&self) -> EventQueue {
        self.queue.clone()
    }

    /// Writes the end, after everything that was put before, and says how many events were lost.
    pub(crate) fn close(self, end: End) -> u64 {
        let Self {
            queue: EventQueue { sender, lost },
            writer,
        } = self;
        let deadline = Instant::now() + CLOSE_WITHIN;
        let mut last = Some(Event::End(end));
        while let (Some(sender), Some(event)) = (&sender, last.take()) {
            match sender.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) if Instant::now() < deadline => {
                    last = Some(event);
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        while writer.as_ref().is_some_and(|writer| !writer.is_finished())
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        lost.load(Ordering::Relaxed)
    }
}

/// Until the end has been written. A disk that refuses a line is reported once; what it does not take is counted as lost.
fn write_all(events: &Receiver<Event>, mut file: BufWriter<File>, path: &Path, lost: &AtomicU64) {
    let mut reported = false;
    while let Ok(first) = events.recv() {
        let batch = std::iter::once(first).chain(events.try_iter().take(FLUSH_EVERY - 1));
        let (mut lines, mut ended, mut outcome) = (0, false, Ok(()));
        for event in batch {
            lines += 1;
            ended |= matches!(event, Event::End(_));
            outcome = outcome.and_then(|()| write_line(&mut file, &event));
        }
        if let Err(error) = outcome.and_then(|()| file.flush()) {
            lost.fetch_add(lines, Ordering::Relaxed);
            if !reported {
                eprintln!(
                    "chitram-load: {}: can't be written ({error}); events are lost, the run goes on",
                    path.display()
                );
                reported = true;
            }
        }
        if ended {
            return;
        }
    }
}

fn write_line(file: &mut impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *file, event)?;
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: End = End {
        stopped: false,
        aborted: false,
    };

    #[test]
    fn events_are_written_in_order_and_the_last_comes_last() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("events.ndjson");
        let file = EventFile::create(Some(&path)).expect("created");
        let queue = file.queue();
        for second in 0..500 {
            queue.put(Event::Window(crate::events::Window {
                second,
                ..Default::default()
            }));
        }
        assert_eq!(file.close(END), 0);
        let text = std::fs::read_to_string(&path).expect("read");
        let events: Vec<Event> = text
            .lines()
            .map(|line| Event::parse(line).expect("parses"))
            .collect();
        assert_eq!(events.len(), 501);
        assert!(matches!(&events[499], Event::Window(window) if window.second == 499));
        assert_eq!(events[500], Event::End(END));
    }

    #[test]
    fn a_full_queue_or_disk_costs_events_and_never_time() {
        let (sender, receiver) = sync_channel(1);
        let queue = EventQueue {
            sender: Some(sender),
            lost: Arc::default(),
        };
        (0..3).for_each(|_| queue.put(Event::End(END)));
        assert_eq!(queue.lost.load(Ordering::Relaxed), 2);
        drop(receiver);
        let full_disk = EventFile::create(Some(Path::new("/dev/full"))).expect("opened");
        full_disk
            .queue()
            .put(Event::Window(crate::events::Window::default()));
        assert_eq!(full_disk.close(END), 2);
        let error = EventFile::create(Some(Path::new("/no/such/folder/e")))
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("/no/such/folder/e")));
    }
}
