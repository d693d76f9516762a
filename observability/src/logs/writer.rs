//! Lines leave the process on a thread of their own, through a bounded queue: a full pipe costs lines, which are
//! counted, never time.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::metrics::{Counter, Desc, Registry};

const DROPPED: Desc = Desc::counter(
    "chitram_log_lines_dropped_total",
    "Log lines lost because their reader did not keep up.",
    &[],
);

/// Lines waiting at most. A line is at most [`MAX_LINE`](super::ecs::MAX_LINE) long.
const QUEUE: usize = 4096;
/// Lines are joined up to about this size into one write.
const CHUNK: usize = 64 * 1024;

/// Where the formatter puts a finished line, newline included.
#[derive(Clone)]
pub(crate) enum Sink {
    /// To the writing thread.
    Queue(Writer),
    /// Kept, for tests.
    Memory(Arc<Mutex<Vec<u8>>>),
}

impl Sink {
    pub(crate) fn put(&self, line: Vec<u8>) {
        match self {
            Self::Queue(writer) => writer.put(line),
            Self::Memory(lines) => lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&line),
        }
    }
}

/// Handle on the writing thread.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: SyncSender<Message>,
    dropped: Counter,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Writer {
    /// Starts the thread that writes to `output`.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        registry: &Registry,
    ) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = registry.counter(&DROPPED, &[]);
        let lost = dropped.clone();
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write(&lines, output, &lost))?;
        Ok(Self { queue, dropped })
    }

    fn put(&self, line: Vec<u8>) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.dropped.inc();
        }
    }

    /// Waits until the lines put before are written, or `deadline` is over. Blocks.
    pub(crate) fn flush(&self, deadline: Duration) {
        let start = std::time::Instant::now();
        let (done, written) = sync_channel(1);
        let mut message = Message::Flush(done);
        // The queue may be full at first.
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            if start.elapsed() >= deadline {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = deadline.saturating_sub(start.elapsed());
        let _: Result<(), RecvTimeoutError> = written.recv_timeout(left);
    }
}

/// Writes until every handle is gone.
fn write(lines: &Receiver<Message>, mut output: impl Write, lost: &Counter) {
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        let mut joined = 0;
        let mut flushed = None;
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    chunk.extend_from_slice(&line);
                    joined += 1;
                }
                Message::Flush(done) => flushed = Some(done),
            }
            let full = chunk.len() >= CHUNK || flushed.is_some();
            next = if full { None } else { lines.try_recv().ok() };
        }
        if output
            .write_all(&chunk)
            .and_then(|()| output.flush())
            .is_err()
        {
            lost.add(joined);
        }
        chunk.clear();
        if let Some(done) = flushed {
            let _ = done.try_send(());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests a panic is the answer")]
mod tests {
    use std::sync::Condvar;

    use super::*;
    use crate::testing::{Scrape, service};

    /// An output that nobody reads until `release`.
    #[derive(Clone, Default)]
    struct Stuck(Arc<(Mutex<Output>, Condvar)>);

    #[derive(Default)]
    struct Output {
        released: bool,
        written: Vec<u8>,
    }

    impl Stuck {
        fn release(&self) {
            self.0.0.lock().unwrap().released = true;
            self.0.1.notify_all();
        }
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self
                .0
                .1
                .wait_while(self.0.0.lock().unwrap(), |state| !state.released)
                .unwrap();
            state.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_stuck_reader_does_not_take_are_counted_and_nobody_waits() {
        let registry = Registry::new(&service());
        let output = Stuck::default();
        let writer = Writer::start(output.clone(), &registry).unwrap();
        let put = QUEUE * 4;
        for _ in 0..put {
            writer.put(b"line\n".to_vec());
        }
        let dropped = Scrape::parse(&registry.render())
            .value("chitram_log_lines_dropped_total", &[])
            .unwrap();
        assert!(dropped > 0.0);
        output.release();
        writer.flush(Duration::from_mins(1));
        let written = output.0.0.lock().unwrap().written.len() / "line\n".len();
        assert_eq!(written + dropped as usize, put);
    }

    #[test]
    fn a_flush_gives_up_at_its_deadline() {
        let registry = Registry::new(&service());
        let output = Stuck::default();
        let writer = Writer::start(output.clone(), &registry).unwrap();
        writer.put(b"line\n".to_vec());
        writer.flush(Duration::from_millis(20));
        assert!(output.0.0.lock().unwrap().written.is_empty());
        output.release();
    }
}
