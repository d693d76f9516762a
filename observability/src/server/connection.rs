//! What is known of each connection while it is served: whether its client takes what it is sent, and since when not.
//!
//! A request pays for this with a few plain stores; no clock is read and nothing is locked on its way. The watcher
//! ([`super::watch`]) looks at all connections some times a second and moves the clock.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::closed::{ClosedMetrics, Reason};

/// A connection is closed to make room only when its client took nothing, or asked nothing, for longer than this: a
/// client of 20 kB/s takes what was buffered for it within it.
const GRACE: Duration = Duration::from_secs(2);
/// A client that reads may lose an answer to make room in memory for others, but not before this, and only at a pace
/// that needs more than [`LONGEST_HELD`] for it.
const HELD_GRACE: Duration = Duration::from_secs(10);
const LONGEST_HELD: Duration = Duration::from_secs(100);

/// Milliseconds of the listener's clock; 0 is never.
pub(super) type Moment = u64;

/// Every connection of one listener.
pub(super) struct Connections {
    began: Instant,
    now: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<State>>>,
    next: AtomicU64,
    pub(super) closed: ClosedMetrics,
}

impl Connections {
    pub(super) fn new(closed: ClosedMetrics) -> Self {
        Self {
            began: Instant::now(),
            now: AtomicU64::new(1),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            closed,
        }
    }

    /// Adds a connection until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Entered {
        let id = self.next.fetch_add(1, Relaxed);
        let state = Arc::new(State::new(Arc::clone(self), self.now()));
        lock(&self.open).insert(id, Arc::clone(&state));
        Entered { id, state }
    }

    /// The time as it was when the watcher last looked.
    pub(super) fn now(&self) -> Moment {
        self.now.load(Relaxed)
    }

    /// Moves the clock and shows every connection to `look`.
    pub(super) fn look(&self, mut look: impl FnMut(&State, Moment)) {
        let now = self.began.elapsed().as_millis() as Moment + 1;
        self.now.store(now, Relaxed);
        for state in lock(&self.open).values() {
            look(state, now);
        }
    }

    /// Closes a connection to make room for another: the one that has been stalled the longest, else the one that has
    /// been idle the longest.
    pub(super) fn evict(&self) -> bool {
        let now = self.now();
        self.close_first(|state| {
            let stalled = state.stalled_since(now).map(|since| (1, since));
            let (rank, since) =
                stalled.or_else(|| state.idle_since(now).map(|since| (0, since)))?;
            let reason = [Reason::EvictedIdle, Reason::Evicted][rank];
            (elapsed(now, since) >= GRACE).then_some(((rank, Reverse(since)), reason))
        })
    }

    /// Closes a connection for the memory that its answers hold, but not `own`: a stalled one, else one that needs far too
    /// long for its answers, of each kind the one that holds the most.
    pub(super) fn evict_holder(&self, own: &State) -> bool {
        let now = self.now();
        self.close_first(|state| {
            if std::ptr::eq(state, own) {
                return None;
            }
            let (held, crawls) = state.held(now)?;
            let stalled = state
                .stalled_since(now)
                .is_some_and(|since| elapsed(now, since) >= GRACE);
            (stalled || crawls).then_some(((stalled, held), Reason::Evicted))
        })
    }

    /// Closes the connection of the highest rank.
    fn close_first<R: Ord>(&self, rank: impl Fn(&State) -> Option<(R, Reason)>) -> bool {
        let open = lock(&self.open);
        let ranked = open.values().filter(|state| !state.is_closing());
        let ranked = ranked.filter_map(|state| {
            let (rank, reason) = rank(state)?;
            Some((rank, reason, state))
        });
        let victim = ranked.max_by(|(one, ..), (other, ..)| one.cmp(other));
        victim.is_some_and(|(_, reason, state)| state.close(reason))
    }
}

pub(super) fn elapsed(now: Moment, since: Moment) -> Duration {
    Duration::from_millis(now.saturating_sub(since))
}

