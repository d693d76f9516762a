//! Lines leave the process on a thread of their own, through a bounded buffer: a full pipe costs lines, which are
//! counted, never time.
//!
//! A line is copied into the buffer and wakes nobody, save the first one: the thread takes the whole buffer a moment
//! later, or when it is well filled, and leaves an empty one.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// Lines waiting at most, those that are being written among them.
const QUEUE: usize = 4096;
/// Bytes of the same lines at most. A line is mostly shorter than [`MAX_LINE`](super::ecs::MAX_LINE), but the value that goes
/// beyond it is written whole, and escaping can make it six times as long.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// So many bytes are written at once, without waiting for more.
const CHUNK: usize = 64 * 1024;
/// A line waits this long at most for others that are written with it.
const DELAY: Duration = Duration::from_millis(50);

/// Where the formatter puts a finished line, newline included.
#[derive(Clone)]
pub(crate) enum Sink {
    /// To the writing thread.
    Queue(Writer),
    /// Kept, for tests.
    Memory(Arc<Mutex<Vec<u8>>>),
}

impl Sink {
    pub(crate) fn put(&self, line: &[u8]) {
        match self {
            Self::Queue(writer) => writer.put(line),
            Self::Memory(lines) => lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(line),
        }
    }
}

/// Handle on the writing thread, which ends with the last of them.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Owner>);

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_one();
    }
}

/// What the thread shares with those who put lines.
struct Shared {
    buffer: Mutex<Buffer>,
    /// To the thread: there is a first line, or enough of them, or no time left.
    wake: Condvar,
    /// To those who flush: lines were written.
    done: Condvar,
    queued: Gauge,
    written: Counter,
    dropped: Counter,
}

#[derive(Default)]
struct Buffer {
    /// Whole lines, in order.
    bytes: Vec<u8>,
    /// Lines in `bytes`.
    lines: usize,
    /// Lines that the thread has taken and not written yet.
    writing: usize,
    /// Their bytes.
    writing_bytes: usize,
    /// Lines ever put here.
    put: u64,
    /// Lines ever written, or lost in writing.
    ended: u64,
    /// Somebody waits for what is here to be written.
    hurry: bool,
    closed: bool,
}

impl Buffer {
    fn is_due(&self) -> bool {
        self.bytes.len() >= CHUNK || self.hurry || self.closed
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Starts the thread that writes to `output`.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        registry: &Registry,
    ) -> io::Result<Self> {
        registry.gauge(&LIMIT, &[]).set(QUEUE as f64);
        let shared = Arc::new(Shared {
            buffer: Mutex::default(),
            wake: Condvar::new(),
            done: Condvar::new(),
            queued: registry.gauge(&QUEUED, &[]),
            written: registry.counter(&WRITTEN, &[]),
            dropped: registry.counter(&DROPPED, &[]),
        });
        let writer = Self(Arc::new(Owner(shared.clone())));
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write(&shared, output))?;
        Ok(writer)
    }

    fn put(&self, line: &[u8]) {
        let shared = &*self.0.0;
        let mut buffer = shared.lock();
        let waiting = buffer.lines + buffer.writing;
        let bytes = buffer.bytes.len() + buffer.writing_bytes + line.len();
        if waiting >= QUEUE || bytes > MAX_BYTES {
            drop(buffer);
            shared.dropped.inc();
            return;
        }
        let (first, before) = (buffer.lines == 0, buffer.bytes.len());
        buffer.bytes.extend_from_slice(line);
        buffer.lines += 1;
        buffer.put += 1;
        let filled = before < CHUNK && buffer.bytes.len() >= CHUNK;
        shared.queued.set((waiting + 1) as f64);
        drop(buffer);
        if first || filled {
            shared.wake.notify_one();
        }
    }

    /// Waits until the lines put before are written, or `deadline` is over. Blocks.
    pub(crate) fn flush(&self, deadline: Duration) {
        let shared = &*self.0.0;
        let end = Instant::now() + deadline;
        let mut buffer = shared.lock();
        let last = buffer.put;
        buffer.hurry = true;
        shared.wake.notify_one();
        let left = end.saturating_duration_since(Instant::now());
        // Whether it was in time is in the counters.
        let _ = shared
            .done
            .wait_timeout_while(buffer, left, |buffer| buffer.ended < last);
    }
}

