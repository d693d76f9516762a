//! Lines leave the process on a thread of their own, through a bounded queue: a full pipe costs lines, which are
//! counted, never time.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::metrics::{Counter, Desc, Gauge, Registry};

const WRITTEN: Desc = Desc::counter(
    "chitram_log_lines_written_total",
    "Log lines written to their output.",
    &[],
);
const DROPPED: Desc = Desc::counter(
    "chitram_log_lines_dropped_total",
    "Log lines lost because the reader of the output did not keep up, or was gone.",
    &[],
);
const QUEUED: Desc = Desc::gauge(
    "chitram_log_queue_lines",
    "Log lines that wait to be written.",
    &[],
);
const LIMIT: Desc = Desc::gauge(
    "chitram_log_queue_limit",
    "Log lines that can wait to be written; further ones are lost.",
    &[],
);

/// Every metric of the log.
pub(crate) const DECLARED: &[&Desc] = &[&WRITTEN, &DROPPED, &QUEUED, &LIMIT];

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
    lines: Lines,
}

/// What becomes of lines: each that is put is queued, then written or dropped.
#[derive(Clone)]
struct Lines {
    queued: Gauge,
    written: Counter,
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
        let (queue, messages) = sync_channel(QUEUE);
        registry.gauge(&LIMIT, &[]).set(QUEUE as f64);
        let lines = Lines {
            queued: registry.gauge(&QUEUED, &[]),
            written: registry.counter(&WRITTEN, &[]),
            dropped: registry.counter(&DROPPED, &[]),
        };
        let counted = lines.clone();
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write(&messages, output, &counted))?;
        Ok(Self { queue, lines })
    }

    fn put(&self, line: Vec<u8>) {
        // Before it can leave the queue: the count never falls below what waits.
        self.lines.queued.add(1.0);
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.lines.queued.sub(1.0);
            self.lines.dropped.inc();
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
fn write(messages: &Receiver<Message>, mut output: impl Write, lines: &Lines) {
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Ok(first) = messages.recv() {
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
            next = if full { None } else { messages.try_recv().ok() };
        }
        let written = output.write_all(&chunk).and_then(|()| output.flush());
        lines.queued.sub(joined as f64);
        match written {
            Ok(()) => lines.written.add(joined),
            Err(_) => lines.dropped.add(joined),
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

    /// Lines written, dropped and waiting.
    fn counted(registry: &Registry) -> (usize, usize, usize) {
        let scrape = Scrape::parse(&registry.render());
        let value = |name| scrape.value(name, &[]).unwrap() as usize;
        (
            value("chitram_log_lines_written_total"),
            value("chitram_log_lines_dropped_total"),
            value("chitram_log_queue_lines"),
        )
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
        let (written, dropped, waiting) = counted(&registry);
        assert!(dropped > 0 && waiting >= QUEUE, "{dropped}, {waiting}");
        assert_eq!(written + dropped + waiting, put);
        output.release();
        writer.flush(Duration::from_mins(1));
        let seen = output.0.0.lock().unwrap().written.len() / "line\n".len();
        assert_eq!(counted(&registry), (seen, put - seen, 0));
    }

    #[test]
    fn lines_whose_reader_is_gone_are_counted_as_dropped() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let registry = Registry::new(&service());
        let writer = Writer::start(Gone, &registry).unwrap();
        writer.put(b"line\n".to_vec());
        writer.flush(Duration::from_mins(1));
        assert_eq!(counted(&registry), (0, 1, 0));
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