/// A connection's place in [`Connections`].
pub(super) struct Entered {
    id: u64,
    pub(super) state: Arc<State>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let connections = &self.state.connections;
        lock(&connections.open).remove(&self.id);
        if let Some(reason) = self.state.closing() {
            connections.closed.count(reason);
        }
    }
}

/// One connection.
pub(super) struct State {
    pub(super) connections: Arc<Connections>,
    asked: AtomicBool,
    /// Requests that are not answered to the last byte.
    requests: AtomicU32,
    /// When the number of requests was last 0 and the socket took all, or the connection began.
    idle_since: AtomicU64,
    /// Since when the socket has taken nothing although something is to be sent; 0 when it takes all.
    blocked_since: AtomicU64,
    /// Bytes that the socket has taken.
    sent: AtomicU64,
    /// What answers hold in memory until the client has taken them, the oldest first.
    holds: Mutex<Vec<Arc<Hold>>>,
    streams: Mutex<Vec<Arc<Stream>>>,
    closing: AtomicU8,
    /// A request came while the connection was being closed for the want of one: it goes on until that is answered.
    goes_on: AtomicBool,
    pub(super) told: Notify,
    /// The watcher's notes on the socket.
    pub(super) period: Mutex<Option<Period>>,
}

/// Since when, and from how many bytes on, the watcher measures how fast a client takes what it is sent.
#[derive(Clone, Copy)]
pub(super) struct Period {
    pub(super) since: Moment,
    pub(super) sent: u64,
}

impl State {
    fn new(connections: Arc<Connections>, now: Moment) -> Self {
        Self {
            connections,
            asked: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            idle_since: AtomicU64::new(now),
            blocked_since: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            holds: Mutex::default(),
            streams: Mutex::default(),
            closing: AtomicU8::new(0),
            goes_on: AtomicBool::new(false),
            told: Notify::new(),
            period: Mutex::default(),
        }
    }

    /// The socket took `bytes`. Only the connection's own task calls this and [`Self::blocked`].
    pub(super) fn took(&self, bytes: usize) {
        self.sent
            .store(self.sent.load(Relaxed) + bytes as u64, Relaxed);
        if self.is_blocked() {
            // The last bytes of its last answer may be those that it was full of.
            self.idle_since.store(self.connections.now(), Relaxed);
            self.blocked_since.store(0, Release);
        }
    }