/// Writes until every handle is gone and every line written.
fn write(shared: &Shared, mut output: impl Write) {
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(lines) = take(shared, &mut chunk) {
        let written = output.write_all(&chunk).and_then(|()| output.flush());
        match written {
            Ok(()) => shared.written.add(lines as u64),
            Err(_) => shared.dropped.add(lines as u64),
        }
        let mut buffer = shared.lock();
        buffer.writing = 0;
        buffer.writing_bytes = 0;
        buffer.ended += lines as u64;
        shared.queued.set(buffer.lines as f64);
        drop(buffer);
        shared.done.notify_all();
        chunk.clear();
        // A burst of long lines must not stay in memory for ever.
        chunk.shrink_to(4 * CHUNK);
    }
}

/// Waits for lines, and exchanges the empty `chunk` for them. `None` when there will be none.
fn take(shared: &Shared, chunk: &mut Vec<u8>) -> Option<usize> {
    let quiet = |buffer: &mut Buffer| buffer.lines == 0 && !buffer.closed;
    let buffer = shared
        .wake
        .wait_while(shared.lock(), quiet)
        .unwrap_or_else(PoisonError::into_inner);
    let (mut buffer, _) = shared
        .wake
        .wait_timeout_while(buffer, DELAY, |buffer| !buffer.is_due())
        .unwrap_or_else(PoisonError::into_inner);
    if buffer.lines == 0 {
        return None;
    }
    std::mem::swap(&mut buffer.bytes, chunk);
    buffer.writing = std::mem::take(&mut buffer.lines);
    buffer.writing_bytes = chunk.len();
    buffer.hurry = false;
    Some(buffer.writing)
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
            writer.put(b"line\n");
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
    fn few_long_lines_that_nobody_takes_are_bounded_in_bytes() {
        let registry = Registry::new(&service());
        let output = Stuck::default();
        let writer = Writer::start(output.clone(), &registry).unwrap();
        let line = vec![b'x'; MAX_BYTES / 16];
        for _ in 0..20 {
            writer.put(&line);
        }
        assert_eq!(counted(&registry), (0, 4, 16));
        output.release();
        writer.flush(Duration::from_mins(1));
        assert_eq!(counted(&registry), (16, 4, 0));
        // And there is room again.
        writer.put(&line);
        writer.flush(Duration::from_mins(1));
        assert_eq!(counted(&registry), (17, 4, 0));
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
        writer.put(b"line\n");
        writer.flush(Duration::from_mins(1));
        assert_eq!(counted(&registry), (0, 1, 0));
    }

    #[test]
    fn a_flush_gives_up_at_its_deadline() {
        let registry = Registry::new(&service());
        let output = Stuck::default();
        let writer = Writer::start(output.clone(), &registry).unwrap();
        writer.put(b"line\n");
        writer.flush(Duration::from_millis(20));
        assert!(output.0.0.lock().unwrap().written.is_empty());
        output.release();
    }

    /// Waits until so many lines are written.
    fn until_written(registry: &Registry, lines: usize) {
        let began = Instant::now();
        while counted(registry) != (lines, 0, 0) {
            let counted = counted(registry);
            assert!(began.elapsed() < Duration::from_mins(1), "{counted:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_line_leaves_soon_though_nobody_waits_for_it() {
        let registry = Registry::new(&service());
        let writer = Writer::start(io::sink(), &registry).unwrap();
        for lines in 1..=3 {
            writer.put(b"line\n");
            until_written(&registry, lines);
        }
    }

    #[test]
    fn lines_keep_their_order_over_many_chunks() {
        let registry = Registry::new(&service());
        let output = Stuck::default();
        output.release();
        let writer = Writer::start(output.clone(), &registry).unwrap();
        let line = |number: usize| format!("{number:>100}\n");
        // Fewer than wait at most, and several chunks of them.
        for number in 0..QUEUE {
            writer.put(line(number).as_bytes());
        }
        writer.flush(Duration::from_mins(1));
        let expected: String = (0..QUEUE).map(line).collect();
        assert!(output.0.0.lock().unwrap().written == expected.as_bytes());
    }

    #[test]
    fn what_was_put_is_written_though_every_handle_is_gone() {
        let registry = Registry::new(&service());
        let writer = Writer::start(io::sink(), &registry).unwrap();
        writer.put(b"line\n");
        drop(writer);
        until_written(&registry, 1);
    }
}