    /// The socket takes nothing now.
    pub(super) fn blocked(&self) {
        if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(self.connections.now(), Relaxed);
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.load(Acquire) != 0
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Whether a request has arrived.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// A request arrived.
    pub(super) fn begin(self: &Arc<Self>) -> Turn {
        self.asked.store(true, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        Turn {
            state: Arc::clone(self),
            stream: None,
        }
    }

    /// An answer holds `bytes` of memory from now on.
    pub(super) fn hold(&self, bytes: u64) -> Arc<Hold> {
        let hold = Arc::new(Hold {
            since: self.connections.now(),
            sent: self.sent(),
            bytes,
        });
        lock(&self.holds).push(Arc::clone(&hold));
        hold
    }

    /// It holds them no longer.
    pub(super) fn let_go(&self, hold: &Arc<Hold>) {
        lock(&self.holds).retain(|other| !Arc::ptr_eq(other, hold));
    }

    /// Bytes of memory that answers hold, if any, and whether the client, although it reads, needs far too long for them.
    fn held(&self, now: Moment) -> Option<(u64, bool)> {
        let holds = lock(&self.holds);
        let oldest = holds.first()?;
        let held = holds.iter().map(|hold| hold.bytes).sum();
        let passed = elapsed(now, oldest.since);
        let taken = self.sent() - oldest.sent;
        let pace = taken as f64 / passed.as_secs_f64();
        let crawls = passed >= HELD_GRACE && pace * LONGEST_HELD.as_secs_f64() < held as f64;
        Some((held, crawls))
    }

    pub(super) fn add_stream(&self, stream: Arc<Stream>) {
        lock(&self.streams).push(stream);
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, Vec<Arc<Stream>>> {
        lock(&self.streams)
    }

    /// Since when it has no request, if it has none.
    pub(super) fn idle_since(&self, now: Moment) -> Option<Moment> {
        let idle = self.requests.load(Acquire) == 0 && !self.is_blocked();
        idle.then(|| self.idle_since.load(Relaxed).min(now))
    }

    /// Since when its client takes nothing of what it is sent, if so: the socket is full, or every request waits for the
    /// client to open its stream's window.
    fn stalled_since(&self, now: Moment) -> Option<Moment> {
        let blocked = self.blocked_since.load(Relaxed);
        if blocked != 0 {
            return Some(blocked.min(now));
        }
        let streams = self.streams();
        let waits = streams.iter().map(|stream| stream.handed_at.load(Relaxed));
        let latest = waits.clone().max()?;
        let all = streams.len() as u32 == self.requests.load(Relaxed) && waits.min() != Some(0);
        all.then_some(latest)
    }

    /// Tells the connection's task to end it; `false` when it was told before.
    pub(super) fn close(&self, reason: Reason) -> bool {
        let code = reason as u8;
        let told = if self.goes_on.swap(false, Relaxed) {
            self.closing.store(code, Relaxed);
            true
        } else {
            let first = self.closing.compare_exchange(0, code, Relaxed, Relaxed);
            first.is_ok()
        };
        if told {
            self.told.notify_one();
        }
        told
    }

    /// Why it is to end, if it is.
    pub(super) fn closing(&self) -> Option<Reason> {
        Reason::from_code(self.closing.load(Relaxed))
    }

    /// Whether its task is ending it. One that goes on for a late request has to keep to every rule until then.
    pub(super) fn is_closing(&self) -> bool {
        self.closing().is_some() && !self.goes_on.load(Relaxed)
    }

    /// Goes on after all when it has requests; returns whether it does.
    pub(super) fn goes_on(&self) -> bool {
        let has_requests = self.requests.load(Relaxed) > 0;
        self.goes_on.store(has_requests, Relaxed);
        has_requests
    }

    /// Whether its client waits for bytes of an answer.
    pub(super) fn owes(&self) -> bool {
        self.is_blocked() || self.requests.load(Relaxed) > 0
    }
}

/// Memory that one answer holds.
pub(super) struct Hold {
    since: Moment,
    /// Bytes that the socket had taken then.
    sent: u64,
    bytes: u64,
}

/// One HTTP/2 request, whose client can stop its answer while the connection goes on.
pub(super) struct Stream {
    /// When a piece of the answer was handed to the connection; 0 while the next one is ours to make.
    pub(super) handed_at: AtomicU64,
    /// Bytes handed to the connection.
    pub(super) handed: AtomicU64,
    pub(super) task: OnceLock<AbortHandle>,
    pub(super) period: Mutex<Option<Period>>,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self {
            handed_at: AtomicU64::new(0),
            handed: AtomicU64::new(0),
            task: OnceLock::new(),
            period: Mutex::default(),
        }
    }
}

/// One request until the last byte of its answer is handed on, or dropped.
pub(super) struct Turn {
    pub(super) state: Arc<State>,
    pub(super) stream: Option<Arc<Stream>>,
}

impl Turn {
    /// The connection took a piece of the answer, and will ask for the next when the client has room for it.
    pub(super) fn handed(&self, bytes: usize) {
        if let Some(stream) = &self.stream {
            stream.handed.fetch_add(bytes as u64, Relaxed);
            stream
                .handed_at
                .store(self.state.connections.now(), Relaxed);
        }
    }

    /// The connection asks for the next piece.
    pub(super) fn wanted(&self) {
        if let Some(stream) = &self.stream {
            stream.handed_at.store(0, Relaxed);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            self.state
                .streams()
                .retain(|other| !Arc::ptr_eq(other, stream));
        }
        // Before the number goes down: nobody may see an idle connection with an old date.
        self.state
            .idle_since
            .store(self.state.connections.now(), Relaxed);
        self.state.requests.fetch_sub(1, Release);
    }
}

/// A panic while one of these locks was held leaves nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
